"""The search service in one process; apart from the rest, since a question in words needs little of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.bundles.labels import load_labels
from miradouro.core.ports import Embedder
from miradouro.query.service import SearchService
from miradouro.standalone.configuration import Configuration
from miradouro.standalone.embedder_on_demand import open_embedder

PAGE_KEY_BYTES = 32


def search_service(index: SqliteIndex, embedder: Embedder, configuration: Configuration) -> SearchService:
    """The search service over this process's index; its page tokens are good as long as the process lives."""
    return SearchService(
        store=index,
        embedder=embedder,
        canonical=lambda word: load_labels().canonical(word),  # read when the first word is asked for
        default_space=configuration.query.default_space,
        limits=configuration.limits,
        page_key=os.urandom(PAGE_KEY_BYTES),
    )


@contextmanager
def open_search(configuration: Configuration, *, space: str) -> Iterator[SearchService]:
    """The search service of one question in `space` (empty: the default one), reading the data folder.

    Of the bundles only that of the space is ever loaded. Raises NotFound (no index there), FailedPrecondition, Corrupt.
    """
    bundle = (space or configuration.query.default_space).split("/")[0]
    bundles = [bundle] if bundle in configuration.embedding.bundles else []
    with (
        SqliteIndex.open(configuration.standalone.data_folder, writer=False) as index,
        open_embedder(configuration, bundles=bundles) as embedder,
    ):
        yield search_service(index, embedder, configuration)
