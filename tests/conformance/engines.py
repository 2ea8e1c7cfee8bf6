"""The adapters that the suites of this folder run over, each opened as its composition root does."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.core.ports import DeadLetters, IndexAdmin, PhotoIndex


class Index(PhotoIndex, IndexAdmin, Protocol):
    """What searches and what administers: one object in every adapter."""


def sqlite(folder: Path) -> SqliteIndex:
    return SqliteIndex.open(folder / "data", writer=True)


INDICES: dict[str, Callable[[Path], AbstractContextManager[Index]]] = {"sqlite": sqlite}
DEAD_LETTERS: dict[str, Callable[[Path], AbstractContextManager[DeadLetters]]] = {"sqlite": sqlite}
