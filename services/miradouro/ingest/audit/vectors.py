"""Compares stored vectors with new ones: reads the original again, and embeds it by the service that ingest uses."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from miradouro.adapters.kafka.replay import Replay
from miradouro.core.audited_index import AuditedIndex, StoredState
from miradouro.core.codes import stored_form
from miradouro.core.document import Vectors
from miradouro.core.embedding import Priority, check_replicas
from miradouro.core.errors import BadPhoto, InvalidArgument, OriginalUnavailable, ProvenanceMismatch
from miradouro.core.photo_limits import DecodeLimits
from miradouro.core.ports import Embedder, PhotoReader, PhotoStore
from miradouro.core.spaces import BundleDescription, Space, needed_geometries
from miradouro.ingest.audit.findings import Report, Violation
from miradouro.ingest.audit.ledger import Sampled
from miradouro.ingest.audit.patience import patiently
from miradouro.ingest.cloud_event import event_of

LEAST_COSINE = 0.9999
_TIMEOUT_S = 120.0


class VectorAudit:
    """Compares sampled documents, one after the other, by the cosine of stored and new vectors; both have length 1."""

    def __init__(
        self,
        *,
        index: AuditedIndex,
        topic: Replay,
        embedder: Embedder,
        photo_store: PhotoStore,
        reader: PhotoReader,
        limits: DecodeLimits,
    ) -> None:
        self._index, self._topic, self._embedder = index, topic, embedder
        self._photo_store, self._reader, self._limits = photo_store, reader, limits
        self._spaces: dict[str, tuple[Space, ...]] = {}

    def compare(self, sampled: Iterable[Sampled], report: Report) -> Iterator[int]:
        """Adds its findings to `report`; yields the number of documents that are done.

        Raises ProvenanceMismatch (the service makes other vectors than the collection holds), Unavailable.
        """
        bundles = patiently(self._embedder.describe)
        for done, one in enumerate(sampled, 1):
            state = self._state_of(one)
            if state is None or state.version != one.version:
                report.could_not_check(f"{one.collection}/{one.photo_id}: it was changed while the audit ran")
            else:
                self._compare(one, state, bundles, report)
            yield done

    def _compare(self, one: Sampled, state: StoredState, bundles: Sequence[BundleDescription], report: Report) -> None:
        try:
            data, is_inline = self._original(one)
        except (InvalidArgument, OriginalUnavailable) as exc:
            report.could_not_check(f"{one.collection}/{one.photo_id}: the original can't be read again: {exc.message}")
            return
        if hashlib.sha256(data).hexdigest() != state.sha256:
            if is_inline:
                message = f"its SHA-256 is {state.sha256}, not that of the event's photo"
                report.found(Violation("original_differs", message, one.collection, one.photo_id, one.version))
            else:
                report.could_not_check(f"{one.collection}/{one.photo_id}: the original is another file by now")
            return
        spaces = self._spaces_of(one.key.generation)
        made = patiently(lambda: self._embed(data, spaces, bundles))
        vectors = {space: stored_form(made[space.name], space) for space in spaces}
        found = patiently(lambda: self._index.distances(one.key, vectors))
        report.sampled += 1
        rows = [(space, row, distance) for space in spaces for row, distance in enumerate(found[space])]
        for space, row, distance in rows:
            where = f"{space.name}[{row}]" if space.regions else space.name
            if distance is None:
                report.found(Violation("vector_missing", where, one.collection, one.photo_id, one.version))
                continue
            cosine = 1 - distance**2 / 2  # a stored vector that has another length than 1 lies apart, too
            report.least_cosine = min(cosine, report.least_cosine if report.least_cosine is not None else 1.0)
            if not cosine >= LEAST_COSINE:
                message = f"{where}: cosine {cosine:.6f} to the one made anew; least: {LEAST_COSINE}"
                report.found(Violation("vector_differs", message, one.collection, one.photo_id, one.version))

    def _state_of(self, one: Sampled) -> StoredState | None:
        return patiently(lambda: self._index.state(one.key))

    def _original(self, one: Sampled) -> tuple[bytes, bool]:
        """The photo's bytes, and whether the event carries them. Raises InvalidArgument, OriginalUnavailable."""
        record = None if one.partition is None or one.offset is None else self._topic.record(one.partition, one.offset)
        if record is None:
            raise BadPhoto("vanished", "Kafka holds its event no more")
        event = event_of(record)
        if event.data is not None:
            return event.data, True
        return self._photo_store.read(event.uri, limit_bytes=self._limits.max_bytes), False

    def _embed(self, data: bytes, spaces: Sequence[Space], bundles: Sequence[BundleDescription]) -> Mapping[str, Vectors]:
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
        check_replicas(embedding, held={space.name: space.provenance for space in spaces}, described=offered)
        return embedding.vectors

    def _spaces_of(self, generation: str) -> tuple[Space, ...]:
        if generation not in self._spaces:
            self._spaces[generation] = tuple(patiently(lambda: self._index.spaces(generation)))
        return self._spaces[generation]
