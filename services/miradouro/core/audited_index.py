"""The port of an audit: an index as its engine holds it. An index offers it by `index_engine.Auditable`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from miradouro.core.document import Vectors
from miradouro.core.spaces import Space


@dataclass(frozen=True)
class DocumentKey:
    """The key of a document in the engine: its generation (the physical index of a collection) and its id there."""

    generation: str
    document_id: str


@dataclass(frozen=True)
class RawDocument:
    """A document or tombstone as the engine holds it; a missing text is "", a missing number 0.

    `expected_id` is the id that a write of this photo uses. `engine_version` is the version that the engine compares writes
    with. `surplus` names fields that were read although a tombstone must not have them.
    """

    key: DocumentKey
    expected_id: str
    collection: str
    photo_id: str
    version: int
    deleted: bool
    engine_version: int
    surplus: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredState:
    """The version of a document and the SHA-256 of its photo."""

    version: int
    sha256: str


class AuditedIndex(Protocol):
    """Reads an index as its engine holds it, so that an audit need not trust the adapter's own reading.

    Every method raises Unavailable when it can't read all of the requested data; no method retries.
    """

    def collections(self) -> Sequence[str]:
        """The names of all collections, sorted."""
        ...

    def count(self, collection: str) -> int:
        """Number of documents and tombstones. Refreshes the index first, so that the other methods see every stored document."""
        ...

    def documents(self, collection: str) -> Iterator[RawDocument]:
        """Every document and tombstone at one point in time; memory does not grow with their number. `surplus` is empty."""
        ...

    def tombstones(self, collection: str) -> Iterator[RawDocument]:
        """Every tombstone at one point in time, with its `surplus`."""
        ...

    def state(self, key: DocumentKey) -> StoredState | None:
        """The state of one document; None when it no longer exists."""
        ...

    def spaces(self, generation: str) -> Sequence[Space]:
        """The spaces of a generation."""
        ...

    def distances(self, key: DocumentKey, vectors: Mapping[Space, Vectors]) -> dict[Space, list[float | None]]:
        """Euclidean distances, as searches compute them, of given vectors to the stored ones; None where none is stored.

        `vectors`: space → [vectors_per_photo, dimension] in the form that the space stores; one distance per row.
        """
        ...
