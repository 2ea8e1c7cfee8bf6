"""Puts the ingest service of many machines together: Kafka in, the embedding service beside it, OpenSearch out."""

import functools
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from miradouro.adapters.embedding_peer import EmbeddingPeerSettings
from miradouro.adapters.grpc_embedder import GrpcEmbedder
from miradouro.adapters.kafka import INTAKE, KafkaBrokers, KafkaDeadLetters, KafkaSettings, KafkaSource, ensure_topics
from miradouro.adapters.opensearch import OpenSearchIndex, OpenSearchSettings
from miradouro.adapters.photo_reader.reading import open_reading
from miradouro.adapters.photo_reader.settings import ReadingSettings
from miradouro.adapters.photo_store import PhotoStores, PhotoStoreSettings
from miradouro.bundles.labels import load_labels
from miradouro.ingest.cloud_event import item_of
from miradouro.ingest.event_trace import names_of, trace_of
from miradouro.ingest.metrics import IngestMetrics
from miradouro.ingest.pace import PACE
from miradouro.ingest.runner import Outcome, Status
from miradouro.ingest.service import IngestService
from miradouro.ingest.settings import IngestSettings
from miradouro.processors.pipeline_file import load_pipeline
from miradouro.runtime.call import Call
from miradouro.runtime.grpc_server import Service
from miradouro.runtime.peers import Peer, watched
from miradouro.runtime.settings import load
from miradouro.v1 import ingest_service_pb2

_log = structlog.get_logger(__name__)


class Consumer:
    """Consumes on a thread of its own until `stop`, or until an error that stops every photo: `raise_error` tells it."""

    def __init__(self, service: IngestService, source: KafkaSource, metrics: IngestMetrics) -> None:
        self._service, self._source, self._metrics = service, source, metrics
        self._call = Call()
        self._error: BaseException | None = None
        self._on_failure: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._run, name="consume", daemon=True)

    def start(self, *, on_failure: Callable[[], None]) -> None:
        """Begins; `on_failure` is called, on that thread, when it ended because of an error."""
        self._on_failure = on_failure
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Reads no more, stores what was read, commits; what takes longer than `grace_s` is left to the next consumer."""
        self._source.close()
        self._thread.join(grace_s)
        if self._thread.is_alive():
            _log.warning("not everything that was read could be stored in time", pending=self._source.pending)
            self._call.cancelled.set()
            self._thread.join()
        self._source.leave()

    @property
    def is_running(self) -> bool:
        """Whether events are consumed."""
        return self._thread.is_alive()

    def raise_error(self) -> None:
        """Raises what ended consumption, if anything did."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            for outcome in self._service.consume(self._source.events(), self._call):
                self._source.acknowledge()
                self._metrics.events.labels(outcome.status.value, outcome.reason).inc()
                self._tell(outcome)
        except BaseException as exc:  # noqa: BLE001 - told by `raise_error`
            self._error = exc
            _log.error("consuming ended", error=str(exc))
            self._on_failure()

    def _tell(self, outcome: Outcome) -> None:
        if outcome.status is Status.FAILED:
            self._metrics.dead_letters.labels(outcome.reason).inc()
            tell = functools.partial(_log.warning, "dead letter", reason=outcome.reason, message=outcome.message)
        else:
            tell = functools.partial(_log.debug, outcome.status.value)
        tell(trace_id=trace_of(outcome.item).trace_id, **names_of(outcome.item))


def _journal_folder(kafka: KafkaSettings) -> Path:
    """Where the photos that are being read are noted: in the temporary folder, which outlives the process in its container.

    Each group of consumers of a topic has its own, and each user of the machine.
    """
    consumed = "\0".join((kafka.kafka_bootstrap, kafka.kafka_topic, kafka.kafka_group))
    name = hashlib.sha256(consumed.encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"miradouro-{os.geteuid()}-reading-{name}"


@dataclass(frozen=True)
class IngestParts:
    """The consumer, and the service that other backends may call."""

    consumer: Consumer
    service: Service


@contextmanager
def open_ingest(settings: IngestSettings, *, registry: CollectorRegistry) -> Iterator[IngestParts]:
    """Everything that ingest needs, not yet consuming.

    Raises ConfigurationError (a setting, the pipeline), Unavailable (Kafka does not answer).
    """
    kafka, opensearch = load(KafkaSettings), load(OpenSearchSettings)
    pipeline = load_pipeline(settings.pipeline)
    photos = load(PhotoStoreSettings)
    photo_store = PhotoStores(photos)
    photo_store.open()
    ensure_topics(kafka)
    with (
        open_reading(load(ReadingSettings), warm=True) as reading,
        GrpcEmbedder(load(EmbeddingPeerSettings).embedding_address) as embedder,
        OpenSearchIndex.open(opensearch) as index,
        KafkaDeadLetters(kafka) as letters,
        KafkaSource(kafka, functools.partial(item_of, strict=kafka.kafka_strict_events), intake=INTAKE) as source,
        KafkaBrokers(kafka) as brokers,
        watched(
            [
                Peer("kafka", "MIRADOURO_KAFKA_BOOTSTRAP", brokers.check),
                Peer("opensearch", "MIRADOURO_OPENSEARCH_URL", index.check),
                Peer("embedding", "MIRADOURO_EMBEDDING_ADDRESS", embedder.check),
            ],
            registry=registry,
        ) as peers,
    ):
        metrics = IngestMetrics(registry)
        metrics.watch(pending=lambda: source.pending, lag=lambda: source.lag)
        service = IngestService(
            store=index,
            letters=letters,
            embedder=embedder,
            reader=reading.remembering(_journal_folder(kafka)),
            limits=reading.limits,
            photo_store=photo_store,
            labels=load_labels(),
            pipeline=pipeline,
            settings=settings,
            pace=PACE,
            spaces=settings.space_names,
            folders=photos.photo_root_folders,
            metrics=metrics,
        )
        consumer = Consumer(service, source, metrics)
        descriptor = ingest_service_pb2.DESCRIPTOR.services_by_name["IngestService"]
        try:
            yield IngestParts(
                consumer, Service(descriptor, service, ready=lambda: source.has_joined and consumer.is_running and peers.answer)
            )
        finally:
            embedder.close()  # nobody waits for what is being embedded any more
            service.close()
