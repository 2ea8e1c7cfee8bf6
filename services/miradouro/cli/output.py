"""What the command prints: JSON for programs, lines for people."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, timedelta, timezone
from typing import Any

import click

from miradouro.core.printable import printable
from miradouro.v1 import photo_event_pb2, search_service_pb2, searched_text_pb2
from miradouro.v1.ingest_service_pb2 import FolderReport
from miradouro.v1.search_service_pb2 import SearchResponse, StatsResponse

TAG_KINDS = {
    search_service_pb2.TAG_KIND_LABEL: "label",
    search_service_pb2.TAG_KIND_PARENT: "parent",
    search_service_pb2.TAG_KIND_USER: "user",
    search_service_pb2.TAG_KIND_LEARNED: "learned",
}
FACETS = {
    search_service_pb2.FACET_FIELD_TAG: "tag",
    search_service_pb2.FACET_FIELD_OWNER: "owner",
    search_service_pb2.FACET_FIELD_YEAR: "year",
    search_service_pb2.FACET_FIELD_CAMERA: "camera",
}
TERM_ORIGINS = {
    searched_text_pb2.TERM_ORIGIN_EXACT: "exact",
    searched_text_pb2.TERM_ORIGIN_INFLECTION: "inflection",
    searched_text_pb2.TERM_ORIGIN_SYNONYM: "synonym",
    searched_text_pb2.TERM_ORIGIN_PARENT: "parent",
    searched_text_pb2.TERM_ORIGIN_SPELLING: "spelling",
    searched_text_pb2.TERM_ORIGIN_COMPLETION: "completion",
}
_SHOWN_TAGS = 3
_UNITS = ("B", "kB", "MB", "GB", "TB")


def write_json(value: Any) -> None:
    """Writes one JSON document. ASCII alone: file names may hold bytes that are no text, and terminals differ."""
    click.echo(json.dumps(value, allow_nan=False))


def search_json(answer: SearchResponse, *, with_times: bool = False) -> dict[str, Any]:
    """The answer as `miradouro search --json` prints it; `with_times` adds the times when photos were taken."""
    facets = {FACETS[one.field]: _facet_json(one) for one in answer.facets}
    hits = [_hit_json(hit) | ({"taken_at": _taken_text(hit)} if with_times else {}) for hit in answer.hits]
    return {
        "hits": hits,
        "total": answer.total,
        "total_is_exact": answer.total_is_exact,
        "truncated": answer.truncated,
        "exact": answer.exact,
        "took_ms": answer.took_ms,
        **({"whole_photos": True} if answer.whole_photos else {}),
        **({"mixed_in": list(answer.mixed_in)} if answer.mixed_in else {}),
        **({"facets": facets} if facets else {}),
        **({"understood": [_understood_json(word) for word in answer.understood]} if answer.understood else {}),
    }


def _understood_json(word: searched_text_pb2.UnderstoodWord) -> dict[str, Any]:
    terms = [{"text": term.text, "origin": TERM_ORIGINS[term.origin], "weight": term.weight} for term in word.terms]
    return {"word": word.word, "terms": terms}


def _facet_json(facet: search_service_pb2.FacetCounts) -> dict[str, Any]:
    return {"counts": [{"value": one.value, "photos": one.photos} for one in facet.counts], "values": facet.values}


def _taken_text(hit: search_service_pb2.Hit) -> str | None:
    """Local time with its offset, in ISO 8601; without one where the offset is unknown."""
    if not hit.HasField("taken_at"):
        return None
    instant = hit.taken_at.instant.ToDatetime(tzinfo=UTC)
    if not hit.taken_at.HasField("utc_offset_minutes"):
        return instant.replace(tzinfo=None).isoformat()
    return instant.astimezone(timezone(timedelta(minutes=hit.taken_at.utc_offset_minutes))).isoformat()


def _hit_json(hit: search_service_pb2.Hit) -> dict[str, Any]:
    return {
        "photo_id": hit.photo_id,
        "uri": hit.uri,
        "score": hit.score,
        "distance": hit.distance if hit.HasField("distance") else None,
        "space": hit.space or None,
        "tags": [{"label": tag.label, "score": tag.score, "kind": TAG_KINDS[tag.kind]} for tag in hit.tags],
        "caption": hit.caption,
        "caption_is_generated": hit.caption_is_generated,
        "region": _region_json(hit.region) if hit.HasField("region") else None,
        **({"title_parts": _parts_json(hit.title_parts)} if hit.title_parts else {}),
        **({"caption_parts": _parts_json(hit.caption_parts)} if hit.caption_parts else {}),
    }


def _parts_json(parts: Iterable[searched_text_pb2.TextPart]) -> list[dict[str, Any]]:
    return [{"text": part.text, "is_match": part.is_match} for part in parts]


def _region_json(region: photo_event_pb2.Region) -> dict[str, float]:
    return {"x": region.x, "y": region.y, "width": region.width, "height": region.height}


def search_lines(answer: SearchResponse, *, with_times: bool = False) -> Iterator[str]:
    """The answer for a person: a line for each hit, the facets, then what there is in all."""
    width = max((len(printable(hit.photo_id)) for hit in answer.hits), default=0)
    for rank, hit in enumerate(answer.hits, 1):
        distance = f"  distance {hit.distance:.4f}" if hit.HasField("distance") else ""
        tags = ", ".join(f"{tag.label} {tag.score:.2f}" for tag in hit.tags[:_SHOWN_TAGS])
        caption = f"  “{_marked(hit)}”" if hit.caption and not hit.caption_is_generated else ""
        taken = f"  {_taken_text(hit) or 'undated':<25}" if with_times else ""
        region = f"  at {_box_text(hit.region)}" if hit.HasField("region") else ""
        name = f"{printable(hit.photo_id):<{width}}"
        yield printable(f"{rank:>4}  {hit.score:7.4f}{distance}{taken}  {name}{region}  {tags}").rstrip() + caption
    for facet in answer.facets:
        counts = ", ".join(f"{one.value} {one.photos:,}" for one in facet.counts) or "none"
        more = facet.values - len(facet.counts)
        yield printable(f"{FACETS[facet.field]}: {counts}{f', and {more:,} more' if more else ''}")
    yield from _understood_lines(answer)
    space = f" in {answer.hits[0].space}" if answer.hits and answer.hits[0].space else ""
    about = "" if answer.total_is_exact else "about "
    cut = "; more lie within the distance than can be paged to" if answer.truncated else ""
    if not answer.total and answer.total_is_exact:
        yield f"no such photos, {answer.took_ms:.1f} ms"
        return
    if answer.whole_photos:
        yield "the part was compared with whole photos: the collection holds no space of regions"
    if answer.mixed_in:
        yield printable(f"more of this kind: mixed with {', '.join(answer.mixed_in)}")
    yield f"{len(answer.hits):,} of {about}{answer.total:,} photos{space}, {answer.took_ms:.1f} ms{cut}"


def _marked(hit: search_service_pb2.Hit) -> str:
    """The caption, the words that were found in bold; a terminal shows it, click removes it from other outputs."""
    if not hit.caption_parts:
        return printable(hit.caption)
    return "".join(
        click.style(printable(part.text), bold=True) if part.is_match else printable(part.text) for part in hit.caption_parts
    )


def _understood_lines(answer: SearchResponse) -> Iterator[str]:
    """A line for each word that was not searched, or searched as something else, too."""
    for word in answer.understood:
        if not word.terms:
            yield printable(f"{word.word}: too common to be searched")
        others = [f"{term.text} ({TERM_ORIGINS[term.origin]})" for term in word.terms if term.text != word.word]
        if others:
            yield printable(f"{word.word}: also searched as {', '.join(others)}")


def _box_text(box: photo_event_pb2.Region) -> str:
    return ",".join(f"{part:.2f}" for part in (box.x, box.y, box.width, box.height))


def stats_json(answer: StatsResponse) -> dict[str, Any]:
    """The answer as `miradouro stats --json` prints it."""
    return {
        "collections": [
            {
                "name": one.name,
                "root": one.root,
                "photos": one.photos,
                "deleted": one.deleted,
                "failed": one.failed,
                "preset": one.preset or None,
                "spaces": [
                    {"name": space.name, "dimension": space.dimension, "provenance": space.provenance, "vectors": space.vectors}
                    for space in one.spaces
                ],
            }
            for one in answer.collections
        ],
        "bytes": answer.bytes,
    }


def stats_lines(answer: StatsResponse) -> Iterator[str]:
    """The answer for a person: a paragraph for each collection, then the size of the store."""
    for one in answer.collections:
        root = f"  ({printable(one.root)})" if one.root else ""
        preset = f", {one.preset}" if one.preset else ""
        yield f"{one.name}: {one.photos:,} photos, {one.deleted:,} deleted, {one.failed:,} failed{preset}{root}"
        width = max((len(space.name) for space in one.spaces), default=0)
        for space in one.spaces:
            yield f"    {space.name:<{width}}  {space.vectors:>10,} x {space.dimension:<5}  {space.provenance[:12]}"
    count = len(answer.collections)
    yield f"{count} collection{'' if count == 1 else 's'}, {_size(answer.bytes)}"


def report_json(report: FolderReport) -> dict[str, Any]:
    """The report as `miradouro index --json` prints it."""
    return {
        "indexed": report.indexed,
        "unchanged": report.unchanged,
        "moved": report.moved,
        "deleted": report.deleted,
        "withheld": report.withheld,
        "ignored": report.ignored,
        "ignored_by": dict(sorted(report.ignored_by.items())),
        "ignored_folders": report.ignored_folders,
        "failed": [{"path": one.path, "code": one.code, "reason": one.reason} for one in report.failed],
        "sidecars": [{"path": one.path, "reason": one.reason} for one in report.sidecars],
    }


def report_lines(report: FolderReport) -> Iterator[str]:
    """The report for a person: sidecars that were not read in full, photos that failed and why, then the counts."""
    for sidecar in report.sidecars:
        yield printable(f"sidecar: {sidecar.path}: {sidecar.reason}")
    for one in report.failed:
        yield printable(f"failed: {one.path}: {one.code}: {one.reason}")
    yield from report_counts(report)


def report_counts(report: FolderReport) -> Iterator[str]:
    """The counts of a report for a person."""
    moved = f"{report.moved:,} moved, " if report.moved else ""
    yield (
        f"{report.indexed:,} indexed, {moved}{report.unchanged:,} unchanged, {report.deleted:,} deleted, "
        f"{report.ignored:,} ignored, {len(report.failed):,} failed"
        f"{f', sidecars not read in full: {len(report.sidecars):,}' if report.sidecars else ''}"
    )
    if report.ignored or report.ignored_folders:
        by_code = [f"{count:,} {code}" for code, count in sorted(report.ignored_by.items())]
        folders = f"{report.ignored_folders:,} whole folder{'' if report.ignored_folders == 1 else 's'}"
        yield f"ignored: {', '.join(by_code + [folders] * bool(report.ignored_folders))}"


def _size(size_bytes: int) -> str:
    size, unit = float(size_bytes), 0
    while size >= 1_000 and unit < len(_UNITS) - 1:
        size, unit = size / 1_000, unit + 1
    return f"{size:.{1 if unit else 0}f} {_UNITS[unit]}"
