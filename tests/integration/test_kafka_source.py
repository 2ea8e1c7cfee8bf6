"""How much a consumer holds: no more than its settings say, and reading goes on when something is acknowledged."""

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from miradouro.adapters.kafka import Intake, KafkaSettings, KafkaSource
from miradouro.adapters.kafka.replay import committed_offsets
from miradouro.core.ports import NothingYet

from tests.e2e.many_machines import eventually
from tests.kafka_records import as_it_came
from tests.kafka_topics import own_topics
from tests.waiting import WAIT_S

EVENTS = 60
ENOUGH_NOTHINGS = 20  # a second without anything new


@pytest.fixture
def settings(kafka: str) -> KafkaSettings:
    return own_topics(kafka, partitions=2)


def publish(settings: KafkaSettings, *, size_bytes: int) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap, acks="all", max_request_size=2 * 1024 * 1024)
    for number in range(EVENTS):
        producer.send(settings.kafka_topic, key=b"key", value=number.to_bytes(2, "big") + bytes(size_bytes), partition=number % 2)
    producer.flush()
    producer.close()


def until_quiet(events: Iterator[Any], *, at_least: int) -> list[Any]:
    """What comes until nothing more does, but `at_least` so many: a loaded machine may pause in between."""
    found: list[Any] = []
    nothings = 0
    while nothings < ENOUGH_NOTHINGS or len(found) < at_least:
        item = next(events)
        nothings = nothings + 1 if isinstance(item, NothingYet) else 0
        found += [] if isinstance(item, NothingYet) else [item]
    return found


def committed(settings: KafkaSettings) -> list[int | None]:
    """The committed offsets of both partitions."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, group_id=settings.kafka_group, enable_auto_commit=False)
    try:
        return [consumer.committed(TopicPartition(settings.kafka_topic, partition)) for partition in (0, 1)]
    finally:
        consumer.close()


def test_pending_events_are_bounded_and_each_comes_once(settings: KafkaSettings) -> None:
    publish(settings, size_bytes=10)
    with KafkaSource(settings, as_it_came, intake=Intake(pending_events=7)) as source:
        events = source.events()
        found = until_quiet(events, at_least=7)
        assert (len(found), source.pending) == (7, 7)
        acknowledged = 0
        while acknowledged < EVENTS:
            source.acknowledge(found[acknowledged])
            acknowledged += 1
            while len(found) < EVENTS and not isinstance(item := next(events), NothingYet):
                found.append(item)
                assert source.pending <= 7
    by_partition = [[one.record.offset for one in found if one.record.partition == partition] for partition in (0, 1)]
    assert by_partition == [list(range(30))] * 2
    assert committed(settings) == [30, 30], "what was acknowledged is committed when the consumer leaves"


def test_an_offset_waits_for_every_event_before_it(settings: KafkaSettings) -> None:
    publish(settings, size_bytes=10)
    with KafkaSource(settings, as_it_came) as source:
        found = {(one.record.partition, one.record.offset): one for one in until_quiet(source.events(), at_least=EVENTS)}
        for offset in range(29, 0, -1):  # all but the first one, the newest first
            source.acknowledge(found[0, offset])
        for offset in (1, 0, 2, 4):
            source.acknowledge(found[1, offset])
            source.acknowledge(found[1, offset])
        assert source.pending == EVENTS - 29 - 4
    assert committed(settings) == [0, 3]


def test_uncommitted_events_are_bounded_however_long_the_interval(settings: KafkaSettings) -> None:
    publish(settings, size_bytes=10)
    patient = Intake(pending_events=7, commit_interval_s=60.0)
    with KafkaSource(settings, as_it_came, intake=patient) as source:
        events = source.events()
        done = 0
        while done < EVENTS:
            if not isinstance(item := next(events), NothingYet):
                source.acknowledge(item)
                done += 1
        eventually("all but seven are committed", lambda: sum(committed_offsets(settings).values()) > EVENTS - 7)


def test_pending_large_events_are_bounded_in_bytes(settings: KafkaSettings) -> None:
    size_bytes, limit = 200_000, 1024 * 1024
    publish(settings, size_bytes=size_bytes)
    with KafkaSource(settings, as_it_came, intake=Intake(pending_bytes=limit)) as source:
        events = source.events()
        first = until_quiet(events, at_least=math.ceil(limit / size_bytes))
        fetch = 2 * 2 * 1024 * 1024  # of two partitions
        assert limit / size_bytes <= len(first) <= (limit + fetch) / size_bytes < EVENTS
        for item in first:
            source.acknowledge(item)
        second = until_quiet(events, at_least=1)
        assert len(second) <= limit / size_bytes + 1, "now it knows how large they are"


def test_every_consumer_gets_its_partitions_eventually(settings: KafkaSettings) -> None:
    """The client used to forget one rebalance in thirty, on a busy machine; many groups, for it can't be made to."""
    for number in range(15):
        with KafkaSource(settings.model_copy(update={"kafka_group": f"{settings.kafka_group}-{number}"}), as_it_came) as source:
            deadline = time.monotonic() + WAIT_S
            while not source.partitions:
                assert time.monotonic() < deadline, f"group {number} has no partitions"
                time.sleep(0.01)


def test_a_member_without_partitions_has_joined(settings: KafkaSettings) -> None:
    """An idle replica has to become ready, or an update that waits for it never ends."""
    with ExitStack() as stack:
        members = [stack.enter_context(KafkaSource(settings, as_it_came)) for _ in range(settings.kafka_partitions + 1)]

        def idle() -> list[KafkaSource]:
            return [one for one in members if one.has_joined and not one.partitions]

        def is_settled() -> bool:  # the group rebalances with each member that joins
            held = sorted(number for one in members for number in one.partitions)
            return held == list(range(settings.kafka_partitions)) and len(idle()) == 1 and all(one.has_joined for one in members)

        eventually("each partition has a member, and the member without one has joined", is_settled)
        [left_over] = idle()
        left_over.close()
        left_over.leave()
        assert not left_over.has_joined
