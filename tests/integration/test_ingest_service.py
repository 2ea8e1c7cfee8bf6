"""Events in: stored, stale or failed one by one, in order, whatever the others of the batch are."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from miradouro.adapters.onnx_embedder import Outputs
from miradouro.adapters.photo_store import PhotoStoreSettings
from miradouro.core.errors import ConfigurationError, FailedPrecondition, InvalidArgument, NotFound, Overloaded, Unavailable
from miradouro.core.spaces import Geometry
from miradouro.ingest.pace import Pace
from miradouro.runtime.call import Call
from miradouro.runtime.grpc_client import open_channel
from miradouro.runtime.grpc_server import Service, running
from miradouro.runtime.security import OPEN_TO_ALL
from miradouro.v1 import ingest_service_pb2
from miradouro.v1.ingest_service_pb2 import (
    EVENT_STATUS_FAILED,
    EVENT_STATUS_STALE,
    EVENT_STATUS_STORED,
    IndexFolderRequest,
    ListFailuresRequest,
    PutEventsRequest,
)
from miradouro.v1.ingest_service_pb2_grpc import IngestServiceStub
from miradouro.v1.photo_event_pb2 import (
    PHOTO_EVENT_KIND_DELETED,
    PHOTO_EVENT_KIND_UPDATED,
    PHOTO_EVENT_KIND_UPLOADED,
    PhotoEvent,
)

from tests.ingest_fixture import IngestFixture, cancelled_call, open_ingest
from tests.pictures import jpeg
from tests.tiny_bundle import GatedNetworks
from tests.waiting import WAIT_S


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[IngestFixture]:
    with open_ingest(tmp_path / "ingest", photos=PhotoStoreSettings(photo_roots=str(tmp_path / "allowed"))) as opened:
        yield opened


def event(photo_id: str = "a", version: int = 1, **fields: object) -> PhotoEvent:
    if not fields.keys() & {"uri", "data"} and fields.get("kind") != PHOTO_EVENT_KIND_DELETED:
        fields["data"] = jpeg(60, 40)
    values = {"event_id": f"{photo_id}/{version}", "kind": PHOTO_EVENT_KIND_UPLOADED, "collection": "photos"} | fields
    return PhotoEvent(photo_id=photo_id, version=version, **values)


def deleted(photo_id: str, version: int) -> PhotoEvent:
    return event(photo_id, version, kind=PHOTO_EVENT_KIND_DELETED)


def statuses(ingest: IngestFixture, *events: PhotoEvent) -> list[int]:
    return [result.status for result in ingest.put(*events).results]


def test_an_inline_photo_is_stored_with_all_fields(ingest):
    full_event = event(
        "albums/1.jpg",
        3,
        title="T",
        caption="C",
        tags=["tram"],
        owner="ana",
        attributes={"camera": "X"},
        sha256=hashlib.sha256(jpeg(60, 40)).hexdigest(),
        place={"latitude": 1, "longitude": 2},
        taken_at={"instant": {"seconds": 86_400, "nanos": 5_000}, "utc_offset_minutes": -60},
    )
    assert statuses(ingest, full_event) == [EVENT_STATUS_STORED]
    found = ingest.index.get("photos", "albums/1.jpg")

    assert (found.version, found.title, found.caption, found.owner, found.uri) == (3, "T", "C", "ana", "")
    assert (found.media_type, found.width, found.height) == ("image/jpeg", 60, 40)
    assert found.taken_at is not None
    assert (found.taken_at.instant.isoformat(), found.taken_at.utc_offset_minutes) == ("1970-01-02T00:00:00.000005+00:00", -60)


def test_a_photo_is_read_only_below_allowed_folders(ingest, tmp_path):
    for place in ("allowed", "elsewhere"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.jpg").write_bytes(jpeg())
    results = ingest.put(
        event("in", uri=(tmp_path / "allowed/a.jpg").as_uri()),
        event("out", uri=(tmp_path / "elsewhere/a.jpg").as_uri()),
        event("climbing", uri=(tmp_path / "allowed").as_uri() + "/../elsewhere/a.jpg"),
        event("net", uri="http://127.0.0.1/a.jpg"),
    ).results

    assert [result.status for result in results] == [EVENT_STATUS_STORED] + [EVENT_STATUS_FAILED] * 3
    assert {result.reason for result in results[1:]} == {"invalid_argument"}


def test_only_valid_inline_photos_are_kept_once(tmp_path):
    kept, data = tmp_path / "kept", jpeg(seed=1)
    sha256 = hashlib.sha256(data).hexdigest()
    with open_ingest(tmp_path / "ingest", photos=PhotoStoreSettings(inline_store=str(kept))) as ingest:
        ingest.put(event("a", data=data), event("b", data=data), event("bad", data=b"no picture"))

        assert [path.name for path in kept.rglob("*") if path.is_file()] == [sha256]
        for name in "ab":
            assert ingest.index.get("photos", name).uri == (kept / sha256[:2] / sha256).as_uri()
        assert (kept / sha256[:2] / sha256).read_bytes() == data
        assert ingest.failures()["bad"].uri == ""


def test_an_inline_photo_is_not_kept_by_default(ingest):
    ingest.put(event("a", data=jpeg(seed=1)))
    assert ingest.index.get("photos", "a").uri == ""


def test_every_event_of_a_batch_has_its_result(ingest):
    results = ingest.put(
        event("good"),
        event("bad", data=b"no picture"),
        event("empty", data=b""),
        event("good", 1),
        event("kindless", kind=0),
        event("", 1),
        event("versionless", 0),
        event("nameless", collection="Not A Name"),
        event("sourceless", uri=""),
        event("hash", sha256="0" * 64),
        event("later", 2),
    ).results

    assert [(result.event_id, result.status, result.reason) for result in results] == [
        ("good/1", EVENT_STATUS_STORED, ""),
        ("bad/1", EVENT_STATUS_FAILED, "not_a_photo"),
        ("empty/1", EVENT_STATUS_FAILED, "empty"),
        ("good/1", EVENT_STATUS_STALE, ""),
        ("kindless/1", EVENT_STATUS_FAILED, "invalid_argument"),
        ("/1", EVENT_STATUS_FAILED, "invalid_argument"),
        ("versionless/0", EVENT_STATUS_FAILED, "invalid_argument"),
        ("nameless/1", EVENT_STATUS_FAILED, "invalid_argument"),
        ("sourceless/1", EVENT_STATUS_FAILED, "invalid_argument"),
        ("hash/1", EVENT_STATUS_FAILED, "sha256_mismatch"),
        ("later/2", EVENT_STATUS_STORED, ""),
    ]
    failed = {result.event_id.split("/")[0] for result in results if result.status == EVENT_STATUS_FAILED}
    assert set(ingest.failures()) == failed
    assert all(result.message and not result.retriable for result in results if result.status == EVENT_STATUS_FAILED)


def test_events_of_one_photo_keep_their_order(ingest):
    events = [event("a", version, data=jpeg(1_200 if version % 3 else 20, 600, seed=version)) for version in range(1, 13)]

    assert statuses(ingest, *events) == [EVENT_STATUS_STORED] * 12
    assert ingest.photos() == {"a": 12}


def test_older_versions_change_nothing_even_after_a_deletion(ingest):
    assert statuses(ingest, event("a", 5), event("a", 4), event("a", 5)) == [
        EVENT_STATUS_STORED,
        EVENT_STATUS_STALE,
        EVENT_STATUS_STALE,
    ]
    assert statuses(ingest, deleted("a", 6), event("a", 5), deleted("never seen", 2), event("never seen", 1)) == [
        EVENT_STATUS_STORED,
        EVENT_STATUS_STALE,
        EVENT_STATUS_STORED,
        EVENT_STATUS_STALE,
    ]
    assert ingest.photos() == {}
    with pytest.raises(NotFound):
        ingest.index.get("photos", "a")
    assert statuses(ingest, event("a", 7, kind=PHOTO_EVENT_KIND_UPDATED)) == [EVENT_STATUS_STORED]


@pytest.mark.parametrize("count", [0, 257])
def test_a_batch_has_1_to_256_events(ingest, count):
    with pytest.raises(InvalidArgument, match=r"events.*1 to 256"):
        ingest.put(*[deleted("a", 1)] * count)


def test_a_stored_photo_clears_its_failure(ingest):
    ingest.put(event("a", 1, data=b"bad"))
    assert ingest.failures()["a"].reason == "not_a_photo"
    ingest.put(event("a", 2))

    assert ingest.failures() == {}


def test_a_missing_embedder_is_retriable_without_a_record(tmp_path):
    with open_ingest(tmp_path / "ingest", pace=Pace(retry_s=0)) as ingest:
        ingest.put(event("before"))
        ingest.networks.broken = Unavailable("the network is away")
        [result] = ingest.put(event("a")).results

        assert (result.status, result.reason, result.retriable) == (EVENT_STATUS_FAILED, "unavailable", True)
        assert ingest.failures() == {}
        ingest.networks.broken = None
        assert statuses(ingest, event("a")) == [EVENT_STATUS_STORED]


class Flaky(GatedNetworks):
    """Networks that refuse the first `refusals` requests."""

    refusals = 0

    def run(self, bundle: str, photos: Mapping[Geometry, np.ndarray], **options: Any) -> Outputs:
        if self.refusals:
            self.refusals -= 1
            raise Overloaded("come back later")
        return super().run(bundle, photos, **options)


def test_a_passing_fault_is_tried_again(tmp_path):
    with open_ingest(tmp_path / "ingest", networks_class=Flaky, pace=Pace(retry_s=WAIT_S)) as ingest:
        ingest.networks.refusals = 2

        assert statuses(ingest, event("a")) == [EVENT_STATUS_STORED]
        assert ingest.networks.refusals == 0


def test_an_abandoned_batch_stops(ingest):
    ingest.put(event("first"))

    assert len(ingest.put(event("a"), event("b"), call=cancelled_call()).results) < 2


def test_another_collection_is_made_with_the_default_spaces(ingest):
    ingest.put(event("a", collection="cats"))

    assert [one.name for one in ingest.index.stats()] == ["cats"]
    assert {space.name for space in ingest.index.spaces("cats")} == {
        space.name for bundle in ingest.networks.descriptions for space in bundle.spaces
    }


def test_a_collection_of_events_takes_no_folder(ingest, tmp_path):
    ingest.put(event("a"))
    (tmp_path / "photos").mkdir()

    with pytest.raises(FailedPrecondition, match="--collection"):
        ingest.index_folder(tmp_path / "photos")


def test_failures_are_listed_by_pages(ingest):
    ingest.put(*[event(f"{number:02}", data=b"bad") for number in range(25)])
    ingest.put(event("other", collection="cats", data=b"bad"))
    seen: list[str] = []
    token = ""
    while True:
        page = ingest.service.ListFailures(ListFailuresRequest(collection="photos", page_size=10, page_token=token), Call())
        seen += [failure.photo_id for failure in page.failures]
        token = page.next_page_token
        if not token:
            break

    assert seen == [f"{number:02}" for number in range(25)]
    everything = ingest.service.ListFailures(ListFailuresRequest(), Call()).failures
    assert {failure.collection for failure in everything} == {"photos", "cats"}
    one = everything[0]
    assert (one.reason, one.version) == ("not_a_photo", 1)
    assert one.failed_at.seconds > 1_700_000_000


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("page_size", ListFailuresRequest(page_size=1_001)),
        ("page_token", ListFailuresRequest(page_token="made up")),
        ("collection", ListFailuresRequest(collection="Not A Name")),
    ],
)
def test_a_wrong_listing_is_refused_by_the_field(ingest, field, request_):
    with pytest.raises(InvalidArgument, match=field):
        ingest.service.ListFailures(request_, Call())


def test_the_same_answers_come_over_grpc(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_bytes(jpeg())
    (tmp_path / "photos/b.jpg").write_bytes(b"bad")
    descriptor = ingest_service_pb2.DESCRIPTOR.services_by_name["IngestService"]
    with (
        open_ingest(tmp_path / "ingest", photos=PhotoStoreSettings(photo_roots=str(tmp_path / "photos"))) as ingest,
        running([Service(descriptor, ingest.service)], security=OPEN_TO_ALL) as server,
        open_channel(str(server.address)) as channel,
    ):
        stub = IngestServiceStub(channel)
        put = stub.PutEvents(PutEventsRequest(events=[event("x", collection="events")]), timeout=WAIT_S)
        stream = list(stub.IndexFolder(IndexFolderRequest(path=str(tmp_path / "photos")), timeout=WAIT_S))
        failures = stub.ListFailures(ListFailuresRequest(), timeout=WAIT_S).failures

    assert [result.status for result in put.results] == [EVENT_STATUS_STORED]
    assert stream[0].WhichOneof("message") == "progress"
    assert (stream[-1].report.indexed, [one.path for one in stream[-1].report.failed]) == (1, ["b.jpg"])
    assert [failure.photo_id for failure in failures] == ["b.jpg"]


def test_where_collections_are_named_no_event_makes_another(tmp_path):
    with open_ingest(tmp_path / "ingest", collections="photos, trips") as ingest:
        results = ingest.put(event("a"), event("b", collection="typo"), event("c", collection="trips")).results
        assert [result.status for result in results] == [EVENT_STATUS_STORED, EVENT_STATUS_FAILED, EVENT_STATUS_STORED]
        assert results[1].reason == "unknown_collection"
        assert not results[1].retriable
        assert [one.name for one in ingest.index.stats()] == ["photos", "trips"]
        assert {name: one.reason for name, one in ingest.failures().items()} == {"b": "unknown_collection"}
        folder = tmp_path / "own"
        folder.mkdir()
        (folder / "x.jpg").write_bytes(jpeg())
        assert ingest.index_folder(folder, collection="own").indexed == 1, "the owner of the folder may name its collection"


def test_missing_spaces_stop_everything_without_photo_failures(tmp_path):
    with open_ingest(tmp_path / "ingest", spaces="tiny/deep, tiny/nothing") as ingest:
        with pytest.raises(FailedPrecondition, match=r"MIRADOURO_SPACES: 'tiny/nothing' .* allowed: tiny/shallow"):
            ingest.put(event("a"), event("b"))
        assert ingest.failures() == {}


def test_a_wrong_collection_name_stops_the_program(tmp_path):
    with pytest.raises(ConfigurationError, match=r"MIRADOURO_COLLECTIONS.*'Photos'"), open_ingest(tmp_path, collections="Photos"):
        pass
