"""AuditedIndex over OpenSearch: reads the stored documents directly, not through OpenSearchIndex."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError

from miradouro.adapters.opensearch import searches
from miradouro.adapters.opensearch.client import connect, translated
from miradouro.adapters.opensearch.documents import id_of
from miradouro.adapters.opensearch.mapping import alias_of, field_of, spaces_of, vector_field
from miradouro.adapters.opensearch.scores import distance_of, space_type
from miradouro.adapters.opensearch.settings import OpenSearchSettings
from miradouro.core.audited_index import DocumentKey, RawDocument, StoredState
from miradouro.core.document import Vectors
from miradouro.core.errors import MiradouroError, Unavailable
from miradouro.core.spaces import Space

_PAGE = 1_000
_KEPT = "10m"  # lifetime of the point in time between two pages
_ANSWER_WITHIN_S = 120.0  # for one page: an audit is not urgent, and restarts when a page fails
_TOMBSTONE = {"collection", "photo_id", "version", "deleted"}


@contextmanager
def open_audit(settings: OpenSearchSettings) -> Iterator["OpenSearchAudit"]:
    """Opens an audit of the cluster in `settings`. Raises ConfigurationError."""
    with closing(connect(settings, timeout_s=_ANSWER_WITHIN_S)) as client:
        yield OpenSearchAudit(client, prefix=settings.opensearch_prefix)


class OpenSearchAudit:
    """Reads every shard. Raises Unavailable when one is missing; also Overloaded and Unauthenticated. Thread-safe."""

    def __init__(self, client: OpenSearch, *, prefix: str) -> None:
        self._client, self._prefix = client, prefix

    def collections(self) -> Sequence[str]:
        """See `AuditedIndex.collections`; taken from the aliases."""
        return searches.collection_names(self._client, self._prefix)

    def count(self, collection: str) -> int:
        """See `AuditedIndex.count`: refreshes first."""
        alias = alias_of(self._prefix, collection)
        with translated():
            self._client.indices.refresh(index=alias)
        return searches.count(self._client, alias)

    def documents(self, collection: str) -> Iterator[RawDocument]:
        """See `AuditedIndex.documents`."""
        return self._scan(collection, {"query": {"match_all": {}}, "_source": sorted(_TOMBSTONE)})

    def tombstones(self, collection: str) -> Iterator[RawDocument]:
        """See `AuditedIndex.tombstones`."""
        return self._scan(collection, {"query": {"term": {"deleted": True}}})

    def state(self, key: DocumentKey) -> StoredState | None:
        """See `AuditedIndex.state`."""
        body = {"query": {"ids": {"values": [key.document_id]}}, "_source": ["version", "sha256"]}
        hits = searches.search(self._client, key.generation, body)["hits"]["hits"]
        return StoredState(hits[0]["_source"]["version"], hits[0]["_source"].get("sha256", "")) if hits else None

    def spaces(self, generation: str) -> Sequence[Space]:
        """See `AuditedIndex.spaces`."""
        with translated():
            [index] = self._client.indices.get_mapping(index=generation).values()
        return spaces_of(index["mappings"]["_meta"])

    def distances(self, key: DocumentKey, vectors: Mapping[Space, Vectors]) -> dict[Space, list[float | None]]:
        """See `AuditedIndex.distances`.

        The cluster computes the distances, because reading vectors from `_source` is unreliable: OpenSearch 3.5 derives them from
        vector files that it sometimes has already closed (issue 3458 of its k-NN plug-in).
        """
        rows = [(space, number, row) for space, matrix in vectors.items() for number, row in enumerate(matrix)]
        lines: list[dict[str, Any]] = []
        for space, number, row in rows:
            query = _scored(key.document_id, space, number if space.regions else None, row.tolist())
            lines += [{"index": key.generation, "allow_partial_search_results": False}]
            lines += [{"size": 1, "_source": False, "query": query}]
        with translated():
            answers = self._client.msearch(body="".join(json.dumps(line) + "\n" for line in lines))["responses"]
        found: dict[Space, list[float | None]] = {space: [] for space in vectors}
        for (space, _, _), answer in zip(rows, answers, strict=True):
            if "error" in answer:
                raise Unavailable(f"OpenSearch can't compare vectors now: {answer['error'].get('reason', '')}")
            hits = answer["hits"]["hits"]
            found[space].append(distance_of(hits[0]["_score"], space, scripted=True) if hits else None)
        return found

    def _scan(self, collection: str, query: dict[str, Any]) -> Iterator[RawDocument]:
        """Reads pages of a point in time.

        A scroll must not be used: OpenSearch 3.5 closes the vector files of scrolled segments, and cannot read their documents
        with vectors until the segments are merged.
        """
        alias = alias_of(self._prefix, collection)
        with translated():
            options = {"keep_alive": _KEPT, "allow_partial_pit_creation": "false"}
            point = {"id": self._client.create_pit(index=alias, params=options)["pit_id"], "keep_alive": _KEPT}
            try:
                body = {**query, "version": True, "size": _PAGE, "pit": point, "sort": [{"_shard_doc": "asc"}]}
                while True:
                    hits = searches.search(self._client, None, body)["hits"]["hits"]
                    yield from map(_raw, hits)
                    if len(hits) < _PAGE:
                        return
                    body["search_after"] = hits[-1]["sort"]
            except NotFoundError as exc:
                raise Unavailable(f"OpenSearch dropped the point in time of {alias}: {exc}") from exc
            finally:
                with suppress(MiradouroError, NotFoundError), translated():  # otherwise it expires
                    self._client.delete_pit(body={"pit_id": [point["id"]]})


def _raw(hit: Mapping[str, Any]) -> RawDocument:
    source = hit["_source"]
    collection, photo_id = str(source.get("collection", "")), str(source.get("photo_id", ""))
    return RawDocument(
        key=DocumentKey(hit["_index"], hit["_id"]),
        expected_id=id_of(collection, photo_id),
        collection=collection,
        photo_id=photo_id,
        version=int(source.get("version", 0)),
        deleted=bool(source.get("deleted")),
        engine_version=hit["_version"],
        surplus=tuple(sorted(source.keys() - _TOMBSTONE)),
    )


def _scored(document_id: str, space: Space, number: int | None, vector: list[float]) -> dict[str, Any]:
    """A query that scores the stored vector by its distance to `vector`; with `number` the vector of that region."""
    field = field_of(space)
    this: dict[str, Any] = {"ids": {"values": [document_id]}}
    if number is None:
        return _script({"bool": {"filter": [this, {"exists": {"field": field}}]}}, space, vector)
    scored = _script({"term": {f"{field}.number": number}}, space, vector)
    return {"bool": {"must": [{"nested": {"path": field, "score_mode": "max", "query": scored}}], "filter": [this]}}


def _script(query: dict[str, Any], space: Space, vector: list[float]) -> dict[str, Any]:
    params = {"field": vector_field(space), "query_value": vector, "space_type": space_type(space)}
    return {"script_score": {"query": query, "script": {"source": "knn_score", "lang": "knn", "params": params}}}
