"""Documents as the cluster holds them, not as our index reads them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError

from miradouro.adapters.opensearch.client import translated

_PAGE = 1_000
_KEPT = "10m"  # from one page to the next
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
        """Collection, photo id and version as the document tells them; "" and 0 where it does not."""
        told = self.source
        return str(told.get("collection", "")), str(told.get("photo_id", "")), int(told.get("version", 0))

    @property
    def surplus(self) -> list[str]:
        """What a tombstone holds and should not."""
        return sorted(self.source.keys() - _TOMBSTONE)


def live_aliases(client: OpenSearch, prefix: str) -> dict[str, str]:
    """Collection → the alias that questions go to. Raises Unavailable."""
    with translated():
        found = client.indices.get_alias(index=f"{prefix}.*")
    return {name.removeprefix(f"{prefix}."): name for told in found.values() for name in told["aliases"]}


def count(client: OpenSearch, alias: str) -> int:
    """Documents and tombstones behind an alias, after a refresh: what is safe need not be searchable yet."""
    with translated():
        client.indices.refresh(index=alias)
        return int(client.count(index=alias)["count"])


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
        point = {"id": client.create_pit(index=alias, params={"keep_alive": _KEPT})["pit_id"], "keep_alive": _KEPT}
        try:
            body = {**query, "version": True, "size": _PAGE, "pit": point, "sort": [{"_shard_doc": "asc"}]}
            while True:
                hits = client.search(body=body)["hits"]["hits"]
                for hit in hits:
                    yield RawDocument(hit["_index"], hit["_id"], hit["_version"], hit["_source"])
                if len(hits) < _PAGE:
                    return
                body["search_after"] = hits[-1]["sort"]
        finally:
            client.delete_pit(body={"pit_id": [point["id"]]})


def whole_source(client: OpenSearch, physical: str, document_id: str) -> dict[str, Any] | None:
    """Everything that one document holds, vectors too; None when it is there no more."""
    with translated():
        try:
            source: dict[str, Any] = client.get(index=physical, id=document_id)["_source"]
        except NotFoundError:
            return None
    return source


def meta(client: OpenSearch, physical: str) -> dict[str, Any]:
    """What an index remembers of its spaces."""
    with translated():
        [told] = client.indices.get_mapping(index=physical).values()
    remembered: dict[str, Any] = told["mappings"]["_meta"]
    return remembered
