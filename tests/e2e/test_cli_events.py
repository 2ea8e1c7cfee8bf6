"""`miradouro events publish`: folders and written events, into a real Kafka."""

import base64
import json
import os
import subprocess
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.source_record import SourceRecord
from miradouro.ingest.cloud_event import MAX_INLINE_BYTES, event_of

from tests.e2e.command import COMMAND, run
from tests.pictures import jpeg


@pytest.fixture
def topic(kafka: str, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"t{uuid.uuid4().hex}"
    monkeypatch.setenv("MIRADOURO_KAFKA_BOOTSTRAP", kafka)
    monkeypatch.setenv("MIRADOURO_KAFKA_TOPIC", name)
    monkeypatch.setenv("MIRADOURO_KAFKA_DEAD_TOPIC", f"{name}.dead")
    monkeypatch.setenv("MIRADOURO_KAFKA_PARTITIONS", "1")
    return name


def published(kafka: str, topic: str) -> list[PhotoEvent]:
    """Every event of the topic, in order."""
    consumer = KafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest")
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        end, found = consumer.end_offsets([partition])[partition], []
        while consumer.position(partition) < end:
            for records in consumer.poll(timeout_ms=500).values():
                found += [SourceRecord(topic, 0, one.offset, one.key, one.value, tuple(one.headers)) for one in records]
    finally:
        consumer.close()
    return [event_of(one) for one in found]


def test_a_folder_is_republished_with_the_same_versions(kafka: str, topic: str, tmp_path: Path) -> None:
    (tmp_path / "trip").mkdir()
    for name in ("a.jpg", "trip/b.jpg"):
        (tmp_path / name).write_bytes(jpeg())
    (tmp_path / "a.json").write_text(json.dumps({"title": "Lisboa"}))
    os.utime(tmp_path / "a.json", ns=(2 * 10**18, 2 * 10**18))
    (tmp_path / "notes.txt").write_text("no photo")
    for _ in range(2):
        done = run("events", "publish", tmp_path, "--collection", "holidays")
        assert (done.code, done.out) == (0, "published 2, refused 0\n")
    first, second = published(kafka, topic)[:2], published(kafka, topic)[2:]
    assert first == second
    assert [(one.collection, one.photo_id, one.kind) for one in first] == [
        ("holidays", "a.jpg", EventKind.UPLOADED),
        ("holidays", "trip/b.jpg", EventKind.UPLOADED),
    ]
    assert first[1].version == (tmp_path / "trip/b.jpg").stat().st_mtime_ns // 1_000_000
    assert (first[0].title, first[0].version) == ("Lisboa", 2 * 10**12), "the sidecar changed last"
    assert first[0].uri == (tmp_path / "a.jpg").resolve().as_uri()


def test_wrong_events_are_reported_by_their_line(kafka: str, topic: str, tmp_path: Path) -> None:
    good = {"specversion": "1.0", "id": "1", "type": "photo.uploaded", "subject": "a/b.jpg", "photoversion": "3"}
    lines = [
        json.dumps({**good, "collection": "c", "data": {"uri": "file:///b.jpg"}}),
        "",
        "no json",
        json.dumps({**good, "photoversion": "x", "data": {"uri": "file:///b.jpg"}}),
        json.dumps({**good, "data": {}}),
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(lines))
    done = run("events", "publish", tmp_path / "events.jsonl")
    assert (done.code, done.out) == (3, "published 1, refused 3\n")
    for message in ("line 3: ", "line 4: photoversion", "line 5: source"):
        assert message in done.err
    assert published(kafka, topic) == [PhotoEvent("1", EventKind.UPLOADED, "c", "a/b.jpg", 3, uri="file:///b.jpg")]


def test_a_missing_source_is_reported_before_contacting_kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRADOURO_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    missing = run("events", "publish", tmp_path / "missing")
    assert (missing.code, missing.out) == (1, "")
    assert (
        missing.err
        == f"error: source: there is no {tmp_path / 'missing'}; name a folder, a file of events, or - for standard input\n"
    )


def test_only_an_event_above_the_limit_is_refused(kafka: str, topic: str) -> None:
    picture, wide = jpeg(), "\N{GRINNING FACE}"
    largest = picture + bytes(MAX_INLINE_BYTES - len(picture))
    event = PhotoEvent("1", EventKind.UPLOADED, "photos", "a.jpg", 1, data=largest, caption=wide * 16_384)
    huge = replace(event, photo_id="b.jpg", attributes={f"{i}": wide * 1_024 for i in range(128)}, tags=(wide * 128,) * 256)
    last = replace(event, photo_id="c.jpg")
    lines = "".join(f"{line_of(one)}\n" for one in (event, huge, last))
    done = subprocess.run([COMMAND, "events", "publish", "-"], input=lines, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "published 2, refused 1\n"), done.stderr
    assert "b.jpg: event: " in done.stderr
    assert published(kafka, topic) == [event, last]


def line_of(event: PhotoEvent) -> str:
    """The event as a person writes it down."""
    state = {"data_base64": base64.b64encode(event.data or b"").decode(), "caption": event.caption}
    state |= {"attributes": dict(event.attributes), "tags": list(event.tags)}
    attributes = {"specversion": "1.0", "id": event.event_id, "type": event.kind, "subject": event.photo_id}
    return json.dumps({**attributes, "photoversion": str(event.version), "data": state}, ensure_ascii=False)


def test_topics_are_created_for_events_and_dead_letters(kafka: str, topic: str) -> None:
    assert run("events", "topics").out == f"{topic}: made\n{topic}.dead: made\n"
    assert run("events", "topics").out == f"{topic}: was there\n{topic}.dead: was there\n"
    day_ms = 24 * 3_600 * 1_000
    wanted = {
        topic: {"cleanup.policy": "compact", "retention.ms": "-1", "max.message.bytes": str(2 * 2**20)},
        f"{topic}.dead": {"cleanup.policy": "delete", "retention.ms": str(30 * day_ms), "max.message.bytes": str(3 * 2**20)},
    }
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    try:
        asked = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(values)) for name, values in wanted.items()]
        [found] = admin.describe_configs(asked, config_filter="all").values()
    finally:
        admin.close()
    assert {name: {key: one["value"] for key, one in values.items()} for name, values in found.items()} == wanted


@pytest.mark.usefixtures("kafka", "topic")
def test_an_endless_line_is_refused_within_bounded_memory(tmp_path: Path) -> None:
    (tmp_path / "events").symlink_to("/dev/zero")
    done = run("events", "publish", tmp_path / "events")
    assert (done.code, done.out) == (1, "")
    assert "line 1 has more than 8,388,608 bytes" in done.err
