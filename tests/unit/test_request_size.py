"""Requests are measured before they are parsed: photos aside, 1 MiB."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miradouro.core.errors import InvalidArgument
from miradouro.runtime.request_size import MAX_FIELDS, MAX_PLAIN_BYTES, check_request_size
from miradouro.v1 import embedding_service_pb2, ingest_service_pb2, photo_event_pb2, search_service_pb2

PHOTO = bytes(2 * MAX_PLAIN_BYTES)
TOO_MUCH = "a" * MAX_PLAIN_BYTES


def check(message):
    check_request_size(message.DESCRIPTOR, message.SerializeToString())


@pytest.mark.parametrize(
    "message",
    [
        search_service_pb2.SearchRequest(photo={"data": PHOTO}, collection="a" * (MAX_PLAIN_BYTES - 100)),
        ingest_service_pb2.PutEventsRequest(events=[photo_event_pb2.PhotoEvent(data=PHOTO, title="a" * 400_000)] * 2),
        embedding_service_pb2.EmbedRequest(photos=[{"encoded": PHOTO}, {"encoded": PHOTO}], spaces=["a"] * 100),
        embedding_service_pb2.EmbedRequest(photos=[{"tensors": {"tensors": [{"pixels": PHOTO}]}}]),
        ingest_service_pb2.ListFailuresRequest(page_token="a" * (MAX_PLAIN_BYTES - 10)),
    ],
    ids=lambda message: type(message).__name__,
)
def test_photos_do_not_count(message):
    check(message)


@pytest.mark.parametrize(
    "message",
    [
        search_service_pb2.SearchRequest(photo={"data": PHOTO}, collection=TOO_MUCH),
        search_service_pb2.SearchRequest(keyword={"words": [TOO_MUCH]}),
        search_service_pb2.SearchRequest(filters=[search_service_pb2.Filter(tag="")] * MAX_PLAIN_BYTES),
        search_service_pb2.GetPhotoRequest(photo_id=TOO_MUCH),
        ingest_service_pb2.PutEventsRequest(events=[photo_event_pb2.PhotoEvent(data=PHOTO, title="a" * 600_000)] * 2),
        ingest_service_pb2.PutEventsRequest(events=[photo_event_pb2.PhotoEvent(data=PHOTO)] * 2 + [{}] * MAX_FIELDS),
        embedding_service_pb2.EmbedRequest(photos=[{"encoded": PHOTO}], spaces=[""] * MAX_PLAIN_BYTES),
        embedding_service_pb2.EmbedRequest(photos=[{"tensors": {"tensors": [{"pixels": PHOTO}] + [{}] * MAX_FIELDS}}]),
    ],
    ids=lambda message: type(message).__name__,
)
def test_all_else_counts(message):
    with pytest.raises(InvalidArgument, match="request: "):
        check(message)


@given(
    st.lists(
        st.binary(max_size=40) | st.sampled_from([b"\x0b", b"\x0a\xff\xff\xff\xff\x7f", b"\x80" * 11, b"\x09", b"\x0a"]),
        max_size=6,
    ),
    st.integers(0, 3),
)
@settings(deadline=None, max_examples=20)
def test_any_bytes_are_measured_or_refused(parts, where):
    parts.insert(min(where, len(parts)), b"\x2a\x80\x80\x80\x01" + bytes(2 * MAX_PLAIN_BYTES))
    for kind in (search_service_pb2.SearchRequest, ingest_service_pb2.PutEventsRequest, embedding_service_pb2.EmbedRequest):
        with contextlib.suppress(InvalidArgument):
            check_request_size(kind.DESCRIPTOR, b"".join(parts))
