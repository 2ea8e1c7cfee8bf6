"""Composes the embedding service: bundles, networks, batcher, handlers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from miradouro.adapters.onnx_embedder import OnnxEmbedder
from miradouro.adapters.photo_reader.reading import Reading
from miradouro.bundles.catalogue import find
from miradouro.bundles.registry import open_bundle
from miradouro.embedding.batcher import QUEUE_TENSORS, Batcher
from miradouro.embedding.metrics import EmbeddingMetrics
from miradouro.embedding.service import DECODE_PENDING_BYTES, EmbeddingService
from miradouro.embedding.settings import EmbeddingSettings
from miradouro.runtime.grpc_server import Service
from miradouro.v1 import embedding_service_pb2


@dataclass(frozen=True)
class EmbeddingParts:
    """The running embedder: the port for this process, and the service for other processes."""

    embedder: Batcher
    service: Service


@contextmanager
def open_embedding(
    settings: EmbeddingSettings, *, models: Path, reading: Reading, registry: CollectorRegistry
) -> Iterator[EmbeddingParts]:
    """Loads the bundles of the settings from the folder `models`, and runs them while the block runs.

    Raises BadBundle, InvalidArgument (unknown bundle or precision), ConfigurationError (onnxruntime or its provider).
    """
    bundles = [
        open_bundle(name, precision=find(name).precision_for(settings.precision), folder=models) for name in settings.bundles
    ]
    networks = OnnxEmbedder(
        bundles,
        provider=settings.provider,
        cache_folder=(settings.cache_dir or models) / "tensorrt",
    )
    with run_embedding(networks, reading=reading, registry=registry) as parts:
        yield parts


@contextmanager
def run_embedding(
    networks: OnnxEmbedder,
    *,
    reading: Reading,
    registry: CollectorRegistry,
    queue_tensors: int = QUEUE_TENSORS,
    decode_pending_bytes: int = DECODE_PENDING_BYTES,
) -> Iterator[EmbeddingParts]:
    """Runs loaded networks while the block runs; on leaving, the queued photos are run first.

    `queue_tensors`: the most queued tensors (one per photo and bundle). `decode_pending_bytes`: the most bytes of encoded photos
    that wait to be decoded.
    """
    metrics = EmbeddingMetrics(registry)
    batcher = Batcher(networks, metrics=metrics, queue_tensors=queue_tensors)
    handlers = EmbeddingService(
        batcher,
        reader=reading.reader,
        metrics=metrics,
        limits=reading.limits,
        decode_pending_bytes=decode_pending_bytes,
    )
    descriptor = embedding_service_pb2.DESCRIPTOR.services_by_name["EmbeddingService"]
    try:
        yield EmbeddingParts(batcher, Service(descriptor, handlers, ready=lambda: handlers.ready))
    finally:
        batcher.stop()
        handlers.close()
