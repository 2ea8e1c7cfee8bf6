"""The adapters that the suites of this folder run over, each opened as its composition root does."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from _pytest.mark import ParameterSet
from miradouro.adapters.kafka import KafkaDeadLetters
from miradouro.adapters.opensearch import OpenSearchIndex, OpenSearchSettings
from miradouro.adapters.opensearch.client import connect
from miradouro.adapters.sqlite_index import SqliteIndex, Tuning
from miradouro.core.document import Document
from miradouro.core.ports import DeadLetters, IndexAdmin, PhotoIndex, WriteStatus

from tests import engine_processes
from tests.kafka_topics import own_topics
from tests.opensearch_collection import FOUND_AT_ONCE


class Index(PhotoIndex, IndexAdmin, Protocol):
    """What searches and what administers: one object in every adapter."""


def sqlite(folder: Path) -> SqliteIndex:
    return SqliteIndex.open(folder / "data", writer=True)


class SettledIndex(SqliteIndex):
    """Seals, merges and rebuilds after every write: queries use graphs from 50 vectors on."""

    def write(self, documents: Sequence[Document]) -> list[WriteStatus]:
        statuses = super().write(documents)
        assert self.settle(timeout_s=120)
        return statuses


def sqlite_with_graphs(folder: Path) -> SqliteIndex:
    return SettledIndex.open(folder / "data", writer=True, tuning=Tuning(exact_vectors=50, growing_vectors=50))


@contextmanager
def opensearch_on_shards(url: str, shards: int) -> Iterator[OpenSearchIndex]:
    """Indices of its own, which go with the test; what is written is found at once."""
    settings = OpenSearchSettings(
        opensearch_url=url,
        opensearch_prefix=f"t{uuid.uuid4().hex}",
        opensearch_shards=shards,
    )
    with OpenSearchIndex.open(settings, tuning=FOUND_AT_ONCE) as index:
        try:
            yield index
        finally:
            client = connect(settings)
            client.indices.delete(index=f"{settings.opensearch_prefix}.*")
            client.close()


def opensearch(folder: Path) -> AbstractContextManager[OpenSearchIndex]:  # noqa: ARG001 # it is elsewhere
    """On several shards: what holds on them holds on one."""
    return opensearch_on_shards(engine_processes.opensearch(), 3)


INDICES: dict[str, Callable[[Path], AbstractContextManager[Index]]] = {
    "sqlite": sqlite,
    "sqlite with graphs": sqlite_with_graphs,
    "opensearch": opensearch,
}
REMOTE = frozenset({"kafka", "opensearch"})
EMBEDDED = ("sqlite", "sqlite with graphs")


def with_markers(adapters: Iterable[str]) -> list[ParameterSet]:
    """The adapters as parameters of a fixture; those of an engine carry its marker."""
    return [pytest.param(name, marks=pytest.mark.engines if name in REMOTE else ()) for name in sorted(adapters)]


@contextmanager
def kafka(folder: Path) -> Iterator[KafkaDeadLetters]:  # noqa: ARG001 # it is elsewhere
    """A topic of its own."""
    with KafkaDeadLetters(own_topics(engine_processes.kafka(), partitions=2)) as dead_letters:
        yield dead_letters


DEAD_LETTERS: dict[str, Callable[[Path], AbstractContextManager[DeadLetters]]] = {"sqlite": sqlite, "kafka": kafka}
