"""Reads the tags of photos with their vectors in one space, by pages."""

from collections.abc import Iterator
from typing import Any

from opensearchpy import OpenSearch

from miradouro.adapters.opensearch.documents import check_is_whole, tags_of, vectors_of
from miradouro.adapters.opensearch.generation import Generation
from miradouro.adapters.opensearch.mapping import field_of
from miradouro.adapters.opensearch.searches import search
from miradouro.core.codes import unit_vectors
from miradouro.core.ports import TaggedPhoto
from miradouro.core.spaces import Space

_PAGE = 500
_UNREAD = ["words_*", "vocabulary", "title", "caption", "attributes", "origin"]


def of_collection(client: OpenSearch, generation: Generation, space: Space) -> Iterator[TaggedPhoto]:
    """See `PhotoIndex.tagged`."""
    body: dict[str, Any] = {
        "query": {"term": {"deleted": False}},
        "size": _PAGE,
        "sort": [{"photo_id": "asc"}],
        # Excluding the other vectors: where nested ones are included by name, a search returns them wrong.
        "_source": {"excludes": [*_UNREAD, *(field_of(other) for other in generation.spaces if other != space)]},
    }
    while True:
        hits = search(client, generation.index, body)["hits"]["hits"]
        for source in (hit["_source"] for hit in hits):
            if space.name in source["spaces"]:
                check_is_whole({**source, "spaces": [space.name]}, [space])
            rows = vectors_of(source, space)
            vector = None if rows is None else unit_vectors(rows[:1], space)[0]
            yield TaggedPhoto(source["photo_id"], source["version"], tags_of(source), vector)
        if len(hits) < _PAGE:
            return
        body["search_after"] = hits[-1]["sort"]
