"""A secret in a photo's URI fetches the photo, and is in nothing that anybody is shown."""

import io
from collections.abc import Iterator
from contextlib import redirect_stderr
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from miradouro.adapters.kafka.letter import sendable
from miradouro.adapters.photo_store import PhotoStoreSettings
from miradouro.core.document import Failure
from miradouro.core.source_record import SourceRecord
from miradouro.ingest.cloud_event import item_of
from miradouro.ingest.event_wire import kept_with_failure
from miradouro.runtime import logs
from miradouro.runtime.call import Call
from miradouro.v1 import photo_event_pb2
from miradouro.v1.ingest_service_pb2 import EVENT_STATUS_FAILED, EVENT_STATUS_STORED, ListFailuresRequest, RetryFailuresRequest
from miradouro.v1.search_service_pb2 import EverythingQuery, GetPhotoRequest, SearchRequest

from tests.http_fixture import Door, open_door
from tests.pictures import jpeg
from tests.web_photos import LOOPBACK, WebPhotos, body, redirect, web_photos

SECRET = "S3CR3T"
REFUSED = [
    f"https://photos.example/a.jpg?X-Amz-Signature={SECRET}",
    f" https://photos.example/a.jpg?sig={SECRET}",
    f"az://container/a.jpg?sig={SECRET}",
    f"ftp://ana:{SECRET}@photos.example/a.jpg",
    f"file:///photos/a.jpg?sig={SECRET}",
    f"file://ana:{SECRET}@host/a.jpg",
    f"https://ana:pass/{SECRET}@photos.example/a.jpg",
    f"https://ana:{SECRET}/word@photos.example/a.jpg",
    f"https://ana:pass@{SECRET}@photos.example/a.jpg",
    f"https://ana:{SECRET}%40photos.example/a.jpg",
    f"https://{SECRET}@photos.example/a.jpg",
    f"HTTPS://ana:{SECRET}@PHOTOS.example/a.jpg#{SECRET}",
    f"https://an\na:{SECRET}@photos.example/a.jpg",
    f"https://ana:{SECRET}\n@photos.example/a.jpg",
    f"https://ana:pass {SECRET}@photos.example/a.jpg",
    f"https://[::1/a.jpg?{SECRET}",
    f"https://photos.example:{SECRET}/a.jpg",
    f"s3://KEY:{SECRET}/more@photos/a.jpg",
    f"gs://photos/a.jpg?generation={SECRET}",
    f"ana:{SECRET}@photos.example/a.jpg",
    f"//ana:{SECRET}@photos.example/a.jpg",
]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebPhotos]:
    with web_photos(tmp_path / "web") as server:
        yield server


@pytest.fixture
def door(tmp_path: Path, web: WebPhotos) -> Iterator[Door]:
    photos = PhotoStoreSettings(photo_sources=web.url("/"), photo_private_hosts=LOOPBACK, photo_ca_file=web.ca_file)
    with open_door(tmp_path / "ingest", photos=photos) as opened:
        yield opened


def event(photo_id: str, uri: str) -> photo_event_pb2.PhotoEvent:
    kind = photo_event_pb2.PHOTO_EVENT_KIND_UPLOADED
    return photo_event_pb2.PhotoEvent(event_id=photo_id, kind=kind, photo_id=photo_id, version=1, uri=uri)


def test_answers_contain_a_photos_uri_without_its_signature(door, web):
    uri = web.put(f"/a.jpg?X-Amz-Signature={SECRET}", body(jpeg(240, 200, seed=1)))
    [result] = door.ingest.put(event("a.jpg", uri)).results
    assert result.status == EVENT_STATUS_STORED
    found = door.search.Search(SearchRequest(everything=EverythingQuery()), Call())
    assert [hit.uri for hit in found.hits] == [web.url("/a.jpg")]
    photo = door.search.GetPhoto(GetPhotoRequest(photo_id="a.jpg"), Call())
    assert photo.photo.uri == web.url("/a.jpg")
    shown = door.post("/v1/search", {"everything": {}})
    assert (shown.code, SECRET.encode() in shown.body) == (200, False)
    original = door.get("/photos/photos/a.jpg")
    assert (original.code >= 400, SECRET.encode() in original.body) == (True, False)
    assert door.ingest.index.get("photos", "a.jpg").uri == uri, "without it the photo can't be fetched again"


@pytest.mark.parametrize("answer", [body(b"no photo"), body(b"", status=403), redirect(f"https://ana:{SECRET}@[/?{SECRET}")])
def test_errors_of_fetching_carry_no_signature(door, web, answer):
    uri = web.put(f"/a.jpg?X-Amz-Signature={SECRET}", answer)
    [result] = door.ingest.put(event("a.jpg", uri)).results
    assert result.status == EVENT_STATUS_FAILED
    listed = door.ingest.service.ListFailures(ListFailuresRequest(), Call())
    assert SECRET not in str(result) + str(listed)
    assert SECRET.encode() not in door.get("/v1/failures").body
    retried = list(door.ingest.service.RetryFailures(RetryFailuresRequest(), Call()))
    assert len(retried) == 1
    assert SECRET not in str(retried)
    assert web.requests.count(f"/a.jpg?X-Amz-Signature={SECRET}") == 2, "it was fetched again by the whole URI"


def test_errors_of_refused_uris_contain_no_secret(door):
    results = door.ingest.put(*(event(str(number), uri) for number, uri in enumerate(REFUSED))).results
    assert [result.status for result in results] == [EVENT_STATUS_FAILED] * len(REFUSED)
    listed = door.ingest.service.ListFailures(ListFailuresRequest(page_size=1_000), Call())
    assert len(listed.failures) == len(REFUSED)
    assert [one.message for one in listed.failures if SECRET in one.message + one.uri] == []
    assert SECRET not in str(results)
    assert SECRET.encode() not in door.get("/v1/failures").body


@pytest.mark.parametrize("uri", REFUSED)
def test_dead_letters_hide_secrets_outside_the_record(uri):
    headers = {"ce_specversion": "1.0", "ce_id": "1", "ce_type": "photo.uploaded", "ce_photoversion": "1"}
    value = b'{"uri": "%b"}' % uri.replace("\n", "\\n").encode()
    record = SourceRecord("photos", 0, 0, b"photos/a.jpg", value, tuple((name, text.encode()) for name, text in headers.items()))
    item = item_of(record)
    assert item.uri == uri
    failure = Failure("photos", "a.jpg", 1, "unreadable", "", uri, datetime.now(UTC), kept_with_failure(item), record)
    letter = sendable(failure)
    assert letter["value"] == value
    assert SECRET not in str([letter["key"], letter["headers"]])


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_log_lines_carry_no_secret(monkeypatch, log_format):
    written = io.StringIO()
    monkeypatch.setenv("MIRADOURO_LOG_FORMAT", log_format)
    with redirect_stderr(written):
        logs.configure()
        log = structlog.get_logger()
        for uri in REFUSED:
            if " " in uri.strip() or "\n" in uri or "://" not in uri:
                continue  # only the whole text is recognisable as a URI
            log.warning(f"{uri} failed", error=uri, folders=[uri], nested={"uri": uri})
            try:
                raise OSError(f"no answer from {uri}")  # noqa: TRY301 - it is the test
            except OSError:
                log.exception("failed")
    assert "no answer from https://" in written.getvalue()
    assert SECRET not in written.getvalue()
