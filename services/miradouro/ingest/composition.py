"""Puts the ingest service of many machines together: Kafka in, the embedding service beside it, OpenSearch out."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from miradouro.adapters.embedding_peer import EmbeddingPeerSettings
from miradouro.adapters.grpc_embedder import GrpcEmbedder
from miradouro.adapters.kafka import KafkaDeadLetters, KafkaSettings, KafkaSource, ensure_topics
from miradouro.adapters.opensearch import OpenSearchIndex, OpenSearchSettings
from miradouro.adapters.photo_store import PhotoStores, PhotoStoreSettings
from miradouro.bundles.labels import load_labels
from miradouro.core.errors import MiradouroError
from miradouro.ingest.cloud_event import item_of
from miradouro.ingest.runner import Status
from miradouro.ingest.service import IngestService
from miradouro.ingest.settings import IngestSettings
from miradouro.processors.pipeline_file import load_pipeline
from miradouro.runtime.call import Call
from miradouro.runtime.grpc_server import Service
from miradouro.runtime.settings import load
from miradouro.v1 import ingest_service_pb2

_log = structlog.get_logger(__name__)
_PEERS_ASKED_EVERY_S = 5.0


class ConsumerMetrics:
    """Counts what became of events."""

    def __init__(self, registry: CollectorRegistry, source: KafkaSource) -> None:
        self.events = Counter(
            "miradouro_ingest_events", "Events by what became of them.", ("status", "reason"), registry=registry
        )
        pending = Gauge("miradouro_ingest_pending_events", "Events read and not yet stored.", registry=registry)
        pending.set_function(lambda: source.pending)
        lag = Gauge("miradouro_ingest_lag_events", "Records of our partitions that are not yet stored.", registry=registry)
        lag.set_function(lambda: sum(source.lag.values()))


class Consumer:
    """Consumes on a thread of its own until `stop`, or until an error that stops every photo: then `failed` is called."""

    def __init__(self, service: IngestService, source: KafkaSource, metrics: ConsumerMetrics) -> None:
        self._service, self._source, self._metrics = service, source, metrics
        self._call = Call()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="consume", daemon=True)

    def start(self) -> None:
        """Begins."""
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
                self._metrics.events.labels(outcome.status.value, outcome.reason).inc()
                if outcome.status is Status.FAILED:
                    _log.warning("dead letter", reason=outcome.reason, message=outcome.message)
                self._source.acknowledge()
        except BaseException as exc:  # noqa: BLE001 - told by `raise_error`
            self._error = exc
            _log.error("consuming ended", error=str(exc))


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
    photo_store = PhotoStores(load(PhotoStoreSettings))
    photo_store.open()
    ensure_topics(kafka)
    with (
        GrpcEmbedder(load(EmbeddingPeerSettings).embedding_address) as embedder,
        OpenSearchIndex.open(opensearch) as index,
        KafkaDeadLetters(kafka) as letters,
        KafkaSource(kafka, item_of) as source,
    ):
        service = IngestService(
            store=index,
            letters=letters,
            embedder=embedder,
            photo_store=photo_store,
            labels=load_labels(),
            pipeline=pipeline,
            settings=settings,
            spaces=settings.space_names,
        )
        consumer = Consumer(service, source, ConsumerMetrics(registry, source))
        peers = _Peers(embedder, index)
        descriptor = ingest_service_pb2.DESCRIPTOR.services_by_name["IngestService"]
        try:
            peers.start()
            yield IngestParts(
                consumer, Service(descriptor, service, ready=lambda: source.is_assigned and consumer.is_running and peers.answer)
            )
        finally:
            peers.stop()
            service.close()


class _Peers:
    """Whether the embedding service and the index answer, asked now and then on a thread."""

    def __init__(self, embedder: GrpcEmbedder, index: OpenSearchIndex) -> None:
        self._embedder, self._index = embedder, index
        self.answer = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peers", daemon=True)

    def start(self) -> None:
        """Begins to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Asks no more."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._index.check()
                self._embedder.describe()
            except MiradouroError as exc:
                if self.answer or not exc.retriable:
                    _log.warning("not ready", error=exc.message)
                self.answer = False
            else:
                self.answer = True
            self._stopped.wait(_PEERS_ASKED_EVERY_S)
