"""Counts the documents of a collection."""

from opensearchpy import OpenSearch

from miradouro.adapters.opensearch.generation import Generation
from miradouro.adapters.opensearch.searches import search
from miradouro.core.ports import CollectionStats, SpaceStats

_COUNTS = {
    "size": 0,
    "track_total_hits": True,
    "aggs": {
        "deleted": {"filter": {"term": {"deleted": True}}},
        "spaces": {"terms": {"field": "spaces", "size": 1_000}},
    },
}


def stats_of(client: OpenSearch, collection: str, generation: Generation) -> CollectionStats:
    """The counts of one collection in one request; `failed` is 0. Raises Unavailable."""
    answer = search(client, generation.index, _COUNTS)
    deleted = answer["aggregations"]["deleted"]["doc_count"]
    photos = {bucket["key"]: bucket["doc_count"] for bucket in answer["aggregations"]["spaces"]["buckets"]}
    return CollectionStats(
        name=collection,
        root=generation.root,
        photos=answer["hits"]["total"]["value"] - deleted,
        deleted=deleted,
        failed=0,
        spaces=tuple(
            SpaceStats(
                *(space.name, space.dimension, space.provenance),
                photos.get(space.name, 0) * space.vectors_per_photo,
                space.preset,
            )
            for space in generation.spaces
        ),
    )
