"""Searches and counts: answered by all shards, or not at all."""

from typing import Any

from opensearchpy import OpenSearch

from miradouro.adapters.opensearch.client import translated
from miradouro.adapters.opensearch.mapping import alias_of
from miradouro.core.errors import Unavailable

_WHOLE = {"allow_partial_search_results": "false"}  # a shard that does not answer is no shard without photos


def search(client: OpenSearch, index: str | None, body: dict[str, Any], **params: str) -> dict[str, Any]:
    """The answer to `body`; `index` is None for a point in time. Raises Unavailable when a part of it is missing."""
    with translated():
        answer: dict[str, Any] = client.search(index=index, body=body, params={**_WHOLE, **params})
    _check_whole(answer)
    return answer


def count(client: OpenSearch, index: str) -> int:
    """Documents and tombstones that searches see in an index. Raises Unavailable when a part of them can't be counted."""
    with translated():
        answer = client.count(index=index)
    _check_whole(answer)
    return int(answer["count"])


def collection_names(client: OpenSearch, prefix: str) -> list[str]:
    """The collections that have an alias, sorted."""
    first = alias_of(prefix, "")
    with translated():
        found = client.indices.get_alias(index=f"{first}*")
    return sorted(name.removeprefix(first) for index in found.values() for name in index["aliases"])


def _check_whole(answer: dict[str, Any]) -> None:
    shards = answer["_shards"]
    # A shard without a copy is neither successful nor failed.
    if shards["successful"] < shards["total"] or answer.get("timed_out"):
        answered = f"{shards['successful']} of {shards['total']} shards answered"
        raise Unavailable(f"OpenSearch can't answer in full now: {answered}; see its _cat/shards")
