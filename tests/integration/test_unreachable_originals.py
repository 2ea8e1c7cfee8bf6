"""A place of photos that does not answer: its photos wait for a while, and then no longer; the others do not wait at all."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from miradouro.adapters.photo_store import PhotoStoreSettings
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.ingest.outcome import Status
from miradouro.ingest.pace import Pace
from miradouro.runtime.call import Call
from miradouro.v1 import ingest_service_pb2, photo_event_pb2

from tests.ingest_fixture import IngestFixture, open_ingest
from tests.pictures import jpeg
from tests.waiting import WAIT_S
from tests.web_photos import LOOPBACK, WebPhotos, body, in_turn, web_photos


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebPhotos]:
    with web_photos(tmp_path / "web") as server:
        yield server


@pytest.fixture
def ingest(tmp_path: Path, web: WebPhotos) -> Iterator[IngestFixture]:
    photos = PhotoStoreSettings(photo_sources=web.url("/"), photo_private_hosts=LOOPBACK, photo_ca_file=web.ca_file)
    with open_ingest(tmp_path / "ingest", photos=photos, pace=Pace(retry_s=0.2)) as opened:
        yield opened


@pytest.fixture
def patient(tmp_path: Path, web: WebPhotos) -> Iterator[IngestFixture]:
    photos = PhotoStoreSettings(photo_sources=web.url("/"), photo_private_hosts=LOOPBACK, photo_ca_file=web.ca_file)
    with open_ingest(tmp_path / "patient", photos=photos, pace=Pace(retry_s=WAIT_S)) as opened:
        yield opened


def event(name: str, uri: str) -> PhotoEvent:
    return PhotoEvent(name, EventKind.UPLOADED, "photos", name, 1, uri=uri)


def test_an_unreachable_photo_does_not_block_the_log(ingest, web):
    down = web.put("/down.jpg", body(b"", status=503))
    good = web.put("/good.jpg", body(jpeg(seed=2)))
    outcomes = list(ingest.consume([event("down", down), event("good", good)], Call()))

    assert [(one.status, one.reason) for one in outcomes] == [(Status.FAILED, "unreachable"), (Status.STORED, "")]
    assert "HTTP 503; tried for 0.2 s" in outcomes[0].message
    assert ingest.photos() == {"good": 1}
    assert {name: one.reason for name, one in ingest.failures().items()} == {"down": "unreachable"}


def test_a_photo_is_fetched_until_its_host_answers(patient, web):
    late = web.put("/late.jpg", in_turn(body(b"", status=500), body(b"", status=429), body(jpeg(seed=1))))
    assert [one.status for one in patient.consume([event("late", late)], Call())] == [Status.STORED]
    assert web.requests.count("/late.jpg") == 3
    assert patient.failures() == {}


def test_an_interrupted_attempt_is_left_to_its_successor(ingest, web):
    call = Call(cancelled=threading.Event())

    def stop(handler: object) -> None:
        call.cancelled.set()
        body(b"", status=503)(handler)  # type: ignore[arg-type] # of the test's server

    source = [event("down", web.put("/down.jpg", stop))]
    assert list(ingest.consume(source, call)) == [], "the offset stays where it is"
    assert ingest.failures() == {}


def test_an_unreachable_photo_is_retriable_and_not_recorded(ingest, web):
    sent = photo_event_pb2.PhotoEvent(
        event_id="e",
        kind=photo_event_pb2.PHOTO_EVENT_KIND_UPLOADED,
        collection="photos",
        photo_id="a",
        version=1,
        uri=web.put("/a.jpg", body(b"", status=503)),
    )
    [result] = ingest.put(sent).results

    assert result.status == ingest_service_pb2.EVENT_STATUS_FAILED
    assert result.retriable
    assert ingest.failures() == {}
