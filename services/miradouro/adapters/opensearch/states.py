"""Reads the stored state of photos, without their documents."""

from collections.abc import Iterator, Sequence
from typing import Any

from opensearchpy import OpenSearch

from miradouro.adapters.opensearch.client import reason_of, translated
from miradouro.adapters.opensearch.documents import id_of, state_of
from miradouro.adapters.opensearch.generation import Generation
from miradouro.adapters.opensearch.searches import search
from miradouro.core.error_text import shown
from miradouro.core.errors import Unavailable
from miradouro.core.ports import MAX_SAME_BYTES, OriginState

_PAGE = 1_000
_STATE = ["photo_id", "version", "deleted", "sha256", "origin"]  # the fields that `state_of` reads


def of_collection(client: OpenSearch, generation: Generation, within: str) -> Iterator[OriginState]:
    """See `PhotoIndex.origins`."""
    body: dict[str, Any] = {
        "query": {"prefix": {"photo_id": within}} if within else {"match_all": {}},
        "size": _PAGE,
        "sort": [{"photo_id": "asc"}],
        "_source": _STATE,
    }
    while True:
        hits = search(client, generation.index, body)["hits"]["hits"]
        yield from (state_of(hit["_source"]) for hit in hits)
        if len(hits) < _PAGE:
            return
        body["search_after"] = hits[-1]["sort"]


def of_photos(client: OpenSearch, generation: Generation, collection: str, photo_ids: Sequence[str]) -> list[OriginState]:
    """See `PhotoIndex.states`."""
    found = []
    for start in range(0, len(photo_ids), _PAGE):
        part = photo_ids[start : start + _PAGE]
        body = {"ids": [id_of(collection, photo_id) for photo_id in part]}
        with translated():
            answer = client.mget(index=generation.index, body=body, params={"_source_includes": ",".join(_STATE)})
        for photo_id, one in zip(part, answer["docs"], strict=True):
            if "error" in one:
                raise Unavailable(f"OpenSearch can't read {photo_id!r} of {shown(collection)} now: {reason_of(one['error'])}")
            if one["found"]:
                found.append(state_of(one["_source"]))
    return found


def of_bytes(client: OpenSearch, generation: Generation, sha256: str) -> list[OriginState]:
    """See `PhotoIndex.same_bytes`."""
    body = {
        "query": {"bool": {"filter": [{"term": {"sha256": sha256}}, {"term": {"deleted": False}}]}},
        "size": MAX_SAME_BYTES,
        "_source": _STATE,
    }
    hits = search(client, generation.index, body)["hits"]["hits"]
    return [state_of(hit["_source"]) for hit in hits]
