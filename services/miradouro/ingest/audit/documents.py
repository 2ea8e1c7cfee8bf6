"""Documents as the cluster holds them, not as our index reads them."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import tenacity
from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError

from miradouro.adapters.opensearch import searches
from miradouro.adapters.opensearch.client import translated
from miradouro.core.errors import MiradouroError, Unavailable

_PAGE = 1_000
_KEPT = "10m"  # from one page to the next
_ATTEMPTS = 6
T = TypeVar("T")
_TOMBSTONE = {"collection", "photo_id", "version", "deleted"}


@dataclass(frozen=True)
class RawDocument:
    """A hit as it came, from the index `physical`."""

    physical: str
    document_id: str
    engine_version: int
    source: Mapping[str, Any]

    @property
    def photo(self) -> tuple[str, str, int]:
        """Collection, photo id and version of the document; "" and 0 where they are missing."""
        source = self.source
        return str(source.get("collection", "")), str(source.get("photo_id", "")), int(source.get("version", 0))

    @property
    def surplus(self) -> list[str]:
        """What a tombstone holds and should not."""
        return sorted(self.source.keys() - _TOMBSTONE)


@dataclass(frozen=True)
class Asked:
    """A vector to compare with the one stored in the field `path`, or in that field's nested object number `row`."""

    path: str
    row: int | None
    vector: list[float]


def patiently(call: Callable[[], T]) -> T:
    """Calls again, after pauses, what fails for a passing reason: a long audit is not lost to a busy moment of the cluster."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, MiradouroError) and error.retriable),
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=10),
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        reraise=True,
    )
    return retrying(call)


def live_aliases(client: OpenSearch, prefix: str) -> dict[str, str]:
    """Collection → the alias that questions go to. Raises Unavailable."""
    with translated():
        found = client.indices.get_alias(index=f"{prefix}.*")
    return {name.removeprefix(f"{prefix}."): name for one in found.values() for name in one["aliases"]}


def count(client: OpenSearch, alias: str) -> int:
    """Number of documents and tombstones behind an alias, after a refresh: stored documents may not be searchable yet."""
    with translated():
        client.indices.refresh(index=alias)
    return searches.count(client, alias)


def documents(client: OpenSearch, alias: str) -> Iterator[RawDocument]:
    """Every document and tombstone at one point in time, a page at a time, without what the audit does not need."""
    return _scanned(client, alias, {"query": {"match_all": {}}, "_source": sorted(_TOMBSTONE)})


def tombstones(client: OpenSearch, alias: str) -> Iterator[RawDocument]:
    """Every tombstone, with all that it holds."""
    return _scanned(client, alias, {"query": {"term": {"deleted": True}}})


def _scanned(client: OpenSearch, alias: str, query: dict[str, Any]) -> Iterator[RawDocument]:
    """By pages of a point in time. Never by a scroll: at its end OpenSearch 3.5 closes the vectors of the segments that it went
    through, and no document of theirs can be read with its vectors until they are merged."""
    with translated():
        options = {"keep_alive": _KEPT, "allow_partial_pit_creation": "false"}
        point = {"id": client.create_pit(index=alias, params=options)["pit_id"], "keep_alive": _KEPT}
        try:
            body = {**query, "version": True, "size": _PAGE, "pit": point, "sort": [{"_shard_doc": "asc"}]}
            while True:
                hits = searches.search(client, None, body)["hits"]["hits"]
                for hit in hits:
                    yield RawDocument(hit["_index"], hit["_id"], hit["_version"], hit["_source"])
                if len(hits) < _PAGE:
                    return
                body["search_after"] = hits[-1]["sort"]
        except NotFoundError as exc:
            raise Unavailable(f"OpenSearch forgot where we were in {alias}: {exc}") from exc
        finally:
            with suppress(MiradouroError, NotFoundError), translated():  # it expires by itself
                client.delete_pit(body={"pit_id": [point["id"]]})


def source_without_vectors(client: OpenSearch, physical: str, document_id: str) -> dict[str, Any] | None:
    """Version and SHA-256 of one document; None when it no longer exists."""
    body = {"query": {"ids": {"values": [document_id]}}, "_source": ["version", "sha256"]}
    hits = searches.search(client, physical, body)["hits"]["hits"]
    return dict(hits[0]["_source"]) if hits else None


def squared_distances(client: OpenSearch, physical: str, document_id: str, asked: Sequence[Asked]) -> list[float | None]:
    """The squared Euclidean distance of each vector to the stored one, as searches see it; None where nothing is stored.

    Vectors are not read from the document's source: OpenSearch 3.5 makes that of the vector files, and at times of files that it
    has closed (issue 3458 of its k-NN plug-in).
    """
    lines: list[dict[str, Any]] = []
    for one in asked:
        lines += [{"index": physical, "allow_partial_search_results": False}]
        lines += [{"size": 1, "_source": False, "query": _scored(document_id, one)}]
    with translated():
        answers = client.msearch(body="".join(json.dumps(line) + "\n" for line in lines))["responses"]
    found: list[float | None] = []
    for answer in answers:
        if "error" in answer:
            raise Unavailable(f"OpenSearch can't compare vectors now: {answer['error'].get('reason', '')}")
        hits = answer["hits"]["hits"]
        found.append(max(0.0, 1 / hits[0]["_score"] - 1) if hits else None)
    return found


def _scored(document_id: str, one: Asked) -> dict[str, Any]:
    this: dict[str, Any] = {"ids": {"values": [document_id]}}
    if one.row is None:
        return _script({"bool": {"filter": [this, {"exists": {"field": one.path}}]}}, one.path, one.vector)
    scored = _script({"term": {f"{one.path}.number": one.row}}, f"{one.path}.vector", one.vector)
    return {"bool": {"must": [{"nested": {"path": one.path, "score_mode": "max", "query": scored}}], "filter": [this]}}


def _script(query: dict[str, Any], field: str, vector: list[float]) -> dict[str, Any]:
    params = {"field": field, "query_value": vector, "space_type": "l2"}
    return {"script_score": {"query": query, "script": {"source": "knn_score", "lang": "knn", "params": params}}}


def meta(client: OpenSearch, physical: str) -> dict[str, Any]:
    """The metadata of an index: its spaces and their provenance."""
    with translated():
        [index] = client.indices.get_mapping(index=physical).values()
    remembered: dict[str, Any] = index["mappings"]["_meta"]
    return remembered
