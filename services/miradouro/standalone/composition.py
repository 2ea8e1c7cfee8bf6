"""Composes the services of one machine in one process, on the index of its data folder."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from miradouro.adapters.photo_reader.reading import Reading, open_reading
from miradouro.adapters.photo_store import PhotoStores
from miradouro.bundles.keyword_heads import FOLDER as KEYWORDS_FOLDER
from miradouro.bundles.keyword_heads import KeywordHeads
from miradouro.bundles.labels import load_labels
from miradouro.core.ports import Embedder
from miradouro.core.thumbnail import FOLDER
from miradouro.ingest.metrics import IngestMetrics
from miradouro.ingest.pace import PACE
from miradouro.ingest.service import IngestService
from miradouro.processors.pipeline_file import load_pipeline
from miradouro.query.metrics import QueryMetrics
from miradouro.query.pictures import Pictures
from miradouro.query.service import SearchService
from miradouro.query.thumbnail_cache import ThumbnailCache
from miradouro.runtime.grpc_server import Service
from miradouro.standalone.configuration import Configuration
from miradouro.standalone.embedder_on_demand import open_embedder
from miradouro.standalone.machine_index import MachineIndex, open_machine_index, publisher_of_address
from miradouro.standalone.searching import originals, search_service
from miradouro.v1 import ingest_service_pb2, search_service_pb2

_JOURNAL = "reading"  # of a data folder: the photos that are being read


@dataclass(frozen=True)
class AllParts:
    """The services, the other parts that the HTTP API needs, and the function that publishes the server's address."""

    publish_address: Callable[[str], None]
    reading: Reading
    services: list[Service]
    ingest: IngestService
    search: SearchService
    pictures: Pictures


@contextmanager
def ingest_service(
    index: MachineIndex,
    embedder: Embedder,
    configuration: Configuration,
    *,
    reading: Reading,
    writer: bool = True,
    registry: CollectorRegistry | None = None,
) -> Iterator[IngestService]:
    """The ingest service over this process's index; its metrics are in `registry`. Raises ConfigurationError (the pipeline).

    A `writer` keeps a journal of the photos that are being read, so that a photo that crashes the process is found.
    """
    data_folder = configuration.standalone.data_folder
    service = IngestService(
        index=index,
        dead_letters=index,
        embedder=embedder,
        reader=reading.remembering(data_folder / _JOURNAL) if writer else reading.reader,
        photo_store=PhotoStores(configuration.photos),
        labels=load_labels(),
        pipeline=load_pipeline(configuration.ingest.pipeline),
        settings=configuration.ingest,
        keywords=KeywordHeads(data_folder / KEYWORDS_FOLDER),
        pace=PACE,
        limits=reading.limits,
        spaces=configuration.ingest.space_names,
        unloaded=lambda: sorted({*configuration.embedding.bundles} - {bundle.name for bundle in embedder.describe()}),
        excluded=[data_folder],
        folders=configuration.photos.photo_root_folders,
        thumbnails=data_folder / FOLDER,
        metrics=IngestMetrics(registry or CollectorRegistry()),
    )
    try:
        yield service
    finally:
        service.close()


@contextmanager
def open_ingest(configuration: Configuration, *, writer: bool = True, collection: str = "") -> Iterator[IngestService]:
    """The ingest service of one command, which writes to the data folder, or without `writer` only lists failures.

    `collection` is the one that the command makes when it does not exist.
    Raises StoreLocked (a writer), NotFound (no index there, not a writer), FailedPrecondition, Corrupt.
    """
    with (
        open_machine_index(configuration.standalone, writer=writer) as index,
        open_reading(configuration.reading) as reading,
    ):
        makes_one = collection and not any(one.name == collection for one in index.stats())
        spaces = configuration.ingest.space_names if makes_one else None
        with (
            open_embedder(configuration, reading=lambda: reading, index=index, new_spaces=spaces) as embedder,
            ingest_service(index, embedder, configuration, reading=reading, writer=writer) as service,
        ):
            try:
                yield service
            except BaseException:  # mostly Ctrl-C: end at once, without running the queued photos
                embedder.abandon()
                reading.abandon()
                raise


def _new_spaces(index: MachineIndex, configuration: Configuration) -> Sequence[str] | None:
    """The spaces of new collections; None, for no new collection, when there are collections and no setting names spaces."""
    names = configuration.ingest.space_names
    return None if index.stats() and not names else names


@contextmanager
def open_all(configuration: Configuration, *, registry: CollectorRegistry) -> Iterator[AllParts]:
    """Every service on one index and one embedder, its networks loaded and run once.

    Raises StoreLocked, FailedPrecondition, Corrupt, BadBundle, ConfigurationError.
    """
    with (
        open_machine_index(configuration.standalone, writer=True, will_serve=True) as index,
        open_reading(configuration.reading, warm=True) as reading,
        open_embedder(
            configuration, reading=lambda: reading, index=index, new_spaces=_new_spaces(index, configuration), registry=registry
        ) as embedder,
    ):
        parts = embedder.start()
        with ingest_service(index, parts.embedder, configuration, reading=reading, registry=registry) as ingest:
            search = search_service(index, parts.embedder, configuration, reader=reading.reader, metrics=QueryMetrics(registry))
            pictures = Pictures(
                index=index,
                originals=originals(index, configuration),
                reader=reading.reader,
                cache=ThumbnailCache(configuration.standalone.data_folder / FOLDER),
                limits=reading.limits,
            )
            ingest_wire, search_wire = ingest_service_pb2.DESCRIPTOR, search_service_pb2.DESCRIPTOR
            services = [
                parts.service,
                Service(ingest_wire.services_by_name["IngestService"], ingest, ready=parts.service.ready),
                Service(search_wire.services_by_name["SearchService"], search),
            ]
            try:
                yield AllParts(publisher_of_address(index), reading, services, ingest, search, pictures)
            finally:
                embedder.abandon()  # drops the queued photos: their callers are gone
                reading.abandon()
