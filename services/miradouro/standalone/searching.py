"""The search service of one process, in a module with few imports: a search by words must start fast."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from miradouro.adapters.photo_store import PhotoStores
from miradouro.core.index_engine import Index
from miradouro.core.ports import Embedder, PhotoReader
from miradouro.core.understood import Lexicon
from miradouro.query.originals import Originals
from miradouro.query.service import SearchService
from miradouro.standalone.configuration import Configuration
from miradouro.standalone.embedder_on_demand import open_embedder
from miradouro.standalone.machine_index import open_machine_index
from miradouro.standalone.reader_on_demand import reader_of, reading_on_demand

if TYPE_CHECKING:
    from miradouro.query.metrics import QueryMetrics

PAGE_KEY_BYTES = 32


def search_service(
    index: Index,
    embedder: Embedder,
    configuration: Configuration,
    *,
    reader: PhotoReader,
    metrics: "QueryMetrics | None" = None,
) -> SearchService:
    """The search service over this process's index; its page tokens are valid as long as the service exists."""
    return SearchService(
        index=index,
        embedder=embedder,
        reader=reader,
        lexicon=_lexicon,
        default_space=configuration.query.default_space,
        original=originals(index, configuration).read,
        limits=configuration.reading.limits,
        page_key=os.urandom(PAGE_KEY_BYTES),
        metrics=metrics,
    )


def _lexicon() -> Lexicon:
    from miradouro.bundles.words import load_words  # here: loaded with the first word

    return load_words()


def originals(index: Index, configuration: Configuration) -> Originals:
    """The reader of original photos of this process's index, when this machine has them."""
    return Originals(index=index, photo_store=PhotoStores(configuration.photos).below, limits=configuration.reading.limits)


@contextmanager
def open_search(configuration: Configuration, *, space: str, region: bool = False) -> Iterator[SearchService]:
    """The search service for one question in `space`, over the data folder, read-only.

    An empty `space` means the default one, or with `region` that of regions. Only the bundle of the space is ever loaded. Raises
    NotFound (no index there), FailedPrecondition, Corrupt.
    """
    with (
        open_machine_index(configuration.standalone, writer=False) as index,
        reading_on_demand(configuration.reading) as reading,
    ):
        held = {one.name.split("/")[0] for collection in index.stats() for one in collection.spaces}
        wanted = {(space or configuration.query.default_space).split("/")[0]}
        if region and not space:
            from miradouro.bundles.catalogue import manifests

            regional = {manifest.name for manifest in manifests() if any(part.boxes for part in manifest.spaces)}
            wanted = held & regional or wanted
        bundles = sorted(wanted & {*configuration.embedding.bundles, *held})
        with open_embedder(configuration, reading=reading, index=index, bundles=bundles) as embedder:
            yield search_service(index, embedder, configuration, reader=reader_of(reading))
