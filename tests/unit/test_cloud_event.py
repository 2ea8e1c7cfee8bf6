"""Photo events as records of Kafka, there and back, and what is no event."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.errors import BadEvent, InvalidArgument
from miradouro.core.event import MAX_VERSION, EventKind, PhotoEvent, check_event
from miradouro.core.ports import Refused
from miradouro.core.source_record import SourceRecord
from miradouro.ingest.cloud_event import MAX_INLINE_BYTES, SCHEMA, event_of, item_of, record_of
from miradouro.v1 import photo_event_pb2

from tests.photo_events import EVENTS, TEXT


def record(key: bytes | None, value: bytes | None, headers: dict[str, str]) -> SourceRecord:
    return SourceRecord("photos", 1, 7, key, value, tuple((name, text.encode()) for name, text in headers.items()))


def binary(**changed: str | None) -> dict[str, str]:
    headers = {"specversion": "1.0", "id": "1", "type": "photo.uploaded", "photoversion": "3", **changed}
    return {f"ce_{name}": text for name, text in headers.items() if text is not None}


@given(event=EVENTS)
def test_an_event_comes_back_as_it_was_written(event: PhotoEvent) -> None:
    key, value, headers = record_of(event)
    assert event_of(SourceRecord("photos", 0, 0, key, value, tuple(headers))) == event


@given(key=st.none() | st.binary(max_size=40), value=st.none() | st.binary(max_size=200), headers=st.dictionaries(TEXT, TEXT))
def test_any_record_is_an_event_or_is_refused(key: bytes | None, value: bytes | None, headers: dict[str, str]) -> None:
    assert isinstance(item_of(record(key, value, headers)), PhotoEvent | Refused)


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | TEXT, lambda c: st.lists(c) | st.dictionaries(TEXT, c)
    )
)
def test_any_json_state_is_an_event_or_refused(value: object) -> None:
    envelope = json.dumps({"uri": "file:///a", "taken_at": value, "place": value, "tags": value, "attributes": value}).encode()
    for one in (envelope, json.dumps(value).encode()):
        assert isinstance(item_of(record(b"c/a", one, binary())), PhotoEvent | Refused)


def base64_of(data: bytes) -> dict[str, str]:
    return {"datacontenttype": "application/json", "data_base64": base64.b64encode(data).decode()}


def test_structured_mode_and_protobuf_say_the_same() -> None:
    wanted = PhotoEvent("1", EventKind.UPLOADED, "c", "a/b.jpg", 3, uri="file:///b.jpg", title="T")
    envelope = {
        "specversion": "1.0",
        "id": "1",
        "type": "photo.uploaded",
        "photoversion": "3",
        "subject": "a/b.jpg",
        "source": "x",
    }
    message = photo_event_pb2.PhotoEvent(uri="file:///b.jpg", title="T").SerializeToString()
    state = {"uri": "file:///b.jpg", "title": "T"}
    structured = {"content-type": "Application/CloudEvents+JSON; charset=utf-8"}
    protobuf = {**binary(), "content-type": "application/protobuf"}
    for one in (
        record(b"c/a/b.jpg", json.dumps(state).encode(), binary()),
        record(b"c/a/b.jpg", json.dumps({**envelope, "data": state}).encode(), structured),
        record(b"c/a/b.jpg", json.dumps({**envelope, "data_base64": base64.b64encode(message).decode()}).encode(), structured),
        record(b"c/a/b.jpg", json.dumps({**envelope, **base64_of(json.dumps(state).encode())}).encode(), structured),
        record(b"c/a/b.jpg", message, protobuf),
    ):
        assert event_of(one) == wanted


def test_an_empty_value_deletes_its_header_version() -> None:
    assert event_of(record(b"c/a", None, {"ce_photoversion": "9"})) == PhotoEvent("photos-1-7", EventKind.DELETED, "c", "a", 9)


@pytest.mark.parametrize(
    ("key", "value", "headers", "reason"),
    [
        (None, b"{}", binary(), "bad_key"),
        (b"photos", b"{}", binary(), "bad_key"),
        (b"Photos/a", b"{}", binary(), "bad_key"),
        (b"c/a", b"{}", binary(subject="b"), "bad_key"),
        (b"c/a", None, {}, "version_missing"),
        (b"c/a", b"{}", binary(photoversion=None), "version_missing"),
        (b"c/a", b"{}", binary(photoversion="0"), "bad_version"),
        (b"c/a", b"{}", binary(photoversion="1.5"), "bad_version"),
        (b"c/a", b"{}", binary(photoversion=str(MAX_VERSION + 1)), "bad_version"),
        (b"c/a", b"{}", binary(specversion="2.0"), "not_an_event"),
        (b"c/a", b"{}", binary(id=None), "not_an_event"),
        (b"c/a\xff", b"{}", binary(), "bad_key"),
        (b"c/a", b"\xff\x00", binary(), "not_an_event"),
        (b"c/a", b'{"title": "\\ud800"}', binary(), "not_an_event"),
        (b"c/a", b'{"title": "\xed\xa0\x80"}', binary(), "not_an_event"),
        (b"c/a", b"{}", binary(type="photo.eaten"), "unknown_type"),
        (b"c/a", b"{}", binary(dataschema=SCHEMA[:-1] + "2"), "unknown_schema_version"),
        (b"c/a", b'{"tags": [1]}', binary(), "bad_data"),
        (b"c/a", b'{"data_base64": "?"}', binary(), "bad_data"),
        (b"c/a", b'{"place": {"latitude": "x", "longitude": 1}}', binary(), "bad_data"),
        (b"c/a", b'{"place": {"latitude": 1' + b"0" * 400 + b', "longitude": 1}}', binary(), "not_an_event"),
        (b"c/a", b'{"place": {"latitude": NaN, "longitude": 1}}', binary(), "not_an_event"),
        (b"c/a", b'{"place": {"lat": 1, "lon": 1}}', binary(), "bad_data"),
        (b"c/a", b'{"taken_at": {"instant": "2024-01-01T00:00:00"}}', binary(), "bad_data"),
        (b"c/a", b'{"data_base64": "' + b"AAAA" * 350_000 + b'"}', binary(), "bad_data"),
        (b"c/a", b'{"id": 1}', {"content-type": "application/cloudevents+json"}, "not_an_event"),
        (b"c/a", b'{"data": {}, "data_base64": ""}', {"content-type": "application/cloudevents+json"}, "not_an_event"),
        (b"c/a", b"\xff\xff", {**binary(), "content-type": "application/protobuf"}, "bad_data"),
        (b"c/a", b'{"data": {}, "data_base64": "QQ=="}', {"content-type": "application/cloudevents+json"}, "not_an_event"),
    ],
)
def test_an_invalid_event_has_its_reason(key: bytes | None, value: bytes | None, headers: dict[str, str], reason: str) -> None:
    with pytest.raises(BadEvent) as caught:
        event_of(record(key, value, headers))
    assert caught.value.reason == reason
    assert not caught.value.retriable
    refused = item_of(record(key, value, headers))
    assert isinstance(refused, Refused)
    assert refused.record == record(key, value, headers)


def test_a_photo_too_large_inline_has_a_uri() -> None:
    with pytest.raises(InvalidArgument, match="by uri"):
        record_of(PhotoEvent("1", EventKind.UPLOADED, "c", "a", 1, data=bytes(MAX_INLINE_BYTES + 1)))


FULL = {
    "uri": "file:///a.jpg",
    "title": "t",
    "place": {"latitude": 1, "longitude": 2},
    "taken_at": {"instant": "2024-05-31T18:05:00Z"},
}


def test_null_is_an_absent_field() -> None:
    empty = dict.fromkeys(["media_type", "sha256", "caption", "owner", "tags", "attributes", "data_base64"])
    taken_at = {**FULL["taken_at"], "utc_offset_minutes": None}
    assert read({**FULL, **empty, "taken_at": taken_at}) == read(FULL)
    assert read({"uri": "file:///a.jpg", "place": None, "taken_at": None}) == read({"uri": "file:///a.jpg"})


@pytest.mark.parametrize(
    ("taken_at", "local", "offset"),
    [
        ({"instant": "2024-01-01T00:30:00+09:00"}, "2024-01-01T00:30:00", 540),
        ({"instant": "2024-01-01T00:30:00+09:00", "utc_offset_minutes": 0}, "2023-12-31T15:30:00", 0),
        ({"instant": "2023-12-31T15:30:00Z", "utc_offset_minutes": 540}, "2024-01-01T00:30:00", 540),
        ({"instant": "2024-01-01T00:30:00Z"}, "2024-01-01T00:30:00", None),
        ({"instant": "2024-01-01T00:30:00+00:00"}, "2024-01-01T00:30:00", None),
        ({"instant": "2024-01-01T00:30:00-23:00"}, "2024-01-01T23:30:00", None),
    ],
)
def test_offset_of_instant_gives_local_time(taken_at: dict[str, Any], local: str, offset: int | None) -> None:
    found = read({"uri": "file:///a.jpg", "taken_at": taken_at}).taken_at
    assert found is not None
    assert (found.local.isoformat(), found.utc_offset_minutes) == (local, offset)


def test_local_time_outside_calendar_is_refused() -> None:
    event = read({"uri": "file:///a.jpg", "taken_at": {"instant": "0001-01-01T00:00:00Z", "utc_offset_minutes": -60}})
    with pytest.raises(InvalidArgument, match="taken_at: its local time is not within the years 1 to 9999"):
        check_event(event)


@pytest.mark.parametrize(
    "grown", [{"colour": 1}, {"place": {**FULL["place"], "altitude": 3}}, {"taken_at": {**FULL["taken_at"], "x": 0}}]
)
def test_unknown_fields_are_left_out_unless_strict(grown: dict[str, Any]) -> None:
    assert read({**FULL, **grown}) == read(FULL)
    refused = item_of(record(b"c/a", json.dumps({**FULL, **grown}).encode(), binary()), strict=True)
    assert isinstance(refused, Refused)
    assert isinstance(refused.error, BadEvent)
    assert refused.error.reason == "bad_data"


@pytest.mark.parametrize("media_type", ["application/json", "text/json", "application/vnd.photos+json; charset=utf-8"])
def test_base64_of_json_is_read_as_json(media_type: str) -> None:
    envelope = {"specversion": "1.0", "id": "1", "type": "photo.uploaded", "photoversion": "3", "datacontenttype": media_type}
    value = {**envelope, "data_base64": base64.b64encode(json.dumps(FULL).encode()).decode(), "data": None}
    event = event_of(record(b"c/a", json.dumps(value).encode(), {"content-type": "application/cloudevents+json"}))
    assert (event.uri, event.title) == ("file:///a.jpg", "t")


def read(state: dict[str, Any]) -> PhotoEvent:
    return event_of(record(b"c/a", json.dumps(state).encode(), binary()))
