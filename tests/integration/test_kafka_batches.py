"""Batches as producers may write them: with every compression, and unreadable ones."""

import time
from typing import Any

import pytest
from kafka import KafkaProducer
from miradouro.adapters.kafka import Intake, KafkaSettings, KafkaSource
from miradouro.adapters.kafka.replay import Replay, committed_offsets
from miradouro.core.errors import Corrupt
from miradouro.core.ports import NothingYet

from tests.kafka_records import as_it_came
from tests.kafka_topics import own_topics
from tests.waiting import WAIT_S

COMPRESSIONS = ("gzip", "snappy", "lz4", "zstd")


class NoUtf8(str):
    """A header's name that is sent as bytes which are no UTF-8."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:  # noqa: ARG002 - as str has it
        return b"\xff\xfe"


@pytest.fixture
def settings(kafka: str) -> KafkaSettings:
    return own_topics(kafka, partitions=2)


def publish(settings: KafkaSettings, values: list[bytes], *, headers: Any = (), compression: str | None = None) -> None:
    """One batch, in partition 1."""
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap, acks="all", linger_ms=200, compression_type=compression, api_version=(2, 8)
    )
    for value in values:
        producer.send(settings.kafka_topic, key=b"key", value=value, headers=list(headers), partition=1)
    producer.flush()
    producer.close()


def read(source: KafkaSource, count: int) -> list[Any]:
    found: list[Any] = []
    deadline = time.monotonic() + WAIT_S
    for item in source.events():
        found += [] if isinstance(item, NothingYet) else [item]
        if len(found) == count:
            break
        assert time.monotonic() < deadline, f"{len(found)} of {count} records came"
    return found


def test_batches_of_every_compression_are_read(settings: KafkaSettings) -> None:
    values = [name.encode() * 5_000 for name in COMPRESSIONS]
    for name, value in zip(COMPRESSIONS, values, strict=True):
        publish(settings, [value], compression=name)
    with KafkaSource(settings, as_it_came) as source:
        assert [one.record.value for one in read(source, len(values))] == values
    with Replay(settings, settings.kafka_topic) as replay:
        assert [one.record.value for one in replay.read({}, replay.ends())] == values


def test_an_unreadable_batch_ends_the_source_in_order(settings: KafkaSettings) -> None:
    publish(settings, [b"0", b"1", b"2"])
    publish(settings, [b"3"], headers=[(NoUtf8("x"), b"")])
    with KafkaSource(settings, as_it_came) as source:
        found: list[Any] = []
        deadline = time.monotonic() + WAIT_S
        place = f"topic {settings.kafka_topic}, partition 1, position 3: a batch of records can't be read"
        with pytest.raises(Corrupt, match=place):  # noqa: PT012 - it ends the loop
            for item in source.events():
                assert time.monotonic() < deadline, f"after {len(found)} records nothing more is reported"
                if not isinstance(item, NothingYet):
                    found.append(item)
                    source.acknowledge(item)
        assert [one.record.value for one in found] == [b"0", b"1", b"2"]
    assert committed_offsets(settings) == {1: 3}, "what came before it is not read again"


def test_an_unreadable_batch_is_reported_after_a_pause(settings: KafkaSettings) -> None:
    """Its partition is paused between the records before it and the error: they fill what may be held."""
    publish(settings, [bytes(1_000)] * 3)
    publish(settings, [b"3"], headers=[(NoUtf8("x"), b"")])
    with KafkaSource(settings, as_it_came, intake=Intake(pending_bytes=2_000)) as source:
        for item in read(source, 3):
            source.acknowledge(item)
        deadline = time.monotonic() + WAIT_S
        with pytest.raises(Corrupt, match="partition 1, position 3"):  # noqa: PT012 - it ends the loop
            for _ in source.events():
                assert time.monotonic() < deadline, "nothing more is reported"


def test_a_replay_reports_an_unreadable_batch_each_time(settings: KafkaSettings) -> None:
    publish(settings, [b"0", b"1"])
    publish(settings, [b"2"], headers=[(NoUtf8("x"), b"")])
    with Replay(settings, settings.kafka_topic) as replay:
        for _ in range(2):
            with pytest.raises(Corrupt, match=f"topic {settings.kafka_topic}, partition 1, position 2"):
                list(replay.read({}, replay.ends()))
            found = replay.record(1, 1)
            assert found is not None
            assert found.value == b"1"
