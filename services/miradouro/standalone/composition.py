"""Puts one machine's services together in one process, on the embedded index."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from miradouro.adapters.file_store import FileStore
from miradouro.adapters.onnx_embedder import OnnxEmbedder
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.bundles.labels import load_labels
from miradouro.bundles.registry import OpenBundle
from miradouro.bundles.settings import BundleSettings
from miradouro.core.decode import DecodeLimits
from miradouro.core.ports import Embedder
from miradouro.embedding.composition import EmbeddingParts, run_embedding
from miradouro.embedding.settings import EmbeddingSettings
from miradouro.ingest.service import IngestService
from miradouro.ingest.settings import IngestSettings
from miradouro.processors.pipeline_file import load_pipeline
from miradouro.query.service import SearchService
from miradouro.query.settings import QuerySettings
from miradouro.runtime.grpc_server import Service
from miradouro.runtime.settings import load
from miradouro.standalone.embedder_on_demand import EmbedderOnDemand
from miradouro.standalone.models import open_or_pull
from miradouro.standalone.settings import StandaloneSettings
from miradouro.v1 import ingest_service_pb2, search_service_pb2

PAGE_KEY_BYTES = 32


@dataclass(frozen=True)
class Configuration:
    """The settings of every room, by default from the environment; raises ConfigurationError then."""

    standalone: StandaloneSettings = field(default_factory=partial(load, StandaloneSettings))
    query: QuerySettings = field(default_factory=partial(load, QuerySettings))
    embedding: EmbeddingSettings = field(default_factory=partial(load, EmbeddingSettings))
    ingest: IngestSettings = field(default_factory=partial(load, IngestSettings))
    bundles: BundleSettings = field(default_factory=partial(load, BundleSettings))


@contextmanager
def open_embedder(
    configuration: Configuration, *, bundles: Sequence[str] = (), registry: CollectorRegistry | None = None
) -> Iterator[EmbedderOnDemand]:
    """An embedder of the `bundles`, of all that the settings name when empty, which loads nothing until it is needed."""
    settings, models = configuration.embedding, configuration.bundles.folder
    open_bundles = partial(
        open_or_pull,
        bundles or settings.bundles,
        precision=settings.precision,
        folder=models,
        offline=configuration.standalone.offline,
    )

    @contextmanager
    def run(opened: list[OpenBundle]) -> Iterator[EmbeddingParts]:
        networks = OnnxEmbedder(
            opened, provider=settings.provider, threads=settings.inference_threads, cache_folder=models / "tensorrt"
        )
        with run_embedding(networks, settings, registry=registry or CollectorRegistry()) as parts:
            yield parts

    with EmbedderOnDemand(open_bundles=open_bundles, run=run) as embedder:
        yield embedder


def search_service(index: SqliteIndex, embedder: Embedder, configuration: Configuration) -> SearchService:
    """The search service over this process's index; its page tokens are good as long as the process lives."""
    return SearchService(
        store=index,
        embedder=embedder,
        canonical=lambda word: load_labels().canonical(word),  # read when the first word is asked for
        default_space=configuration.query.default_space,
        limits=decode_limits(configuration.embedding),
        page_key=os.urandom(PAGE_KEY_BYTES),
    )


@contextmanager
def ingest_service(index: SqliteIndex, embedder: Embedder, configuration: Configuration) -> Iterator[IngestService]:
    """The ingest service over this process's index. Raises ConfigurationError (the pipeline)."""
    service = IngestService(
        store=index,
        embedder=embedder,
        photo_store=FileStore([Path(root) for root in configuration.ingest.photo_roots.split(":") if root]),
        labels=load_labels(),
        pipeline=load_pipeline(configuration.ingest.pipeline),
        settings=configuration.ingest,
        limits=decode_limits(configuration.embedding),
        excluded=[configuration.standalone.data_folder],
    )
    try:
        yield service
    finally:
        service.close()


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


@contextmanager
def open_ingest(configuration: Configuration) -> Iterator[IngestService]:
    """The ingest service of one command, writing to the data folder. Raises StoreLocked, FailedPrecondition, Corrupt."""
    with (
        SqliteIndex.open(configuration.standalone.data_folder, writer=True) as index,
        open_embedder(configuration) as embedder,
        ingest_service(index, embedder, configuration) as service,
    ):
        yield service


@contextmanager
def open_all(configuration: Configuration, *, registry: CollectorRegistry) -> Iterator[tuple[SqliteIndex, list[Service]]]:
    """Every service on one index and one embedder, its networks loaded and run once; and the index, to tell it the address.

    Raises StoreLocked, FailedPrecondition, Corrupt, BadBundle, ConfigurationError.
    """
    with (
        SqliteIndex.open(configuration.standalone.data_folder, writer=True) as index,
        open_embedder(configuration, registry=registry) as embedder,
    ):
        parts = embedder.start()
        with ingest_service(index, parts.embedder, configuration) as ingest:
            search = search_service(index, parts.embedder, configuration)
            ingest_wire, search_wire = ingest_service_pb2.DESCRIPTOR, search_service_pb2.DESCRIPTOR
            yield (
                index,
                [
                    parts.service,
                    Service(ingest_wire.services_by_name["IngestService"], ingest, ready=parts.service.ready),
                    Service(search_wire.services_by_name["SearchService"], search),
                ],
            )


def decode_limits(settings: EmbeddingSettings) -> DecodeLimits:
    """What photos are taken, the same at every door of the process."""
    return DecodeLimits(max_bytes=settings.max_photo_bytes, max_pixels=settings.max_photo_pixels)
