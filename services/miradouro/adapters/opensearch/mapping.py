"""The layout of a collection: names of indices and fields, the mapping, and the metadata of its spaces."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from miradouro.adapters.opensearch.scores import space_type
from miradouro.adapters.opensearch.settings import OpenSearchSettings
from miradouro.adapters.opensearch.tuning import TUNING, Tuning
from miradouro.core.spaces import Preset, Region, Space, Storage

FORMAT = 6
ANALYZER = "miradouro_words"
# Keeps phrases from matching across title, caption and tags.
_GAP = 100
ENGINE = "lucene"  # filters during the graph search, and keeps its graphs in the page cache
M, EF_CONSTRUCTION = 16, 128
_PROVENANCE_CHARS = 12
# Fields that only searches read, as patterns.
UNREAD = ("vector__*", "regions__*", "words_*", "vocabulary")


def alias_of(prefix: str, collection: str) -> str:
    """The alias of a collection. Names of collections contain no dot, so aliases are unambiguous."""
    return f"{prefix}.{collection}"


def index_of(prefix: str, collection: str, generation: int) -> str:
    """The physical index of a generation, which counts from 1."""
    return f"{alias_of(prefix, collection)}.{generation:06d}"


def field_of(space: Space) -> str:
    """The field of a space: nested objects with `vector` and `number` for regions, otherwise the vector itself.

    The name contains a part of the provenance. A generation with another provenance lacks the field and refuses the vectors, even
    when the alias moves to it during a write.
    """
    plain = re.sub(r"[^a-z0-9]", "_", f"{space.name}__{space.provenance[:_PROVENANCE_CHARS]}".lower())
    return f"{'regions' if space.regions else 'vector'}__{plain}"


def vector_field(space: Space) -> str:
    """The knn_vector field of a space."""
    return f"{field_of(space)}.vector" if space.regions else field_of(space)


def index_body(spaces: Sequence[Space], *, root: str, settings: OpenSearchSettings, tuning: Tuning = TUNING) -> dict[str, Any]:
    """The settings and mappings of a new physical index."""
    return {
        "settings": {
            "index.knn": True,
            "number_of_shards": settings.opensearch_shards,
            "number_of_replicas": settings.opensearch_replicas,
            "refresh_interval": tuning.refresh_interval,
            "store.stats_refresh_interval": "0ms",  # report current sizes, not cached ones
            "analysis": {
                # core.text has already folded the words and removed stop words: one analysis for every engine.
                "analyzer": {ANALYZER: {"type": "custom", "tokenizer": "whitespace", "filter": ["porter_stem"]}},
            },
        },
        "mappings": {
            "dynamic": "strict",
            "_meta": meta_of(spaces, root=root),
            "properties": {**_PLAIN, **_vector_properties(spaces)},
        },
    }


def meta_of(spaces: Sequence[Space], *, root: str) -> dict[str, Any]:
    """The metadata in the mapping; `spaces_of` and `meta["root"]` read it."""
    return {
        "format": FORMAT,
        "root": root,
        "spaces": [
            {
                "bundle": space.bundle,
                "layer": space.layer,
                "pooling": space.pooling,
                "dimension": space.dimension,
                "provenance": space.provenance,
                "preset": space.preset.value,
                "is_default_pooling": space.is_default_pooling,
                "regions": [[box.x, box.y, box.width, box.height] for box in space.regions],
                "storage": space.storage.value,
                "clip": space.clip,
            }
            for space in spaces
        ],
    }


def spaces_of(meta: Mapping[str, Any]) -> tuple[Space, ...]:
    """The spaces in the order of their creation."""
    return tuple(_space(stored) for stored in meta["spaces"])


def _space(stored: Mapping[str, Any]) -> Space:
    regions = tuple(Region(*box) for box in stored["regions"])
    return Space(**{**stored, "preset": Preset(stored["preset"]), "regions": regions, "storage": Storage(stored["storage"])})


_KEYWORD = {"type": "keyword"}
_STORED = {"type": "object", "enabled": False}
_UNSEARCHED = {"type": "keyword", "index": False, "doc_values": False}
_WORDS = {"type": "text", "analyzer": ANALYZER, "position_increment_gap": _GAP}
_PLAIN: dict[str, Any] = {
    "collection": _KEYWORD,
    "photo_id": _KEYWORD,
    "file_name": _KEYWORD,
    "version": {"type": "long"},
    "deleted": {"type": "boolean"},
    "uri": _UNSEARCHED,
    "original": _KEYWORD,  # "none": the photo was not kept and cannot be read again
    "media_type": _KEYWORD,
    "sha256": _KEYWORD,
    "perceptual_hash": _KEYWORD,
    "width": {"type": "integer"},
    "height": {"type": "integer"},
    "title": _UNSEARCHED,
    "caption": _UNSEARCHED,
    "caption_is_generated": {"type": "boolean"},
    # See core.searched_texts: titles and captions of people, their own tags, and what the program wrote.
    "words_human": _WORDS,
    "words_own": _WORDS,
    "words_made": _WORDS,
    "vocabulary": {"type": "keyword", "index": False},  # the words as they are written, not stemmed
    "tags": _KEYWORD,  # folded; for conditions and facets
    "tag_scores": {"type": "rank_features"},  # see `documents.feature_of`; → probability
    "tags_stored": _STORED,
    "owner": _KEYWORD,
    "attributes": {"type": "flat_object"},
    "attribute_pairs": _KEYWORD,  # see `documents.pair`
    "camera": _KEYWORD,
    "place": {"type": "geo_point"},
    "latitude": {"type": "double"},  # exact: a geo_point loses some millimetres
    "longitude": {"type": "double"},
    "taken_us": {"type": "long"},  # the instant in microseconds since 1970: a date field has only milliseconds
    "taken_local_us": {"type": "long"},  # the wall clock in microseconds, as if it were UTC
    "taken_local": {"type": "date"},  # the same in milliseconds, for the facet of years
    "utc_offset_minutes": {"type": "short"},
    "origin": _STORED,
    "spaces": _KEYWORD,  # names of the spaces in which the photo has vectors
}


def _vector_properties(spaces: Sequence[Space]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for space in spaces:
        vector = {
            "type": "knn_vector",
            "dimension": space.dimension,
            "data_type": "byte" if space.storage is Storage.INT8 else "float",
            "space_type": space_type(space),
            "method": {"name": "hnsw", "engine": ENGINE, "parameters": {"m": M, "ef_construction": EF_CONSTRUCTION}},
        }
        if space.regions:
            vector = {"type": "nested", "properties": {"vector": vector, "number": {"type": "short"}}}
        properties[field_of(space)] = vector
    return properties
