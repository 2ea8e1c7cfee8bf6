"""The adapters that the suites of this folder run over, each opened as its composition root does."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from miradouro.adapters.sqlite_index import SqliteIndex, Tuning
from miradouro.core.document import Document
from miradouro.core.ports import DeadLetters, IndexAdmin, PhotoIndex, WriteStatus


class Index(PhotoIndex, IndexAdmin, Protocol):
    """What searches and what administers: one object in every adapter."""


def sqlite(folder: Path) -> SqliteIndex:
    return SqliteIndex.open(folder / "data", writer=True)


class SettledIndex(SqliteIndex):
    """After every write everything is sealed, merged and mended that is due: questions meet graphs from 50 vectors on."""

    def write(self, documents: Sequence[Document]) -> list[WriteStatus]:
        statuses = super().write(documents)
        assert self.settle(timeout_s=120)
        return statuses


def sqlite_with_graphs(folder: Path) -> SqliteIndex:
    return SettledIndex.open(folder / "data", writer=True, tuning=Tuning(exact_vectors=50, tail_vectors=50))


INDICES: dict[str, Callable[[Path], AbstractContextManager[Index]]] = {"sqlite": sqlite, "sqlite with graphs": sqlite_with_graphs}
DEAD_LETTERS: dict[str, Callable[[Path], AbstractContextManager[DeadLetters]]] = {"sqlite": sqlite}
