"""The demonstration: engines, three services, events, the audit, and forty queries to both engines."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from kafka import KafkaAdminClient

from miradouro.adapters.grpc_embedder import GrpcEmbedder
from miradouro.adapters.kafka import KafkaSettings, Publisher, ensure_topics
from miradouro.adapters.kafka.replay import Replay, committed_offsets
from miradouro.adapters.kafka.topics import translated
from miradouro.adapters.opensearch import OpenSearchSettings
from miradouro.adapters.opensearch.audit import open_audit
from miradouro.adapters.opensearch.client import connect
from miradouro.adapters.photo_reader.reading import Reading, open_reading
from miradouro.adapters.photo_reader.settings import ReadingSettings
from miradouro.adapters.photo_store import PhotoStores, PhotoStoreSettings
from miradouro.adapters.sqlite_index import SqliteIndex, Tuning
from miradouro.core.errors import Unavailable
from miradouro.core.event import PhotoEvent
from miradouro.development.demo.questions import Asked, Search, ask_both
from miradouro.development.demo.services import ServiceProcess
from miradouro.development.demo.story import Story, story_of
from miradouro.development.engines import start_kafka, start_opensearch
from miradouro.ingest.audit.auditor import Audited, audit
from miradouro.ingest.audit.findings import Report
from miradouro.ingest.cloud_event import record_of
from miradouro.ingest.consumer import consume
from miradouro.runtime.call import Call
from miradouro.runtime.grpc_client import open_channel, typed_error
from miradouro.runtime.security import client_security
from miradouro.runtime.settings import load
from miradouro.standalone.composition import ingest_service
from miradouro.standalone.configuration import Configuration
from miradouro.standalone.owner_token import TOKEN_NAME, make_owner_token
from miradouro.standalone.searching import search_service
from miradouro.standalone.settings import StandaloneSettings
from miradouro.v1.search_service_pb2 import SearchRequest, SearchResponse
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub

CONSUMED_WITHIN_S = 600.0
ANSWERED_WITHIN_S = 60.0
_POLL_S = 0.5
_SAMPLE = 10
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Demonstrated:
    """Result of the demonstration: the audit's report and the compared answers."""

    report: Report
    asked: Sequence[Asked]

    @property
    def holds(self) -> bool:
        """Whether the audit found no fault and all answers agree."""
        return self.report.holds and all(one.agreement.holds for one in self.asked)


def demonstrate(photos: Path, folder: Path, *, kafka: str, opensearch: str, progress: Progress) -> Demonstrated:
    """Sends the photos of the folder `photos` through Kafka into OpenSearch. `folder` receives data and logs.

    `kafka` and `opensearch` are addresses of running engines; if empty, an engine is started. The topics and indices of running
    engines are removed at the end. Raises Unavailable and ConfigurationError.
    """
    name = f"miradouro-demo-{uuid.uuid4().hex[:8]}"
    with ExitStack() as stack:
        reading = stack.enter_context(open_reading(load(ReadingSettings)))
        story = story_of(photos, reading.reader)
        bootstrap, url = kafka, opensearch
        if not bootstrap:
            progress("starting Kafka …")
            bootstrap = stack.enter_context(start_kafka(folder / "kafka")).bootstrap
        if not url:
            progress("starting OpenSearch …")
            url = stack.enter_context(start_opensearch(folder / "opensearch")).url
        topics = KafkaSettings(
            kafka_bootstrap=bootstrap, kafka_topic=f"{name}.photos", kafka_dead_topic=f"{name}.dead", kafka_group=name
        )
        indices = OpenSearchSettings(opensearch_url=url, opensearch_prefix=name)
        stack.callback(_remove, topics, indices, name)
        security = client_security(tokens=make_owner_token(folder))
        environment = {
            "MIRADOURO_TOKEN_FILE": str(folder / TOKEN_NAME),
            "MIRADOURO_KAFKA_BOOTSTRAP": bootstrap,
            "MIRADOURO_KAFKA_TOPIC": topics.kafka_topic,
            "MIRADOURO_KAFKA_DEAD_TOPIC": topics.kafka_dead_topic,
            "MIRADOURO_KAFKA_GROUP": name,
            "MIRADOURO_OPENSEARCH_URL": url,
            "MIRADOURO_OPENSEARCH_PREFIX": name,
            "MIRADOURO_PHOTO_ROOTS": str(photos.resolve()),
        }
        services = _start_services(environment, folder, stack, progress)
        embedder = stack.enter_context(GrpcEmbedder(services[0].address, security=security))
        _lead_through(story, topics, services, progress)
        photo_store = PhotoStores(PhotoStoreSettings(photo_roots=str(photos.resolve())))
        with open_audit(indices) as index:
            audited = Audited(topics, index, embedder, photo_store, reading, sample=_SAMPLE, seed=1, settled=True)
            report = audit(audited, progress=lambda _step, _done, _total: None)
        progress(f"the audit: {report.photos} photos, {report.tombstones} tombstones, {report.dead_letters} dead letters")
        channel = stack.enter_context(open_channel(services[2].address, security=security))
        progress("the same events go into an embedded index …")
        with _embedded(photos, folder / "embedded", [*story.start, *story.way], embedder, reading) as embedded:
            return Demonstrated(report, list(ask_both(_over(channel, services[2].address), embedded, photos)))


def _start_services(
    environment: Mapping[str, str], folder: Path, stack: ExitStack, progress: Progress
) -> tuple[ServiceProcess, ServiceProcess, ServiceProcess]:
    """Starts embedding, ingest and query as processes."""
    embedding = stack.enter_context(ServiceProcess("embedding", environment, folder))
    known = {**environment, "MIRADOURO_EMBEDDING_ADDRESS": embedding.wait()}
    ingest = stack.enter_context(ServiceProcess("ingest", known, folder))
    query = stack.enter_context(ServiceProcess("query", known, folder))
    for service in (embedding, ingest, query):
        progress(f"{service.name} service: process {service.pid} on {service.address or service.wait()}")
    return embedding, ingest, query


def _lead_through(story: Story, topics: KafkaSettings, services: Sequence[ServiceProcess], progress: Progress) -> None:
    ensure_topics(topics)
    for events, what in ((story.start, "photos uploaded"), (story.way, "events on the way: changed, deleted, late, no photo")):
        began = time.monotonic()
        with Publisher(topics) as publisher:
            for _ in publisher.publish(record_of(event) for event in events):
                continue
        _wait_until_consumed(topics, services)
        progress(f"{len(events)} {what}: consumed after {time.monotonic() - began:.1f} s")


def _wait_until_consumed(topics: KafkaSettings, services: Sequence[ServiceProcess]) -> None:
    deadline = time.monotonic() + CONSUMED_WITHIN_S
    with Replay(topics, topics.kafka_topic) as topic:
        ends = topic.ends()
        while True:
            committed = committed_offsets(topics)
            if all(committed.get(number, 0) >= end for number, end in ends.items()):
                return
            for service in services:
                service.check()
            if time.monotonic() > deadline:
                raise Unavailable(f"not consumed within {CONSUMED_WITHIN_S:g} s; {services[1].log_path} may have the cause")
            time.sleep(_POLL_S)


def _over(channel: grpc.Channel, address: str) -> Search:
    stub = SearchServiceStub(channel)

    def search(request: SearchRequest) -> SearchResponse:
        try:
            return stub.Search(request, timeout=ANSWERED_WITHIN_S)
        except grpc.RpcError as exc:
            raise typed_error(exc, peer=f"query service at {address}") from exc

    return search


@contextmanager
def _embedded(
    photos: Path, data: Path, events: Sequence[PhotoEvent], embedder: GrpcEmbedder, reading: Reading
) -> Iterator[Search]:
    """The embedded index after the same events, with the same embedding service."""
    configuration = Configuration(
        standalone=StandaloneSettings(data_dir=data), photos=PhotoStoreSettings(photo_roots=str(photos.resolve()))
    )
    with SqliteIndex.open(data, writer=True, tuning=Tuning.with_exact(configuration.standalone.exact_vectors)) as index:
        with ingest_service(index, embedder, configuration, reading=reading) as ingest:
            for _ in consume(events, Call(), runner=ingest.runner, runs=ingest.runs):
                continue
        service = search_service(index, embedder, configuration, reader=reading.reader)
        yield lambda request: service.Search(request, Call())


def _remove(topics: KafkaSettings, indices: OpenSearchSettings, name: str) -> None:
    """Removes the demonstration's topics and indices from the engines."""
    with closing(connect(indices)) as client:
        client.indices.delete(index=f"{name}.*")
    with translated():
        admin = KafkaAdminClient(**topics.connection)
        try:
            known = set(admin.list_topics())
            admin.delete_topics([topic for topic in (topics.kafka_topic, topics.kafka_dead_topic) if topic in known])
        finally:
            admin.close()
