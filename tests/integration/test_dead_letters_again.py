"""`miradouro events retry`: what is sent to the topic of events again, and what is not."""

import json
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from miradouro.adapters.kafka import KafkaDeadLetters, KafkaSettings, ensure_topics
from miradouro.cli.exit_status import EXIT_FAILED, EXIT_PARTLY
from miradouro.core.document import Failure
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.source_record import SourceRecord
from miradouro.ingest.cloud_event import record_of
from miradouro.ingest.event_wire import kept_with_failure
from miradouro.ingest.resend import Resend, Status

from tests.e2e.command import Done, run
from tests.kafka_records import records_of
from tests.waiting import WAIT_S

REASON = "unknown_collection"
SMALL = 10_000  # bytes that the topic of dead letters takes, where it is a small one
CAPTION = "é" * 8_000


class Topics:
    """The two topics, what the consumer puts into them, and the command over them."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings
        self._producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap, acks="all")
        self._dead_letters = KafkaDeadLetters(settings)

    def publish(self, *events: PhotoEvent) -> list[SourceRecord]:
        """As an upload system does; gives the records as they stand there."""
        return [self.send(*record_of(event)) for event in events]

    def send(self, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> SourceRecord:
        topic = self.settings.kafka_topic
        stored = self._producer.send(topic, key=key, value=value, headers=list(headers)).get(timeout=WAIT_S)
        return SourceRecord(topic, stored.partition, stored.offset, key, value, tuple(headers))

    def die(self, record: SourceRecord, photo_id: str = "a", *, version: int = 1, reason: str = REASON) -> None:
        """As the consumer does with a record that it can't index."""
        failed_at = datetime(2024, 5, 1, tzinfo=UTC)
        self._dead_letters.put([Failure("c", photo_id, version, reason, "not allowed", "", failed_at, record=record)])

    def put(self, failure: Failure) -> None:
        self._dead_letters.put([failure])

    def failures(self) -> dict[str, int]:
        """Photo id → version, of those that are listed."""
        return {one.photo_id: one.version for one in self._dead_letters.list()[0]}

    def log(self) -> list[tuple[Any, ...]]:
        """Key, value and headers of every record of the topic of events."""
        found = records_of(self.settings.kafka_bootstrap, self.settings.kafka_topic)
        return [(one.key, one.value, tuple(one.headers)) for one in found]

    def retry(self, *words: str) -> Done:
        return run("events", "retry", "--json", *words)

    def close(self) -> None:
        self._producer.close()
        self._dead_letters.close()


@pytest.fixture
def topics(kafka: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Topics]:
    name = f"t{uuid.uuid4().hex}"
    names = {
        "KAFKA_BOOTSTRAP": kafka,
        "KAFKA_TOPIC": f"{name}.photos",
        "KAFKA_DEAD_TOPIC": f"{name}.dead",
        "KAFKA_PARTITIONS": "2",
    }
    for setting, text in names.items():
        monkeypatch.setenv(f"MIRADOURO_{setting}", text)
    settings = KafkaSettings(**{setting.lower(): text for setting, text in names.items()})  # type: ignore[arg-type] # parsed
    if limit := getattr(request, "param", None):
        admin = KafkaAdminClient(bootstrap_servers=kafka)
        admin.create_topics([NewTopic(settings.kafka_dead_topic, 2, 1, topic_configs={"max.message.bytes": str(limit)})])
        admin.create_topics([NewTopic(settings.kafka_topic, 2, 1)])  # of a compacted one Kafka deletes no record by request
        admin.close()
    ensure_topics(settings)
    made = Topics(settings)
    yield made
    made.close()


def event(name: str, version: int = 1, *, caption: str = "", collection: str = "c") -> PhotoEvent:
    uri = f"https://photos.example/{name}"
    return PhotoEvent(f"{name}-{version}", EventKind.UPLOADED, collection, name, version, uri=uri, caption=caption)


def statuses(done: Done) -> dict[str, str]:
    """Photo id → status; checks that the exit code reports whether everything was sent."""
    report = json.loads(done.out)
    possible = report["sent"] + report["superseded"]
    assert done.code == (0 if not report["impossible"] else EXIT_PARTLY if possible else EXIT_FAILED), done.err
    return {one["photo_id"]: one["status"] for one in report["letters"]}


def test_a_dead_letter_is_resent_once_unchanged(topics: Topics) -> None:
    [record] = topics.publish(event("a"))
    topics.die(record)
    assert statuses(topics.retry("--dry-run")) == {"a": "sent"}
    assert len(topics.log()) == 1
    assert topics.failures() == {"a": 1}
    assert statuses(topics.retry()) == {"a": "sent"}
    assert topics.log() == [(record.key, record.value, record.headers)] * 2
    assert topics.failures() == {}
    assert statuses(topics.retry()) == {}
    assert len(topics.log()) == 2


def test_a_repeated_failure_waits_for_the_next_run(topics: Topics) -> None:
    [record] = topics.publish(event("a"))
    topics.die(record)
    assert statuses(topics.retry()) == {"a": "sent"}
    topics.die(SourceRecord(record.topic, record.partition, record.offset + 1, record.key, record.value, record.headers))
    assert topics.failures() == {"a": 1}
    assert statuses(topics.retry()) == {"a": "sent"}
    assert len(topics.log()) == 3


def test_dead_letters_arriving_later_wait_for_another_run(topics: Topics) -> None:
    [first, second] = topics.publish(event("a"), event("b"))
    topics.die(first)

    def dies_meanwhile(what: str, done: int, _total: int) -> None:
        if (what, done) == ("dead letters", 1):
            topics.die(second, "b")

    with KafkaDeadLetters(topics.settings) as dead_letters:
        statuses = [(one.failure.photo_id, one.status) for one in Resend(topics.settings, dead_letters).run(dies_meanwhile)]
    assert statuses == [("a", Status.SENT)]
    assert topics.failures() == {"b": 1}


def test_letters_are_chosen_by_collection_and_by_reason(topics: Topics) -> None:
    for name, reason in (("a", "unreachable"), ("b", "vanished"), ("d", REASON)):
        [record] = topics.publish(event(name))
        topics.die(record, name, reason=reason)
    assert statuses(topics.retry("--collection", "other")) == {}
    assert statuses(topics.retry("--reason", "unreachable", "--reason", "vanished")) == {"a": "sent", "b": "sent"}
    assert topics.failures() == {"d": 1}
    done = topics.retry("--collection", "No Name")
    assert (done.code, done.out) == (1, "")
    assert "No Name" in done.err


def test_a_photos_last_record_stays_its_newest_state(topics: Topics) -> None:
    """Kafka keeps that one alone when it compacts."""
    old, new, alive = topics.publish(event("a", 1), event("a", 2), event("b", 1))
    topics.die(old)
    topics.die(new, version=2)
    topics.die(alive, "b")
    topics.publish(event("b", 2))
    report = json.loads(topics.retry().out)
    assert sorted((one["photo_id"], one["version"], one["status"]) for one in report["letters"]) == [
        ("a", 1, "superseded"),
        ("a", 2, "sent"),
        ("b", 1, "superseded"),
    ]
    assert [key for key, *_ in topics.log()].count(b"c/b") == 2
    assert topics.failures() == {}
    assert statuses(topics.retry()) == {}


def test_an_overtaking_newer_state_is_published_last_again(topics: Topics) -> None:
    [old] = topics.publish(event("a"))
    topics.die(old)

    def overtakes(what: str, done: int, _total: int) -> None:
        if (what, done) == ("the log", 1):
            topics.publish(event("a", 2))

    with KafkaDeadLetters(topics.settings) as dead_letters:
        assert [one.status for one in Resend(topics.settings, dead_letters).run(overtakes)] == [Status.SENT]
    versions = [dict(headers)["ce_photoversion"] for _, _, headers in topics.log()]
    assert versions == [b"1", b"2", b"1", b"2"]


def test_an_interrupted_run_sends_nothing_twice(topics: Topics) -> None:
    [record] = topics.publish(event("a"))
    topics.die(record)
    topics.publish(event("a"))  # as such a run leaves it
    assert statuses(topics.retry()) == {"a": "superseded"}
    assert len(topics.log()) == 2


def test_an_invalid_event_stays_dead_and_is_reported(topics: Topics) -> None:
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_type", b"photo.uploaded"), ("ce_photoversion", b"1")]
    topics.die(topics.send(b"c/a", b"\xff\x00", headers), reason="not_an_event")
    # Its key is no UTF-8; the letter's, which names what can be read of it, is.
    topics.die(topics.send(b"c/b\xff", b'{"uri": "file:///b"}', headers), "b�", reason="bad_key")
    assert statuses(topics.retry()) == {"a": "impossible", "b�": "impossible"}
    assert len(topics.log()) == 2


@pytest.mark.parametrize("topics", [SMALL], indirect=True)
def test_an_oversized_record_is_read_from_its_topic(topics: Topics) -> None:
    gone, kept = topics.publish(event("gone", caption=CAPTION), event("kept", caption=CAPTION))
    topics.die(gone, "gone")
    topics.die(kept, "kept")
    assert statuses(topics.retry("--dry-run")) == {"gone": "sent", "kept": "sent"}
    admin = KafkaAdminClient(bootstrap_servers=topics.settings.kafka_bootstrap)
    admin.delete_records({TopicPartition(gone.topic, gone.partition): gone.offset + 1})
    admin.close()
    assert statuses(topics.retry()) == {"gone": "impossible", "kept": "sent"}
    assert topics.log() == [(kept.key, kept.value, kept.headers)] * 2


def test_an_event_from_a_call_is_published(topics: Topics) -> None:
    one = event("a")
    topics.put(Failure("c", "a", 1, REASON, "not allowed", one.uri, datetime.now(UTC), event=kept_with_failure(one)))
    topics.put(Failure("c", "b", 1, REASON, "not allowed", "", datetime.now(UTC)))
    assert statuses(topics.retry()) == {"a": "sent", "b": "impossible"}
    assert topics.log() == [(key, value, tuple(headers)) for key, value, headers in [record_of(one)]]


def test_the_output_lists_each_dead_letters_result(topics: Topics) -> None:
    [record] = topics.publish(event("a"))
    topics.die(record)
    assert run("events", "retry", "--dry-run").out.splitlines() == [
        f"sent: c: a: {REASON}: not allowed",
        "would be: 1 sent, 0 superseded, 0 impossible",
    ]
    assert run("events", "retry").out.splitlines()[-1] == "1 sent, 0 superseded, 0 impossible"
