"""Searches and counts that need the answer of every shard."""

from typing import Any

from opensearchpy import OpenSearch

from miradouro.adapters.opensearch.client import translated
from miradouro.adapters.opensearch.mapping import alias_of
from miradouro.core.errors import Unavailable

_WHOLE = {"allow_partial_search_results": "false"}  # otherwise photos of a missing shard would silently be absent


def search(client: OpenSearch, index: str | None, body: dict[str, Any], **params: str) -> dict[str, Any]:
    """The response to `body`. `index` is None for a point in time. Raises Unavailable when a shard is missing."""
    with translated():
        answer: dict[str, Any] = client.search(index=index, body=body, params={**_WHOLE, **params})
    _check_whole(answer)
    return answer


def count(client: OpenSearch, index: str) -> int:
    """The number of searchable documents and tombstones in an index. Raises Unavailable when a shard is missing."""
    with translated():
        answer = client.count(index=index)
    _check_whole(answer)
    return int(answer["count"])


def collection_names(client: OpenSearch, prefix: str) -> list[str]:
    """The names of the collections, taken from the aliases, sorted."""
    first = alias_of(prefix, "")
    with translated():
        found = client.indices.get_alias(index=f"{first}*")
    return sorted(name.removeprefix(first) for index in found.values() for name in index["aliases"])


def _check_whole(answer: dict[str, Any]) -> None:
    shards = answer["_shards"]
    # A shard without any copy counts neither as successful nor as failed.
    if shards["successful"] < shards["total"] or answer.get("timed_out"):
        answered = f"{shards['successful']} of {shards['total']} shards answered"
        raise Unavailable(f"OpenSearch can't answer in full now: {answered}; see its _cat/shards")
