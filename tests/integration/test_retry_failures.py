"""Retries of failures on request: from the folder or by the event, with a report when a retry is impossible."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from miradouro.adapters.photo_store import PhotoStoreSettings
from miradouro.core.document import Failure
from miradouro.core.errors import FailedPrecondition, InvalidArgument, NotFound
from miradouro.runtime.call import Call
from miradouro.runtime.grpc_client import open_channel
from miradouro.runtime.grpc_server import Service, running
from miradouro.runtime.security import OPEN_TO_ALL
from miradouro.v1 import ingest_service_pb2
from miradouro.v1.ingest_service_pb2 import (
    RETRY_STATUS_FAILED,
    RETRY_STATUS_IMPOSSIBLE,
    RETRY_STATUS_SETTLED,
    RETRY_STATUS_STORED,
    IndexFolderRequest,
    RetryFailuresRequest,
    RetryFailuresResponse,
)
from miradouro.v1.ingest_service_pb2_grpc import IngestServiceStub
from miradouro.v1.photo_event_pb2 import PHOTO_EVENT_KIND_UPLOADED, PhotoEvent

from tests.ingest_fixture import IngestFixture, open_ingest
from tests.photo_folder import counts, write
from tests.pictures import encode, jpeg
from tests.waiting import WAIT_S


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[IngestFixture]:
    (tmp_path / "allowed").mkdir()
    with open_ingest(tmp_path / "ingest", photos=PhotoStoreSettings(photo_roots=str(tmp_path / "allowed"))) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def retried(ingest: IngestFixture, *photo_ids: str, collection: str = "") -> dict[str, RetryFailuresResponse]:
    request = RetryFailuresRequest(collection=collection, photo_ids=photo_ids)
    return {row.photo_id: row for row in ingest.service.RetryFailures(request, Call())}


def statuses(ingest: IngestFixture, *photo_ids: str, collection: str = "") -> dict[str, int]:
    return {photo_id: row.status for photo_id, row in retried(ingest, *photo_ids, collection=collection).items()}


def by_uri(path: Path, **fields: object) -> PhotoEvent:
    return PhotoEvent(
        event_id="e",
        kind=PHOTO_EVENT_KIND_UPLOADED,
        collection="sent",
        photo_id=path.name,
        version=7,
        uri=path.as_uri(),
        **fields,
    )


def test_folder_photos_are_retried_with_their_sidecars(ingest, folder):
    write(folder / "a.jpg", b"broken")
    write(folder / "b/c d.jpg", b"broken")
    write(folder / "b/c d.json", {"caption": "At last"})
    write(folder / "still.jpg", b"broken")
    assert counts(ingest.index_folder(folder)) == (0, 0, 0, 0, 3)
    write(folder / "a.jpg", jpeg())
    write(folder / "b/c d.jpg", jpeg(seed=1))

    results = retried(ingest)
    assert {photo_id: one.status for photo_id, one in results.items()} == {
        "a.jpg": RETRY_STATUS_STORED,
        "b/c d.jpg": RETRY_STATUS_STORED,
        "still.jpg": RETRY_STATUS_FAILED,
    }
    assert (results["still.jpg"].reason, bool(results["still.jpg"].message)) == ("not_a_photo", True)
    assert list(ingest.failures()) == ["still.jpg"]
    assert ingest.index.get("photos", "b/c d.jpg").caption == "At last"
    assert counts(ingest.index_folder(folder)) == (0, 2, 0, 0, 1)


def test_a_photo_by_uri_is_retried_with_metadata(ingest, tmp_path):
    path = tmp_path / "allowed" / "a.jpg"
    event = by_uri(
        path,
        title="T",
        caption="C",
        tags=["tram"],
        owner="ana",
        attributes={"camera": "X"},
        place={"latitude": 1, "longitude": 2},
        taken_at={"instant": {"seconds": -1, "nanos": 5_000}, "utc_offset_minutes": -60},
    )
    ingest.put(event)
    assert ingest.failures()["a.jpg"].reason == "vanished"
    assert statuses(ingest) == {"a.jpg": RETRY_STATUS_FAILED}
    write(path, jpeg())
    assert statuses(ingest) == {"a.jpg": RETRY_STATUS_STORED}
    found, other = ingest.index.get("sent", "a.jpg"), by_uri(path)
    assert (found.version, found.title, found.caption, found.owner, found.attributes) == (7, "T", "C", "ana", {"camera": "X"})
    assert (found.tags[0].label, found.place.latitude, found.place.longitude) == ("tram", 1, 2)
    assert (found.taken_at.instant.isoformat(), found.taken_at.utc_offset_minutes) == ("1969-12-31T23:59:59.000005+00:00", -60)
    assert found.uri == other.uri
    assert ingest.failures() == {}


def test_a_discarded_original_stays_a_failure_with_reason(ingest):
    inline = PhotoEvent(event_id="e", kind=PHOTO_EVENT_KIND_UPLOADED, photo_id="inline", version=1, data=b"broken")
    refused = PhotoEvent(
        event_id="e", kind=PHOTO_EVENT_KIND_UPLOADED, photo_id="refused", version=1, uri="file:///x", sha256="no"
    )
    ingest.put(inline, refused)
    results = retried(ingest)

    assert {one.status for one in results.values()} == {RETRY_STATUS_IMPOSSIBLE}
    assert "send the event again" in results["inline"].message
    assert "send it again, corrected" in results["refused"].message
    assert set(ingest.failures()) == {"inline", "refused"}


def test_files_needing_no_indexing_are_no_longer_failures(ingest, folder):
    write(folder / "a.jpg", jpeg())
    write(folder / "no name", encode(jpeg_pixels(), "PNG")[:64])
    assert counts(ingest.index_folder(folder)) == (1, 0, 0, 0, 1)
    write(folder / "a.jpg", b"broken", seconds_ago=5)
    assert counts(ingest.index_folder(folder)) == (0, 0, 0, 0, 2)
    write(folder / "a.jpg", jpeg())
    write(folder / "no name", b"words")

    assert statuses(ingest) == {"a.jpg": RETRY_STATUS_SETTLED, "no name": RETRY_STATUS_SETTLED}
    assert ingest.failures() == {}


def jpeg_pixels():
    from tests.pictures import blocks

    return blocks(40, 30)


def test_a_restored_file_is_no_longer_a_failure(ingest, folder):
    for data, failed in ((jpeg(), 0), (b"broken", 1), (jpeg(), 0)):
        write(folder / "a.jpg", data, seconds_ago=len(data) % 50)
        assert ingest.index_folder(folder).failed_total == failed
        assert len(ingest.failures()) == failed


def test_a_missing_folder_leaves_its_failures_unchanged(ingest, folder):
    write(folder / "a.jpg", b"broken")
    write(folder / "b.jpg", jpeg())
    ingest.index_folder(folder)
    (folder / "a.jpg").unlink()
    assert retried(ingest)["a.jpg"].reason == "vanished"
    folder.rename(folder.with_name("away"))
    [result] = retried(ingest).values()

    assert (result.status, "mount" in result.message) == (RETRY_STATUS_IMPOSSIBLE, True)
    assert list(ingest.failures()) == ["a.jpg"]


def test_photos_and_a_collection_may_be_chosen(ingest, folder, tmp_path):
    for name in ("a.jpg", "b.jpg"):
        write(folder / name, b"broken")
    ingest.index_folder(folder)
    ingest.put(by_uri(tmp_path / "allowed" / "c.jpg"))

    assert set(statuses(ingest, "b.jpg")) == {"b.jpg"}
    assert set(statuses(ingest, collection="sent")) == {"c.jpg"}
    assert set(statuses(ingest)) == {"a.jpg", "b.jpg", "c.jpg"}
    with pytest.raises(NotFound, match=r"'c\.jpg' of collection 'photos' is not among the failures"):
        retried(ingest, "a.jpg", "c.jpg")
    with pytest.raises(InvalidArgument, match="photo_ids"):
        retried(ingest, *map(str, range(1_001)))
    with pytest.raises(InvalidArgument, match="collection"):
        retried(ingest, collection="No Name")


def test_a_running_index_blocks_retries_of_its_collection(ingest, folder):
    write(folder / "a.jpg", b"broken")
    ingest.index_folder(folder)
    stream = ingest.service.IndexFolder(IndexFolderRequest(path=str(folder)), Call())
    next(stream)

    with pytest.raises(FailedPrecondition, match="being indexed"):
        retried(ingest)
    stream.close()
    assert statuses(ingest) == {"a.jpg": RETRY_STATUS_FAILED}


def test_pages_of_failures_are_tried_over_grpc(ingest):
    moment = datetime(2024, 5, 1, tzinfo=UTC)
    ingest.index.put([Failure("photos", f"{i:04}", 1, "empty", "none", "", moment) for i in range(1_001)])
    service = Service(ingest_service_pb2.DESCRIPTOR.services_by_name["IngestService"], ingest.service)
    with running([service], security=OPEN_TO_ALL) as server, open_channel(server.target) as channel:
        results = list(IngestServiceStub(channel).RetryFailures(RetryFailuresRequest(), timeout=WAIT_S))

    assert [one.photo_id for one in results] == [f"{i:04}" for i in range(1_001)]
    assert {one.status for one in results} == {RETRY_STATUS_IMPOSSIBLE}


def test_unread_photos_are_distinguished_from_refused_ones(ingest):
    reasons = ("unreachable", "vanished", "bad_data")
    ingest.index.put(
        [Failure("sent", reason, 1, reason, "message", "https://host/a.jpg", datetime.now(UTC)) for reason in reasons]
    )
    results = retried(ingest, collection="sent")

    assert {one.status for one in results.values()} == {RETRY_STATUS_IMPOSSIBLE}
    assert "send it again, corrected" in results["bad_data"].message
    for reason in ("unreachable", "vanished"):
        assert "the event was not kept with its failure; remove the cause that the failure names" in results[reason].message


def test_a_refused_event_cannot_reach_outside_the_folder(ingest, folder, tmp_path):
    """Its URI and photo id are what a sender wrote: a retry by files must not follow them out of the collection's folder."""
    write(folder / "a.jpg", jpeg())
    assert ingest.index_folder(folder, collection="mine").indexed == 1
    write(tmp_path / "private/secret.jpg", jpeg(seed=2))
    for number, photo_id in enumerate(("../private/secret.jpg", "x/../../private/secret.jpg")):
        event = PhotoEvent(
            event_id=f"e{number}",
            kind=PHOTO_EVENT_KIND_UPLOADED,
            collection="mine",
            photo_id=photo_id,
            version=1,
            uri=f"file://{folder}/{photo_id}",
            title="x" * 2_000,
        )
        ingest.put(event)
        assert statuses(ingest, photo_id, collection="mine") == {photo_id: RETRY_STATUS_IMPOSSIBLE}
    assert set(ingest.photos("mine")) == {"a.jpg"}
