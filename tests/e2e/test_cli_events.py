"""`miradouro events publish`: folders and written events, into a real Kafka."""

import json
import os
import uuid
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition
from miradouro.core.event import EventKind, PhotoEvent, SourceRecord
from miradouro.ingest.cloud_event import event_of

from tests.e2e.command import run
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


def test_a_folder_is_published_and_again_with_the_same_versions(kafka: str, topic: str, tmp_path: Path) -> None:
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


def test_written_events_are_published_and_wrong_ones_are_told_by_their_line(kafka: str, topic: str, tmp_path: Path) -> None:
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
    for told in ("line 3: ", "line 4: photoversion", "line 5: source"):
        assert told in done.err
    assert published(kafka, topic) == [PhotoEvent("1", EventKind.UPLOADED, "c", "a/b.jpg", 3, uri="file:///b.jpg")]


def test_a_source_that_is_not_there_is_told_before_kafka_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRADOURO_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    missing = run("events", "publish", tmp_path / "missing")
    assert (missing.code, missing.out) == (1, "")
    assert (
        missing.err
        == f"error: source: there is no {tmp_path / 'missing'}; name a folder, a file of events, or - for standard input\n"
    )
