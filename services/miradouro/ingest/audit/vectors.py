"""Stored vectors against vectors made anew: the original is read again and embedded, by the service that ingest asks."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from opensearchpy import OpenSearch

from miradouro.adapters.kafka.replay import Replay
from miradouro.adapters.opensearch.mapping import field_of, spaces_of
from miradouro.core.decode import DecodeLimits
from miradouro.core.document import Float32
from miradouro.core.embedding import Priority, check_replicas
from miradouro.core.errors import BadPhoto, InvalidArgument, OriginalUnavailable, ProvenanceMismatch
from miradouro.core.ports import Embedder, PhotoReader, PhotoStore
from miradouro.core.spaces import BundleDescription, Space, needed_geometries
from miradouro.ingest.audit.documents import Asked, meta, patiently, source_without_vectors, squared_distances
from miradouro.ingest.audit.findings import Report, Violation
from miradouro.ingest.audit.ledger import Sampled
from miradouro.ingest.cloud_event import event_of

LEAST_COSINE = 0.9999
_TIMEOUT_S = 120.0


class VectorAudit:
    """Compares sampled documents, one after the other. Vectors are compared as angles: both have length 1."""

    def __init__(
        self,
        *,
        client: OpenSearch,
        topic: Replay,
        embedder: Embedder,
        photo_store: PhotoStore,
        reader: PhotoReader,
        limits: DecodeLimits,
    ) -> None:
        self._client, self._topic, self._embedder = client, topic, embedder
        self._photo_store, self._reader, self._limits = photo_store, reader, limits
        self._spaces: dict[str, tuple[Space, ...]] = {}

    def compare(self, sampled: Iterable[Sampled], report: Report) -> Iterator[int]:
        """Adds what it finds to `report`; gives how many are done.

        Raises ProvenanceMismatch (the service makes other vectors than the collection holds), Unavailable.
        """
        bundles = self._embedder.describe()
        for done, one in enumerate(sampled, 1):
            source = self._source_of(one)
            if source is None or source["version"] != one.version:
                report.could_not_check(f"{one.collection}/{one.photo_id}: it was changed while the audit ran")
            else:
                self._compare(one, source, bundles, report)
            yield done

    def _compare(self, one: Sampled, source: Mapping[str, Any], bundles: Sequence[BundleDescription], report: Report) -> None:
        try:
            data, is_inline = self._original(one)
        except (InvalidArgument, OriginalUnavailable) as exc:
            report.could_not_check(f"{one.collection}/{one.photo_id}: the original can't be read again: {exc.message}")
            return
        if hashlib.sha256(data).hexdigest() != source["sha256"]:
            if is_inline:
                told = f"its SHA-256 is {source['sha256']}, not that of the event's photo"
                report.found(Violation("original_differs", told, one.collection, one.photo_id, one.version))
            else:
                report.could_not_check(f"{one.collection}/{one.photo_id}: the original is another file by now")
            return
        spaces = self._spaces_of(one.physical)
        made = self._embed(data, spaces, bundles)
        rows = [(space, row) for space in spaces for row in range(len(made[space.name]))]
        asked = [Asked(field_of(space), row if space.regions else None, made[space.name][row].tolist()) for space, row in rows]
        distances = patiently(lambda: squared_distances(self._client, one.physical, one.document_id, asked))
        report.sampled += 1
        for (space, row), distance in zip(rows, distances, strict=True):
            where = f"{space.name}[{row}]" if space.regions else space.name
            if distance is None:
                report.found(Violation("vector_missing", where, one.collection, one.photo_id, one.version))
                continue
            cosine = 1 - distance / 2  # of vectors of length 1; one of another length lies apart, too
            report.least_cosine = min(cosine, report.least_cosine if report.least_cosine is not None else 1.0)
            if not cosine >= LEAST_COSINE:
                told = f"{where}: cosine {cosine:.6f} to the one made anew; least: {LEAST_COSINE}"
                report.found(Violation("vector_differs", told, one.collection, one.photo_id, one.version))

    def _source_of(self, one: Sampled) -> dict[str, Any] | None:
        return patiently(lambda: source_without_vectors(self._client, one.physical, one.document_id))

    def _original(self, one: Sampled) -> tuple[bytes, bool]:
        """The photo's bytes, and whether the event carries them. Raises InvalidArgument, OriginalUnavailable."""
        record = None if one.partition is None or one.offset is None else self._topic.record(one.partition, one.offset)
        if record is None:
            raise BadPhoto("vanished", "Kafka holds its event no more")
        event = event_of(record)
        if event.data is not None:
            return event.data, True
        return self._photo_store.read(event.uri, limit_bytes=self._limits.max_bytes), False

    def _embed(self, data: bytes, spaces: Sequence[Space], bundles: Sequence[BundleDescription]) -> Mapping[str, Float32]:
        offered = {space.name: space.provenance for bundle in bundles for space in bundle.spaces}
        for space in spaces:
            if offered.get(space.name) != space.provenance:
                raise ProvenanceMismatch(space.name, space.provenance, offered.get(space.name, "none"))
        names = [space.name for space in spaces]
        geometries = needed_geometries(bundles, names, tags=False)
        decoded = self._reader.decode(data, geometries, limits=self._limits, priority=Priority.BULK)
        [embedding] = self._embedder.embed(
            [decoded.tensors],
            spaces=names,
            priority=Priority.BULK,
            timeout_s=_TIMEOUT_S,
        )
        check_replicas(embedding, held={space.name: space.provenance for space in spaces}, told=offered)
        return embedding.vectors

    def _spaces_of(self, physical: str) -> tuple[Space, ...]:
        if physical not in self._spaces:
            self._spaces[physical] = spaces_of(patiently(lambda: meta(self._client, physical)))
        return self._spaces[physical]
