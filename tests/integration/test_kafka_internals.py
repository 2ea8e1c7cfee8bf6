"""The private attributes of kafka-python that we use are there, and mean what we take them for."""

from collections.abc import Iterator

import pytest
from kafka import KafkaConsumer, KafkaProducer
from miradouro.adapters.kafka import KafkaSettings
from miradouro.adapters.kafka.client_internals import (
    end_sender,
    forget_kept_error,
    is_group_stable,
    kept_error,
    rejoin_if_rebalancing,
    unfinished_batch,
)

from tests.e2e.many_machines import eventually
from tests.kafka_topics import own_topics
from tests.waiting import WAIT_S


@pytest.fixture
def settings(kafka: str) -> KafkaSettings:
    return own_topics(kafka, partitions=1)


@pytest.fixture
def consumer(settings: KafkaSettings) -> Iterator[KafkaConsumer]:
    """A member of a group of its own, with the topic's one record fetched in part."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap, acks="all")
    for value in (b"1", b"2", b"3"):
        producer.send(settings.kafka_topic, key=b"key", value=value)
    producer.close()
    opened = KafkaConsumer(
        settings.kafka_topic,
        bootstrap_servers=settings.kafka_bootstrap,
        group_id=settings.kafka_group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    yield opened
    opened.close(autocommit=False)


def join(consumer: KafkaConsumer) -> None:
    """Polls until the group is joined and the first record came."""

    def has_come() -> bool:
        rejoin_if_rebalancing(consumer)  # else it may stay without partitions for ever
        return bool(consumer.poll(timeout_ms=200, max_records=1))

    eventually("a record comes", has_come)


def test_a_group_is_stable_once_joined(consumer: KafkaConsumer) -> None:
    assert not is_group_stable(consumer)
    join(consumer)
    assert is_group_stable(consumer)


def test_asking_to_rejoin_leaves_a_stable_group_alone(consumer: KafkaConsumer) -> None:
    join(consumer)
    generation = consumer.group_metadata().generation_id
    rejoin_if_rebalancing(consumer)
    consumer.poll(timeout_ms=200, max_records=1)
    assert consumer.group_metadata().generation_id == generation


def test_records_not_yet_returned_are_an_unfinished_batch(consumer: KafkaConsumer) -> None:
    join(consumer)
    assert unfinished_batch(consumer).next_fetch_offset == 1
    eventually(
        "the others come", lambda: consumer.position(consumer.assignment().pop()) == 3 or not consumer.poll(timeout_ms=200)
    )
    assert not unfinished_batch(consumer)


def test_an_error_put_off_can_be_forgotten(consumer: KafkaConsumer) -> None:
    assert kept_error(consumer) is None
    consumer._fetcher._next_in_line_exception_metadata = "an error"
    assert kept_error(consumer) == "an error"
    forget_kept_error(consumer)
    assert consumer._fetcher._next_in_line_exception_metadata is None


def test_the_thread_of_a_producer_ends_at_once(settings: KafkaSettings) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
    assert producer._sender.is_alive()
    end_sender(producer, timeout_s=WAIT_S)
    assert not producer._sender.is_alive()
    producer.close(timeout=0)
