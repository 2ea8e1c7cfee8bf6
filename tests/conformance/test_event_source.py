"""What every EventSource promises."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from miradouro.adapters.folder.source import FolderSource
from miradouro.adapters.photo_store import file_uri
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.core.document import Document
from miradouro.core.event import EventKind, PhotoEvent, check_event
from miradouro.core.fingerprint import sha256
from miradouro.core.ports import EventSource, PhotoIndex, Refused

from tests.ingest_house import age
from tests.photo_documents import SPACES, photo, tombstone
from tests.pictures import jpeg


@dataclass(frozen=True)
class Feed:
    """A source whose events go into `index`, and what uploads, deletes or spoils a photo at its other end."""

    open: Callable[[], EventSource]
    index: PhotoIndex
    upload: Callable[[str, bytes], None]
    delete: Callable[[str], None]
    spoil: Callable[[str], None]

    def events(self) -> list[PhotoEvent]:
        return [item for item in self.open().events() if isinstance(item, PhotoEvent)]

    def store(self, events: list[PhotoEvent]) -> None:
        """Acknowledges events: their documents are in the index."""
        self.index.write([_document(event) for event in events])


def _document(event: PhotoEvent) -> Document:
    if event.kind is EventKind.DELETED:
        return tombstone(event.photo_id, event.version)
    data = event.data if event.data is not None else Path(event.uri.removeprefix("file://")).read_bytes()
    return photo(event.photo_id, event.version, origin=event.origin, sha256=sha256(data), uri=event.uri)


def folder(place: Path, index: SqliteIndex) -> Feed:
    root = place / "photos"
    root.mkdir()

    def upload(name: str, data: bytes) -> None:
        (root / name).write_bytes(data)
        age(root / name)

    def spoil(name: str) -> None:
        (root / name).with_suffix(".json").write_bytes(b"{")

    return Feed(
        open=lambda: FolderSource(
            str(root), collection="photos", known=lambda: index.origins("photos"), file_uri=file_uri, prune=True
        ),
        index=index,
        upload=upload,
        delete=lambda name: (root / name).unlink(),
        spoil=spoil,
    )


SOURCES: dict[str, Callable[[Path, SqliteIndex], Feed]] = {"folder": folder}


@pytest.fixture(params=sorted(SOURCES))
def feed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Feed]:
    with SqliteIndex.open(tmp_path / "data", writer=True) as index:
        index.ensure_collection("photos", spaces=SPACES, root=str(tmp_path / "photos"))
        yield SOURCES[request.param](tmp_path, index)


def test_events_keep_every_limit_and_have_ids_of_their_own(feed):
    for name in ("a.jpg", "b.jpg", "ç d.jpg"):
        feed.upload(name, jpeg())
    events = feed.events()

    assert {event.photo_id for event in events} == {"a.jpg", "b.jpg", "ç d.jpg"}
    assert all(check_event(event) is event and event.kind is EventKind.UPLOADED for event in events)
    assert len({event.event_id for event in events}) == 3


def test_what_was_not_stored_is_given_again(feed):
    feed.upload("a.jpg", jpeg())
    first = feed.events()

    assert len(first) == 1
    assert feed.events() == first


def test_what_was_stored_is_not_given_again(feed):
    feed.upload("a.jpg", jpeg())
    feed.upload("b.jpg", jpeg())
    feed.store(feed.events())

    assert feed.events() == []


def test_versions_grow_through_changes_deletions_and_returns(feed):
    seen: list[PhotoEvent] = []
    for change in (
        lambda: feed.upload("a.jpg", jpeg(seed=1)),
        lambda: feed.upload("a.jpg", jpeg(seed=2, width=400)),
        lambda: feed.delete("a.jpg"),
        lambda: feed.upload("a.jpg", jpeg(seed=1)),
    ):
        change()
        events = feed.events()
        feed.store(events)
        seen += events

    assert [event.version for event in seen] == [1, 2, 3, 4]
    assert [event.kind for event in seen] == [EventKind.UPLOADED, EventKind.UPDATED, EventKind.DELETED, EventKind.UPLOADED]


def test_a_deletion_carries_no_photo(feed):
    feed.upload("a.jpg", jpeg())
    feed.store(feed.events())
    feed.delete("a.jpg")
    [deletion] = feed.events()

    assert (deletion.kind, deletion.uri, deletion.data) == (EventKind.DELETED, "", None)


def test_a_spoilt_one_is_told_and_holds_back_no_other(feed):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        feed.upload(name, jpeg())
    feed.spoil("b.jpg")
    items = list(feed.open().events())

    assert [item.photo_id for item in items if isinstance(item, PhotoEvent)] == ["a.jpg", "c.jpg"]
    [refused] = [item for item in items if isinstance(item, Refused)]
    assert (refused.photo_id, refused.version) == ("b.jpg", 1)
    assert refused.error.message
