"""What every EventSource promises."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from miradouro.adapters.folder.source import FolderSource
from miradouro.adapters.kafka import KafkaSource, Publisher
from miradouro.adapters.kafka.replay import Replay, committed_offsets
from miradouro.adapters.photo_store import file_uri
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.core.document import Document
from miradouro.core.event import EventKind, PhotoEvent, check_event
from miradouro.core.fingerprint import sha256
from miradouro.core.ports import EventSource, NothingYet, Refused, SourceItem
from miradouro.ingest.audit.patience import patiently
from miradouro.ingest.cloud_event import item_of, record_of

from tests import engine_processes
from tests.conformance.engines import with_markers
from tests.ingest_fixture import age
from tests.kafka_topics import own_topics
from tests.photo_documents import SPACES, photo, tombstone
from tests.pictures import jpeg
from tests.reading import READER
from tests.waiting import WAIT_S


class Feed(Protocol):
    """A source whose events go into an index, and what uploads a photo, a spoilt one, or deletes one at its other end."""

    def items(self) -> list[SourceItem]:
        """What the source gives when it is opened anew."""
        ...

    def store(self, events: Sequence[PhotoEvent]) -> None:
        """Stores events that `items` gave last, and acknowledges them."""
        ...

    def upload(self, name: str, data: bytes) -> None: ...

    def delete(self, name: str) -> None: ...

    def spoil(self, name: str) -> None: ...


def events_of(feed: Feed) -> list[PhotoEvent]:
    return [item for item in feed.items() if isinstance(item, PhotoEvent)]


def _document(event: PhotoEvent) -> Document:
    if event.kind is EventKind.DELETED:
        return tombstone(event.photo_id, event.version)
    data = event.data if event.data is not None else Path(event.uri.removeprefix("file://")).read_bytes()
    return photo(event.photo_id, event.version, origin=event.origin, sha256=sha256(data), uri=event.uri)


def _store(events: Sequence[PhotoEvent], index: SqliteIndex, source: EventSource) -> None:
    index.write([_document(event) for event in events])
    for event in events:
        source.acknowledge(event)
        source.acknowledge(event)  # a second time changes nothing


class FolderFeed:
    """Files of a folder."""

    def __init__(self, place: Path, index: SqliteIndex) -> None:
        self._root, self._index = place / "photos", index
        self._root.mkdir()
        self._source: FolderSource | None = None

    def items(self) -> list[SourceItem]:
        self._source = FolderSource(
            str(self._root),
            collection="photos",
            index=self._index,
            file_uri=file_uri,
            reader=READER,
            prune=True,
        )
        return list(self._source.events())

    def store(self, events: Sequence[PhotoEvent]) -> None:
        assert self._source is not None
        _store(events, self._index, self._source)

    def upload(self, name: str, data: bytes) -> None:
        (self._root / name).write_bytes(data)
        age(self._root / name)

    def delete(self, name: str) -> None:
        (self._root / name).unlink()

    def spoil(self, name: str) -> None:
        (self._root / name).symlink_to("nowhere")


class KafkaFeed:
    """Records of a topic of its own, in one partition; the uploader counts versions."""

    def __init__(self, place: Path, index: SqliteIndex) -> None:  # noqa: ARG002 # it is elsewhere
        self._settings = own_topics(engine_processes.kafka(), partitions=1)
        self._index = index
        self._source: KafkaSource | None = None
        self._versions: dict[str, int] = {}
        self._live: set[str] = set()

    def items(self) -> list[SourceItem]:
        self.leave()
        with Replay(self._settings, self._settings.kafka_topic) as replay:
            waiting = replay.ends()[0] - patiently(lambda: committed_offsets(self._settings)).get(0, 0)
        self._source = KafkaSource(self._settings, item_of)
        found: list[SourceItem] = []
        deadline = time.monotonic() + WAIT_S
        for item in self._source.events():
            if not isinstance(item, NothingYet):
                found.append(item)
            elif self._source.partitions and len(found) >= waiting:
                return found
            assert time.monotonic() < deadline, f"{len(found)} of {waiting} records came"
        raise AssertionError("it ended by itself")

    def store(self, events: Sequence[PhotoEvent]) -> None:
        assert self._source is not None
        _store(events, self._index, self._source)

    def upload(self, name: str, data: bytes) -> None:
        kind = EventKind.UPDATED if name in self._live else EventKind.UPLOADED
        self._live.add(name)
        version = self._next(name)
        self._send(record_of(PhotoEvent(f"{name}-{version}", kind, "photos", name, version, data=data)))

    def delete(self, name: str) -> None:
        self._live.discard(name)
        self._send((f"photos/{name}".encode(), None, [("ce_photoversion", str(self._next(name)).encode())]))

    def spoil(self, name: str) -> None:
        self._send((f"photos/{name}".encode(), b"{", [("ce_photoversion", b"1")]))

    def leave(self) -> None:
        """Leaves the group; what was acknowledged is committed by then."""
        if self._source is not None:
            self._source.leave()
        self._source = None

    def _next(self, name: str) -> int:
        self._versions[name] = self._versions.get(name, 0) + 1
        return self._versions[name]

    def _send(self, record: tuple[bytes, bytes | None, list[tuple[str, bytes]]]) -> None:
        with Publisher(self._settings) as publisher:
            list(publisher.publish([record]))  # type: ignore[list-item] # a record may have no value


SOURCES = {"folder": FolderFeed, "kafka": KafkaFeed}


@pytest.fixture(params=with_markers(SOURCES))
def feed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Feed]:
    with SqliteIndex.open(tmp_path / "data", writer=True) as index:
        index.ensure_collection("photos", spaces=SPACES, root=str(tmp_path / "photos"))
        opened = SOURCES[request.param](tmp_path, index)
        yield opened
        if isinstance(opened, KafkaFeed):
            opened.leave()


def test_events_respect_limits_and_have_unique_ids(feed):
    for name in ("a.jpg", "b.jpg", "ç d.jpg"):
        feed.upload(name, jpeg())
    events = events_of(feed)

    assert {event.photo_id for event in events} == {"a.jpg", "b.jpg", "ç d.jpg"}
    assert all(check_event(event) is event and event.kind is EventKind.UPLOADED for event in events)
    assert len({event.event_id for event in events}) == 3


def test_unstored_events_are_redelivered(feed):
    feed.upload("a.jpg", jpeg())
    first = events_of(feed)

    assert len(first) == 1
    assert events_of(feed) == first


def test_stored_events_are_not_redelivered(feed):
    feed.upload("a.jpg", jpeg())
    feed.upload("b.jpg", jpeg())
    feed.store(events_of(feed))

    assert events_of(feed) == []


@pytest.mark.parametrize("stored", ["a.jpg", "c.jpg"])
def test_unacknowledged_events_are_given_again(feed, stored):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        feed.upload(name, jpeg())
    feed.store([event for event in events_of(feed) if event.photo_id == stored])

    given = {event.photo_id for event in events_of(feed)}
    assert {"a.jpg", "b.jpg", "c.jpg"} - {stored} <= given


def test_versions_grow_through_changes_deletions_and_returns(feed):
    seen: list[PhotoEvent] = []
    for change in (
        lambda: feed.upload("a.jpg", jpeg(seed=1)),
        lambda: feed.upload("a.jpg", jpeg(seed=2, width=400)),
        lambda: feed.delete("a.jpg"),
        lambda: feed.upload("a.jpg", jpeg(seed=1)),
    ):
        change()
        events = events_of(feed)
        feed.store(events)
        seen += events

    assert [event.version for event in seen] == [1, 2, 3, 4]
    assert [event.kind for event in seen] == [EventKind.UPLOADED, EventKind.UPDATED, EventKind.DELETED, EventKind.UPLOADED]


def test_a_deletion_carries_no_photo(feed):
    feed.upload("a.jpg", jpeg())
    feed.store(events_of(feed))
    feed.delete("a.jpg")
    [deletion] = events_of(feed)

    assert (deletion.kind, deletion.uri, deletion.data) == (EventKind.DELETED, "", None)


def test_a_spoilt_record_is_reported_and_blocks_nothing(feed):
    feed.upload("a.jpg", jpeg())
    feed.spoil("b.jpg")
    feed.upload("c.jpg", jpeg())
    items = feed.items()

    assert [item.photo_id for item in items if isinstance(item, PhotoEvent)] == ["a.jpg", "c.jpg"]
    [refused] = [item for item in items if isinstance(item, Refused)]
    assert (refused.photo_id, refused.version) == ("b.jpg", 1)
    assert refused.error.message
