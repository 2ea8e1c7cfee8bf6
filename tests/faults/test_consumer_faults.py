"""The consumer through crashes of itself, of the broker and of the index: nothing is lost, nothing stands twice.

Engines of its own, for they are harmed. The load is small; `make test-long` is for more.
"""

import gc
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.development.engines import Kafka, OpenSearch, start_kafka, start_opensearch

from tests.e2e.many_machines import ServiceProcess, Town, eventually, town
from tests.pictures import jpeg

COLLECTION = "load"
PHOTOS = 60
UPDATED_EVERY, DELETED_EVERY, POISON_EVERY = 10, 20, 15


@dataclass
class Engines:
    kafka: Kafka
    opensearch: OpenSearch


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    folder = tmp_path_factory.mktemp("engines")
    with start_kafka(folder / "kafka") as kafka, start_opensearch(folder / "opensearch") as opensearch:
        yield Engines(kafka, opensearch)


@contextmanager
def load(engines: Engines) -> Iterator[tuple[Town, ServiceProcess]]:
    """A town whose topic holds the load, and a consumer that has begun with it; afterwards the invariants hold."""
    with town(engines.kafka.bootstrap, engines.opensearch.url) as here:
        here.environment |= {
            "MIRADOURO_BUNDLES": "efficientnet-lite0",
            "MIRADOURO_INGEST_COMMIT_PHOTOS": "4",
            "MIRADOURO_KAFKA_PENDING_EVENTS": "16",
            "MIRADOURO_OPENSEARCH_TIMEOUT_S": "2",
        }
        embedding = here.start("embedding")
        here.environment["MIRADOURO_EMBEDDING_ADDRESS"] = embedding.address
        picture = jpeg(seed=1)
        for i in range(PHOTOS):
            name = f"{i:03}.jpg"
            here.publish(PhotoEvent(f"{name}-1", EventKind.UPLOADED, COLLECTION, name, 1, data=picture))
            if i % UPDATED_EVERY == 0:
                here.publish(PhotoEvent(f"{name}-2", EventKind.UPDATED, COLLECTION, name, 2, data=picture, title="new"))
            if i % DELETED_EVERY == 0:
                here.publish(PhotoEvent(f"{name}-3", EventKind.DELETED, COLLECTION, name, 3))
            if i % POISON_EVERY == 0:
                here.send((f"{COLLECTION}/poison{i}".encode(), b"\xff\x00", [("ce_specversion", b"1.0")]))
        ingest = here.start("ingest")
        eventually("the consumer is in the middle of it", lambda: len(here.versions(COLLECTION)) >= 4)
        yield here, ingest
        check_invariants(here)


def check_invariants(here: Town) -> None:
    """Every event is in the index at its photo's highest version, or a dead letter; then its offset is committed."""
    wanted = {}
    for i in range(PHOTOS):
        is_deleted = i % DELETED_EVERY == 0
        wanted[f"{i:03}.jpg"] = (3 if is_deleted else 2 if i % UPDATED_EVERY == 0 else 1, is_deleted)
    eventually("every photo stands at its highest version", lambda: here.versions(COLLECTION) == wanted)
    poison = {f"poison{i}": "not_an_event" for i in range(0, PHOTOS, POISON_EVERY)}
    eventually(
        "the dead letters are those that were sent, and no more",
        lambda: {one.photo_id: one.reason for one in here.letters.list(limit=1_000)[0]} == poison,
    )
    eventually("everything is committed", lambda: lag(here) == 0)


def lag(here: Town) -> int:
    """Records of the topic behind what the group has committed."""
    admin = KafkaAdminClient(bootstrap_servers=here.kafka.kafka_bootstrap)
    consumer = KafkaConsumer(bootstrap_servers=here.kafka.kafka_bootstrap)
    try:
        partitions = [TopicPartition(here.kafka.kafka_topic, i) for i in consumer.partitions_for_topic(here.kafka.kafka_topic)]
        ends = consumer.end_offsets(partitions)
        [told] = admin.list_group_offsets(here.kafka.kafka_group).values()
        return sum(ends[one] - (told[one].offset if one in told else 0) for one in partitions)
    finally:
        consumer.close()
        admin.close()


@pytest.fixture
def _sockets_of_lost_brokers() -> Iterator[None]:
    """kafka-python leaves the sockets of refused connections to the garbage collector: it works here, not in a later test."""
    yield
    gc.collect()


@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("models_dir", "_sockets_of_lost_brokers")
class TestNothingIsLostAndNothingStandsTwice:
    def test_when_the_consumer_is_killed_in_the_middle_of_a_batch(self, engines: Engines) -> None:
        with load(engines) as (here, ingest):
            ingest.end(signal.SIGKILL)
            again = here.start("ingest")
            check_invariants(here)
            assert again.end() == 0, "SIGTERM ends it in order"

    def test_when_the_broker_crashes_and_comes_back(self, engines: Engines) -> None:
        with load(engines) as (here, ingest):
            engines.kafka.kill()
            engines.kafka.start()
            check_invariants(here)
            assert ingest.end() == 0

    def test_when_the_index_crashes_and_comes_back(self, engines: Engines) -> None:
        with load(engines) as (here, ingest):
            engines.opensearch.kill()
            eventually("the consumer is not ready", lambda: not ingest.is_ready())
            engines.opensearch.start()
            check_invariants(here)
            eventually("the consumer is ready again", ingest.is_ready)
            assert ingest.end() == 0

    def test_when_the_index_hangs_so_that_nobody_knows_what_it_stored(self, engines: Engines) -> None:
        with load(engines) as (here, ingest):
            engines.opensearch.freeze()
            try:
                eventually("the consumer is not ready", lambda: not ingest.is_ready())
            finally:
                engines.opensearch.thaw()
            check_invariants(here)
            assert ingest.end() == 0
