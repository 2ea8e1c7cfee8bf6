"""`miradouro backfill`: what lies in folders and buckets, into a real Kafka; and going on after an interruption."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from miradouro.adapters.kafka import KafkaSettings, Publisher, ensure_topics
from miradouro.adapters.location import Listed, Location
from miradouro.adapters.photo_store import PhotoStores, PhotoStoreSettings
from miradouro.core.document import GeoPoint
from miradouro.core.event import PhotoEvent
from miradouro.core.source_record import SourceRecord
from miradouro.ingest.backfill import Checkpoint, CheckpointFile, Job, backfill
from miradouro.ingest.cloud_event import event_of

from tests.cloud_storage import s3_service
from tests.e2e.command import run
from tests.kafka_records import records_of
from tests.metadata_blocks import packet
from tests.pictures import jpeg
from tests.reading import READER


@pytest.fixture
def topic(kafka: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    name = f"t{uuid.uuid4().hex}"
    monkeypatch.setenv("MIRADOURO_KAFKA_BOOTSTRAP", kafka)
    monkeypatch.setenv("MIRADOURO_KAFKA_TOPIC", name)
    monkeypatch.setenv("MIRADOURO_KAFKA_DEAD_TOPIC", f"{name}.dead")
    monkeypatch.setenv("MIRADOURO_KAFKA_PARTITIONS", "1")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return name


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an S3 server with an empty bucket `photos`."""
    with s3_service() as cloud:
        monkeypatch.setenv("MIRADOURO_S3_ENDPOINT", cloud.endpoint)
        yield cloud.endpoint


@pytest.fixture
def memory() -> Iterator[str]:
    """The URL of a place in this process."""
    name = uuid.uuid4().hex
    yield f"memory://{name}"
    fsspec.filesystem("memory").rm(f"/{name}", recursive=True)


def published(kafka: str, topic: str) -> list[PhotoEvent]:
    found = records_of(kafka, topic)
    return [event_of(SourceRecord(topic, 0, one.offset, one.key, one.value, tuple(one.headers))) for one in found]


def test_a_folder_is_published_as_events_publish_does(kafka: str, topic: str, tmp_path: Path) -> None:
    photos = tmp_path / "my photos"
    (photos / "trip").mkdir(parents=True)
    for name in ("a.jpg", "trip/b.jpg"):
        (photos / name).write_bytes(jpeg())
    (photos / "a.json").write_text(json.dumps({"title": "Lisboa", "version": 7}))
    (photos / "notes.txt").write_text("no photo")
    for words in (["events", "publish", photos], ["backfill", photos], ["backfill", photos.as_uri()]):
        done = run(*words, "--collection", "holidays")
        assert (done.code, done.out) == (0, "published 2, refused 0\n"), done.err
    events = published(kafka, topic)
    assert events[:2] == events[2:4] == events[4:]
    assert [(one.photo_id, one.title, one.version) for one in events[:2]] == [
        ("a.jpg", "Lisboa", 7),
        ("trip/b.jpg", "", (photos / "trip/b.jpg").stat().st_mtime_ns // 1_000_000),
    ]
    assert not list((tmp_path / "state").rglob("*.json")), "what is done leaves no checkpoint"


def test_a_published_bucket_with_sidecars_is_searchable(kafka: str, topic: str, bucket: str) -> None:
    files = fsspec.filesystem("s3", endpoint_url=bucket, skip_instance_cache=True)
    picture = jpeg()
    objects = {
        "2024/a b+é%20.jpg": picture,
        "2024/a b+é%20.json": json.dumps({"tags": ["x"], "place": {"lat": 1, "lon": 2}}).encode(),
        "2024/b.jpg": picture,
        "2024/b.json": b'{"version": 12}',
        "2024/c.jpg": picture,
        "2024/c.json": b"{",
        "2024/c.jpg.xmp": packet("<dc:description>A street</dc:description>"),
        "2024.jpg": picture,
        "by-content": picture,
        "empty": b"",
        "notes.txt": b"no photo at all",
        ".hidden/d.jpg": picture,
        "folder/": b"",
        "nameless//e.jpg": picture,
    }
    for name, data in objects.items():
        files.pipe_file(f"photos/{name}", data)
    for _ in range(2):
        done = run("backfill", "s3://photos")
        assert (done.code, done.out) == (3, "published 5, refused 1\n"), done.err
        assert "nameless//: " in done.err
        assert "sidecar: 2024/c.json: it is not JSON" in done.err
    events = published(kafka, topic)
    assert events[:5] == events[5:]
    names = ["2024.jpg", "2024/a b+é%20.jpg", "2024/b.jpg", "2024/c.jpg", "by-content"]
    assert [one.photo_id for one in events[:5]] == names
    assert events[3].caption == "A street"
    assert (events[1].tags, events[1].place, events[2].version) == (("x",), GeoPoint(1, 2), 12)
    changed = files.info("photos/by-content")["LastModified"]
    assert events[4].version == int(changed.timestamp() * 1_000)
    store = PhotoStores(PhotoStoreSettings(photo_sources="s3://photos/", s3_endpoint=bucket))
    for event in events[:5]:
        assert store.read(event.uri, limit_bytes=10**6) == picture
    done = run("backfill", "s3://photos/2024/", "--collection", "part")
    assert done.out == "published 3, refused 0\n"
    assert [one.photo_id for one in published(kafka, topic)[10:]] == ["a b+é%20.jpg", "b.jpg", "c.jpg"]


def test_an_interrupted_run_goes_on_where_it_stopped(kafka: str, topic: str, memory: str, tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    wanted = {f"{number % 7}/{number:04}.jpg" for number in range(1_200)}
    for name in wanted:
        files.pipe_file(f"{memory}/{name}", b"x")
    kafka_settings = KafkaSettings()
    ensure_topics(kafka_settings)
    checkpoints = CheckpointFile(tmp_path / "state.json", Job("memory", "photos", kafka, topic))

    def begin(publisher: Publisher) -> Iterator[int]:
        location = Location(memory)
        return backfill(
            location,
            collection="photos",
            publisher=publisher,
            reader=READER,
            checkpoints=checkpoints,
            refused=pytest.fail,
            faulty=pytest.fail,
        )

    with Publisher(kafka_settings) as publisher:
        interrupted = begin(publisher)
        first = next(interrupted)
        interrupted.close()  # type: ignore[attr-defined] # it is a generator
    assert 0 < first < len(wanted)
    stopped = checkpoints.read()
    assert (stopped.published, stopped.after) == (first, sorted(wanted)[first - 1])
    before = len(published(kafka, topic))
    with Publisher(kafka_settings) as publisher:
        assert list(begin(publisher))[-1] == len(wanted)
    events = published(kafka, topic)
    assert {one.photo_id for one in events} == wanted
    assert [one.photo_id for one in events[before:]] == sorted(wanted)[first:]
    assert not checkpoints.path.exists()


def test_checkpoints_are_those_of_one_job(topic: str, tmp_path: Path) -> None:  # noqa: ARG001 # its settings
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(jpeg())
    state = tmp_path / "state.json"
    other = CheckpointFile(state, Job("s3://elsewhere", "photos", "b", "t"))
    other.write(Checkpoint("x", 1))
    assert other.read() == Checkpoint("x", 1)
    for wrong in (state.read_bytes(), b"{", b"[]", b'{"job": 1}'):
        state.write_bytes(wrong)
        done = run("backfill", tmp_path / "photos", "--state", state)
        assert done.code == 1
        assert str(state) in done.err
        assert "Traceback" not in done.err
    assert run("backfill", tmp_path / "photos", "--state", state, "--restart").out == "published 1, refused 0\n"
    assert not state.exists()


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("sftp://host/photos", "paramiko"),
        ("nonsense://x", "nonsense"),
        ("memory://nothing-here", "there is nothing at memory://nothing-here"),
        ("/no/such/folder", "there is no folder /no/such/folder"),
    ],
)
def test_an_invalid_place_error_gives_the_reason(topic: str, uri: str, message: str) -> None:  # noqa: ARG001 # its settings
    done = run("backfill", uri)
    assert done.code == 1
    assert message in done.err
    assert "this is a bug" not in done.err


NAMES = st.text("ab/.-é", min_size=1, max_size=7).map(lambda name: "/".join(part for part in name.split("/") if part.strip(".")))


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.sets(NAMES.filter(bool), min_size=1, max_size=9), after=NAMES)
def test_photos_come_by_id_from_any_start(names: set[str], after: str) -> None:
    place = f"memory://{uuid.uuid4().hex}"
    files = fsspec.filesystem("memory")
    for name in names:
        files.pipe_file(f"{place}/{name}.jpg", b"x")
    try:
        ids = [one.photo_id for one in Location(place).photos() if isinstance(one, Listed)]
        wanted = [f"{name}.jpg" for name in names if not any(part.startswith(".") for part in name.split("/"))]
        assert ids == sorted(wanted, key=str.encode)
        later = [one.photo_id for one in Location(place).photos(after=after) if isinstance(one, Listed)]
        assert later == [one for one in ids if one.encode() > after.encode()]
    finally:
        files.rm(f"/{place.removeprefix('memory://')}", recursive=True)
