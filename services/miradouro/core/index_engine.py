"""The interface of an index engine: a named function that opens an index."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from miradouro.core.audited_index import AuditedIndex
from miradouro.core.ports import IndexAdmin, PhotoIndex


@dataclass(frozen=True)
class Opening:
    """How a process opens its index.

    `data_folder` is the folder of this machine, where an embedded engine keeps its files; None in the services of many machines.
    `writer`: the process writes; an engine that allows one writer at a time locks its files, and one that allows more ignores it.
    `will_serve`: the process will answer the other commands of this machine. `exact_vectors`: a space of at most this many
    vectors is searched exactly; a larger one may be searched approximately.
    """

    data_folder: Path | None = None
    writer: bool = True
    will_serve: bool = False
    exact_vectors: int = 20_000


class Index(PhotoIndex, IndexAdmin, Protocol):
    """An open index. Thread-safe, as every port."""

    def check(self) -> None:
        """Returns when the engine answers; raises Unavailable otherwise."""
        ...


class IndexEngine(Protocol):
    """The function that an entry point of the group `miradouro.indexes` names; the entry point's name is the engine's.

        [project.entry-points."miradouro.indexes"]
        memory = "memory_index:open_memory"

    `MIRADOURO_INDEX=memory` chooses it. The engine reads its own settings, from variables that do not begin with MIRADOURO_.
    It passes the conformance suites of PhotoIndex and IndexAdmin (tests/conformance). An index for one machine implements
    `DeadLetters` too, and may implement `Addressed`; an index that can be audited implements `Auditable`.
    """

    def __call__(self, opening: Opening, /) -> AbstractContextManager[Index]:
        """The open index; leaving the context closes it.

        Raises ConfigurationError (a setting, or an `opening` that the engine can't serve), NotFound (a reader of an index that
        does not exist), StoreLocked (a second writer), FailedPrecondition, Corrupt, Unavailable.
        """
        ...


@runtime_checkable
class Addressed(Protocol):
    """An index that lets the other processes of this machine find the server that has it open."""

    def set_address(self, address: str) -> None:
        """Publishes the host:port at which this process answers."""
        ...


@runtime_checkable
class Auditable(Protocol):
    """An index that can be audited."""

    def audited(self) -> AbstractContextManager[AuditedIndex]:
        """The index as its engine holds it."""
        ...
