"""What stands in the topic of the dead letters, whatever the record was."""

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from miradouro.adapters.kafka import KafkaDeadLetters, KafkaSettings, ensure_topics
from miradouro.core.document import Failure
from miradouro.core.ports import Refused
from miradouro.core.source_record import SourceRecord
from miradouro.ingest.cloud_event import item_of

from tests.kafka_records import records_of

RECORD = SourceRecord("photos", 2, 41, b"c/a", b"\xff\x00", (("ce_id", b"7"),))
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FAILURE = Failure(
    "c", "a", 3, "not_an_event", "value: it is no JSON", "", datetime(2024, 5, 1, tzinfo=UTC), record=RECORD, traceparent=TRACE
)


@pytest.fixture
def settings(kafka: str) -> KafkaSettings:
    name = f"t{uuid.uuid4().hex}"
    return KafkaSettings(kafka_bootstrap=kafka, kafka_topic=f"{name}.photos", kafka_dead_topic=f"{name}.dead", kafka_partitions=1)


@pytest.fixture
def dead_letters(settings: KafkaSettings) -> Iterator[KafkaDeadLetters]:
    ensure_topics(settings)
    with KafkaDeadLetters(settings) as opened:
        yield opened


def records(settings: KafkaSettings) -> list[Any]:
    """Key, value and headers of every letter."""
    found = records_of(settings.kafka_bootstrap, settings.kafka_dead_topic)
    return [(one.key, one.value, dict(one.headers)) for one in found]


def test_a_dead_letter_holds_record_reason_and_position(dead_letters: KafkaDeadLetters, settings: KafkaSettings) -> None:
    dead_letters.put([FAILURE])
    [(key, value, headers)] = records(settings)
    assert (key, value) == (b"c/a", RECORD.value)
    assert headers == {
        "miradouro-reason": b"not_an_event",
        "miradouro-message": b"value: it is no JSON",
        "miradouro-collection": b"c",
        "miradouro-photo-id": b"a",
        "miradouro-version": b"3",
        "miradouro-uri": b"",
        "miradouro-failed-at": b"2024-05-01T00:00:00+00:00",
        "miradouro-traceparent": TRACE.encode(),
        "miradouro-topic": b"photos",
        "miradouro-partition": b"2",
        "miradouro-offset": b"41",
        "original-ce_id": b"7",
    }


@pytest.mark.parametrize("key", [None, b"/", b"", b"noslash", b"noslash/", b"c/\xff", b"c/a", b"c/a/b"])
def test_a_dead_letter_keeps_any_record_key(dead_letters: KafkaDeadLetters, key: bytes | None) -> None:
    refused = item_of(SourceRecord("photos", 2, 41, key, b"\xff"))
    assert isinstance(refused, Refused)
    dead_letters.put([replace(FAILURE, collection=refused.collection, photo_id=refused.photo_id, record=refused.record)])
    [failure] = dead_letters.list()[0]
    assert failure.record == SourceRecord("photos", 2, 41, key, None)


def test_an_oversized_record_is_replaced_by_its_hash(dead_letters: KafkaDeadLetters, settings: KafkaSettings) -> None:
    value = bytes(4 * 1024 * 1024)
    dead_letters.put([replace(FAILURE, record=replace(RECORD, value=value))])
    [(_, kept_value, headers)] = records(settings)
    assert kept_value is None
    assert headers["miradouro-value-sha256"] == hashlib.sha256(value).hexdigest().encode()
    assert (headers["miradouro-topic"], headers["miradouro-partition"], headers["miradouro-offset"]) == (b"photos", b"2", b"41")


def test_a_topic_with_smaller_limits_blocks_nothing(settings: KafkaSettings) -> None:
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    admin.create_topics([NewTopic(settings.kafka_dead_topic, 1, 1, topic_configs={"max.message.bytes": "100000"})])
    admin.close()
    ensure_topics(settings)
    large = bytes(200_000)
    with KafkaDeadLetters(settings) as dead_letters:
        for _ in range(2):
            dead_letters.put([FAILURE, replace(FAILURE, photo_id="b", record=replace(RECORD, value=large)), FAILURE])
    found = records(settings)
    assert sorted((key, value) for key, value, _ in found if value is not None) == [(b"c/a", RECORD.value)] * 4
    hashed = [(key, headers["miradouro-value-sha256"].decode()) for key, value, headers in found if value is None]
    assert hashed == [(b"c/b", hashlib.sha256(large).hexdigest())] * 2


def test_keys_and_words_without_end_are_cut(dead_letters: KafkaDeadLetters, settings: KafkaSettings) -> None:
    endless = "é" * 2_000_000
    dead_letters.put(
        [replace(FAILURE, photo_id=endless, message=endless, record=replace(RECORD, headers=(("x", endless.encode()),)))]
    )
    [(key, _, headers)] = records(settings)
    assert len(key) <= 4_096
    assert headers["miradouro-message"].decode() == "é" * 2_048
    assert headers["miradouro-offset"] == b"41"


def test_records_that_others_put_there_are_passed_over(dead_letters: KafkaDeadLetters, settings: KafkaSettings) -> None:
    good = {"miradouro-version": b"1", "miradouro-failed-at": b"2024-05-01T00:00:00+00:00", "miradouro-reason": b"x"}
    dead_letters.put([FAILURE])
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap, acks="all")
    for headers in (
        {},
        {**good, "miradouro-version": b"x"},
        {**good, "miradouro-version": b"-1"},
        {**good, "miradouro-version": b"9" * 30},
        {**good, "miradouro-version": b""},
        {**good, "miradouro-failed-at": b"yesterday"},
        {**good, "miradouro-failed-at": b"2024-05-01T00:00:00"},
    ):
        producer.send(settings.kafka_dead_topic, value=b"anything", headers=list(headers.items()))
    producer.flush()
    producer.close()
    dead_letters.put([replace(FAILURE, photo_id="b")])
    found, after = dead_letters.list()
    assert ([one.photo_id for one in found], after) == (["a", "b"], "")
