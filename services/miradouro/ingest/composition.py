"""Composes the ingest service of many machines: events from Kafka, the embedding service, documents to the index."""

import functools
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from miradouro.adapters.embedding_peer import EmbeddingPeerSettings
from miradouro.adapters.grpc_embedder import GrpcEmbedder
from miradouro.adapters.index_engines import SHARED_ENGINE, open_index
from miradouro.adapters.kafka import INTAKE, KafkaBrokers, KafkaDeadLetters, KafkaSettings, KafkaSource, ensure_topics
from miradouro.adapters.photo_reader.reading import open_reading
from miradouro.adapters.photo_reader.settings import ReadingSettings
from miradouro.adapters.photo_store import PhotoStores, PhotoStoreSettings
from miradouro.bundles.keyword_heads import FOLDER, KeywordHeads
from miradouro.bundles.labels import load_labels
from miradouro.bundles.settings import BundleSettings
from miradouro.core.index_engine import Opening
from miradouro.ingest.cloud_event import item_of
from miradouro.ingest.consumer import Consumer
from miradouro.ingest.metrics import IngestMetrics
from miradouro.ingest.pace import PACE
from miradouro.ingest.service import IngestService
from miradouro.ingest.settings import IngestSettings
from miradouro.processors.pipeline_file import load_pipeline
from miradouro.runtime.grpc_server import Service
from miradouro.runtime.peers import Peer, watched
from miradouro.runtime.settings import IndexSettings, load
from miradouro.v1 import ingest_service_pb2


def _journal_folder(kafka: KafkaSettings) -> Path:
    """The folder of the journal of photos that are being read: in the temporary folder, which outlives the process.

    Each user of the machine has one for each consumer group of a topic.
    """
    consumed = "\0".join((kafka.kafka_bootstrap, kafka.kafka_topic, kafka.kafka_group))
    name = hashlib.sha256(consumed.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"miradouro-{os.geteuid()}-reading-{name}"


@dataclass(frozen=True)
class IngestParts:
    """The consumer, and the service that other programs may call."""

    consumer: Consumer
    service: Service


@contextmanager
def open_ingest(settings: IngestSettings, *, registry: CollectorRegistry) -> Iterator[IngestParts]:
    """Opens everything that ingest needs; the consumer is not started.

    Raises ConfigurationError (a setting, the pipeline), Unavailable (Kafka does not answer).
    """
    kafka, chosen = load(KafkaSettings), load(IndexSettings)
    engine = chosen.index or SHARED_ENGINE
    pipeline = load_pipeline(settings.pipeline)
    photos = load(PhotoStoreSettings)
    photo_store = PhotoStores(photos)
    photo_store.open()
    ensure_topics(kafka)
    with (
        open_reading(load(ReadingSettings), warm=True) as reading,
        GrpcEmbedder(load(EmbeddingPeerSettings).embedding_address) as embedder,
        open_index(engine, Opening(exact_vectors=chosen.exact_vectors)) as index,
        KafkaDeadLetters(kafka) as dead_letters,
        KafkaSource(kafka, functools.partial(item_of, strict=kafka.kafka_strict_events), intake=INTAKE) as source,
        KafkaBrokers(kafka) as brokers,
        watched(
            [
                Peer("kafka", "MIRADOURO_KAFKA_BOOTSTRAP", brokers.check),
                Peer(engine, "MIRADOURO_INDEX", index.check),
                Peer("embedding", "MIRADOURO_EMBEDDING_ADDRESS", embedder.check),
            ],
            registry=registry,
        ) as peers,
    ):
        metrics = IngestMetrics(registry)
        metrics.watch(pending=lambda: source.pending, lag=lambda: source.lag)
        service = IngestService(
            index=index,
            dead_letters=dead_letters,
            embedder=embedder,
            reader=reading.remembering(_journal_folder(kafka)),
            limits=reading.limits,
            photo_store=photo_store,
            labels=load_labels(),
            pipeline=pipeline,
            settings=settings,
            keywords=KeywordHeads(load(BundleSettings).folder / FOLDER),
            pace=PACE,
            spaces=settings.space_names,
            folders=photos.photo_root_folders,
            metrics=metrics,
        )
        consumer = Consumer(source, runner=service.runner, runs=service.runs, metrics=metrics)
        descriptor = ingest_service_pb2.DESCRIPTOR.services_by_name["IngestService"]
        try:
            yield IngestParts(
                consumer, Service(descriptor, service, ready=lambda: source.has_joined and consumer.is_running and peers.answer)
            )
        finally:
            embedder.close()  # ends the calls that workers wait for
            service.close()
