"""Partitions that move from one consumer to another while both work."""

import collections
import threading
from contextlib import closing
from typing import Self

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from miradouro.adapters.kafka import Intake, KafkaSettings, KafkaSource
from miradouro.adapters.kafka.replay import committed_offsets
from miradouro.core.ports import Refused

from tests.e2e.many_machines import eventually
from tests.kafka_records import as_it_came
from tests.kafka_topics import own_topics

PARTITIONS = 4


@pytest.fixture
def settings(kafka: str) -> KafkaSettings:
    return own_topics(kafka, partitions=PARTITIONS)


class Publishing:
    """Sends records, as many to each partition, and knows where each ends."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._topic = settings.kafka_topic
        self._producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap, acks="all")
        self.ends = dict.fromkeys(range(PARTITIONS), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._producer.close()

    def send(self, each: int) -> None:
        for partition in self.ends:
            for _ in range(each):
                self._producer.send(self._topic, key=b"key", value=b"value", partition=partition)
            self.ends[partition] += each
        self._producer.flush()


class Consuming:
    """A consumer that acknowledges at once, and counts what came by partition and offset."""

    def __init__(self, settings: KafkaSettings, intake: Intake) -> None:
        self.source = KafkaSource(settings, as_it_came, intake=intake)
        self.came: collections.Counter[tuple[int, int]] = collections.Counter()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.source.close()
        self._thread.join()
        self.source.leave()

    def _run(self) -> None:
        for item in self.source.events():
            if isinstance(item, Refused) and item.record is not None:
                self.came[item.record.partition, item.record.offset] += 1
                self.source.acknowledge(item)


def test_acknowledged_events_are_committed_before_revocation(settings: KafkaSettings) -> None:
    """Neither consumer would commit by itself in the time of this test."""
    intake = Intake(commit_interval_s=3_600.0)
    with Publishing(settings) as publishing:
        with Consuming(settings, intake) as first:
            eventually("the first one reads", lambda: bool(first.source.partitions))
            publishing.send(10)
            eventually("everything is done", lambda: len(first.came) == 10 * PARTITIONS and first.source.pending == 0)
            with Consuming(settings, intake) as second:
                eventually("it has its partitions", lambda: len(committed_offsets(settings)) == PARTITIONS // 2)
                assert set(committed_offsets(settings).values()) == {10}
                publishing.send(10)
                eventually("both are done", lambda: first.came.total() + second.came.total() == 20 * PARTITIONS)
                assert {partition for partition, _ in second.came} == set(committed_offsets(settings))
        assert set((first.came + second.came).values()) == {1}, "nothing came twice"
        assert committed_offsets(settings) == publishing.ends, "those that were kept are committed too"


def test_a_second_consumer_under_load_loses_nothing(settings: KafkaSettings) -> None:
    intake = Intake(pending_events=50, commit_interval_s=0.1)
    with Publishing(settings) as publishing, Consuming(settings, intake) as first:
        publishing.send(200)
        eventually("it works", lambda: len(first.came) >= 100)
        with Consuming(settings, intake) as second:

            def second_reads() -> bool:
                publishing.send(5)
                return len(second.came) >= 100

            eventually("the second one works", second_reads)
            assert first.source.partitions
            assert second.source.partitions
            with closing(KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)) as admin:

                def is_cooperative() -> bool:  # a rebalancing group reports no protocol
                    [group] = admin.describe_groups([settings.kafka_group]).values()
                    return bool(group["protocol_data"] == "cooperative-sticky")

                eventually("what stays is not taken away in between", is_cooperative)
            eventually("all of it is committed while both work", lambda: committed_offsets(settings) == publishing.ends)
        publishing.send(20)
        eventually("the first one has all of them again", lambda: committed_offsets(settings) == publishing.ends)
        came = first.came + second.came
        assert set(came) == {(partition, offset) for partition, end in publishing.ends.items() for offset in range(end)}
        assert came.total() - len(came) <= 2 * intake.pending_events, "what was under way may come twice"
