"""Converts documents to the sources that the cluster stores, and back."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from miradouro.adapters.opensearch.mapping import field_of
from miradouro.core.document import Document, GeoPoint, Origin, Tag, TagKind, TakenAt, Vectors, ordered_tags
from miradouro.core.error_text import shown
from miradouro.core.errors import Unavailable
from miradouro.core.microseconds import from_microseconds, local_microseconds, microseconds
from miradouro.core.photo_names import file_name_of
from miradouro.core.ports import OriginState
from miradouro.core.query import CAMERA_ATTRIBUTE
from miradouro.core.searched_texts import searched_texts
from miradouro.core.spaces import Space, Storage
from miradouro.core.text import fold_tag, words
from miradouro.core.understood import LONGEST_WORD

_LEAST_FEATURE = 1e-37  # rank_features take normal float32 above 0


def id_of(collection: str, photo_id: str) -> str:
    """The document's id: a hash, because photo ids may exceed OpenSearch's 512 bytes."""
    return hashlib.sha256(f"{collection}/{photo_id}".encode()).hexdigest()


def pair(name: str, value: str) -> str:
    """An attribute as one keyword. The length of the name separates `a` = `b=c` from `a=b` = `c`."""
    return f"{len(name)}:{name}={value}"


def feature_of(tag: str) -> str:
    """A folded tag as a feature name of `tag_scores`, which must not contain a dot. No folded tag contains U+2024."""
    return tag.replace(".", "\u2024")


def analysed(text: str) -> str:
    """The searchable words of `text`, folded and joined for the fields of words; "" when there are none."""
    return " ".join(word.folded for word in words(text))


def _analysed(texts: Iterable[str]) -> list[str]:
    return [part for part in map(analysed, texts) if part]


def _vocabulary(texts: Iterable[str]) -> list[str]:
    return sorted({word.folded for text in texts for word in words(text) if len(word.folded) <= LONGEST_WORD})


def source_of(document: Document, spaces: dict[str, Space]) -> dict[str, Any]:
    """The stored source, with vectors as arrays; a tombstone has only ids, version and `deleted`. `spaces` by name."""
    known = {"collection": document.collection, "photo_id": document.photo_id, "version": document.version}
    if document.deleted:
        return {**known, "deleted": True}
    source: dict[str, Any] = {
        **known,
        "deleted": False,
        "file_name": file_name_of(document.photo_id),
        "uri": document.uri,
        "original": "uri" if document.uri else "none",
        "media_type": document.media_type,
        "sha256": document.sha256,
        "perceptual_hash": document.perceptual_hash,
        "width": document.width,
        "height": document.height,
        "title": document.title,
        "caption": document.caption,
        "caption_is_generated": document.caption_is_generated,
        **tags_source(
            document.tags,
            title=document.title,
            caption=document.caption,
            caption_is_generated=document.caption_is_generated,
        ),
        "owner": document.owner,
        "attributes": dict(document.attributes),
        "attribute_pairs": [pair(name, value) for name, value in document.attributes.items()],
        "spaces": list(document.vectors),
    }
    if camera := document.attributes.get(CAMERA_ATTRIBUTE):
        source["camera"] = camera
    if document.place:
        latitude, longitude = document.place.latitude, document.place.longitude
        source |= {"place": {"lat": latitude, "lon": longitude}, "latitude": latitude, "longitude": longitude}
    if taken := document.taken_at:
        source["taken_us"] = microseconds(taken.instant, field="taken_at.instant")
        source["taken_local_us"] = local_microseconds(taken.local)
        source["taken_local"] = source["taken_local_us"] // 1_000
        source["utc_offset_minutes"] = taken.utc_offset_minutes
    if document.origin:
        source["origin"] = origin_source(document.origin)
    for name, vectors in document.vectors.items():
        rows = np.ascontiguousarray(vectors, np.int8 if spaces[name].storage is Storage.INT8 else np.float32)
        if spaces[name].regions:
            source[field_of(spaces[name])] = [{"number": i, "vector": row} for i, row in enumerate(rows)]
        else:
            source[field_of(spaces[name])] = rows[0]
    return source


def tags_source(tags: Iterable[Tag], *, title: str, caption: str, caption_is_generated: bool) -> dict[str, Any]:
    """The fields that depend on the tags of a live photo; those of words contain its title and caption too."""
    tags = ordered_tags(tags)
    scores: dict[str, float] = {}
    for tag in tags:
        scores[fold_tag(tag.label)] = max(tag.searched_score, scores.get(fold_tag(tag.label), 0.0))
    searched = searched_texts(tags, title=title, caption=caption, caption_is_generated=caption_is_generated)
    human, own, made = (searched.title, searched.caption), searched.tags, searched.made
    return {
        "words_human": _analysed(human),
        "words_own": _analysed(own),
        "words_made": _analysed(made),
        "vocabulary": _vocabulary((*human, *own, *made)),
        "tags": list(scores),
        "tag_scores": {feature_of(label): max(score, _LEAST_FEATURE) for label, score in scores.items() if label},
        "tags_stored": {"tags": [[tag.label, tag.score, tag.kind.value, tag.steps] for tag in tags]},
    }


def tags_of(source: Mapping[str, Any]) -> tuple[Tag, ...]:
    """The tags in a source."""
    return tuple(Tag(label, score, TagKind(kind), steps) for label, score, kind, steps in source["tags_stored"]["tags"])


def origin_source(origin: Origin) -> dict[str, Any]:
    """The stored origin. Nanoseconds are text, because JSON readers may round large numbers."""
    return {
        "size_bytes": origin.size_bytes,
        "mtime_ns": str(origin.mtime_ns),
        "ctime_ns": str(origin.ctime_ns),
        "inode": str(origin.inode),
        "sidecars_state": origin.sidecars_state,
        "sidecars_sha256": origin.sidecars_sha256,
    }


def origin_of(source: dict[str, Any]) -> Origin | None:
    """The inverse of `origin_source`."""
    origin = source.get("origin")
    if not origin:
        return None
    return Origin(
        origin["size_bytes"],
        int(origin["mtime_ns"]),
        int(origin["ctime_ns"]),
        int(origin["inode"]),
        origin["sidecars_state"],
        origin["sidecars_sha256"],
    )


def state_of(source: dict[str, Any]) -> OriginState:
    """The state of a folder's photo, or of a tombstone."""
    return OriginState(source["photo_id"], source["version"], source["deleted"], source.get("sha256", ""), origin_of(source))


def document_of(source: dict[str, Any]) -> Document:
    """The document of a live photo, without its vectors."""
    taken_us, latitude = source.get("taken_us"), source.get("latitude")
    return Document(
        collection=source["collection"],
        photo_id=source["photo_id"],
        version=source["version"],
        uri=source["uri"],
        media_type=source["media_type"],
        sha256=source["sha256"],
        perceptual_hash=source["perceptual_hash"],
        width=source["width"],
        height=source["height"],
        title=source["title"],
        caption=source["caption"],
        caption_is_generated=source["caption_is_generated"],
        tags=tags_of(source),
        owner=source["owner"],
        attributes=source["attributes"],
        place=None if latitude is None else GeoPoint(latitude, source["longitude"]),
        taken_at=None if taken_us is None else TakenAt(from_microseconds(taken_us), source.get("utc_offset_minutes")),
        origin=origin_of(source),
    )


def check_is_whole(source: Mapping[str, Any], spaces: Sequence[Space]) -> None:
    """Raises Unavailable unless the source contains the vectors of all spaces that it names.

    OpenSearch derives vectors from its vector files, which sometimes fails.
    """
    there = {space.name for space in spaces if field_of(space) in source}
    if missing := sorted(set(source["spaces"]) - there):
        raise Unavailable(
            f"OpenSearch returned {shown(source['photo_id'])} without its vectors of {', '.join(missing)}; try again"
        )


def vectors_of(source: dict[str, Any], space: Space) -> Vectors | None:
    """The vectors of a photo in a space, [vectors_per_photo, dimension], float32 or int8 codes; None without any."""
    stored = source.get(field_of(space))
    if stored is None:
        return None
    rows = [one["vector"] for one in sorted(stored, key=lambda one: one["number"])] if space.regions else [stored]
    return np.array(rows, np.int8) if space.storage is Storage.INT8 else np.array(rows, np.float32)
