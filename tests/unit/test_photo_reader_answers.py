"""What a child may send that decoded hostile bytes: taken as it should be, or refused, but never believed."""

import socket
import struct
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.adapters.photo_reader.frames import MOST_JSON_BYTES, BadFrame, receive_frame
from miradouro.adapters.photo_reader.jobs import decode_job, error_of, metadata_job
from miradouro.core.decode import DEFAULT_LIMITS
from miradouro.core.errors import BadPhoto, InvalidArgument
from miradouro.core.event import MAX_CAPTION_CHARS, MAX_TAGS
from miradouro.core.metadata import PhotoMetadata
from miradouro.core.spaces import Region

from tests.pictures import SQUASH

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("title", "caption", "tags", "camera", "place", "taken_at", "taken_from", "rating", "unread")
NOTHING = {"title": "", "caption": "", "tags": [], "camera": "", "place": None, "rating": None, "unread": []}
NOTHING |= {"taken_at": None, "taken_from": ""}


def received(sent: bytes, most_bytes: int = 100) -> object:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(sent)
        theirs.shutdown(socket.SHUT_WR)
        return receive_frame(ours, most_bytes=most_bytes, remaining_s=lambda: 5.0)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_refused(sent: bytes) -> None:
    try:
        message, data = received(sent)  # type: ignore[misc]  # what it raises decides
    except (BadFrame, EOFError):
        return
    assert isinstance(message, dict)
    assert len(data) <= 100


@pytest.mark.parametrize("lengths", [(MOST_JSON_BYTES + 1, 0), (2, 101), (2**32 - 1, 2**32 - 1)])
def test_an_oversized_frame_is_refused_at_its_head(lengths: tuple[int, int]) -> None:
    with pytest.raises(BadFrame):
        received(struct.pack(">II", *lengths))


@pytest.mark.parametrize("text", [b"[" * 100_000, b"{" * 10, b'{"a":' * 9_000, b"[]", b"\xff", b""])
def test_json_that_is_no_message_is_refused(text: bytes) -> None:
    with pytest.raises(BadFrame):
        received(struct.pack(">II", len(text), 0) + text)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_metadata_are_within_bounds_or_refused(changes: dict[str, object]) -> None:
    try:
        found = metadata_job(b"").read({**NOTHING, **changes}, b"")
    except BadFrame:
        return
    assert isinstance(found, PhotoMetadata)
    assert len(found.tags) <= MAX_TAGS
    assert found.place is None or abs(found.place.latitude) <= 90


def test_metadata_are_cut_once_more() -> None:
    found = metadata_job(b"").read({**NOTHING, "caption": "x" * 99_999, "title": "a\0b", "tags": ["t"] * 9}, b"")
    assert (len(found.caption), found.title, found.tags) == (MAX_CAPTION_CHARS, "ab", ("t",))
    assert metadata_job(b"").read(NOTHING, b"") == PhotoMetadata()


@pytest.mark.parametrize(
    "wrong", [["2024-05-01T18:30:00", None], ["2024-05-01T18:30:00Z", 9_999], ["now", 0], [1, 2], "2024", [datetime.now, 0]]
)
def test_a_time_that_is_none_is_refused(wrong: object) -> None:
    with pytest.raises(BadFrame):
        metadata_job(b"").read({**NOTHING, "taken_at": wrong, "taken_from": "exif"}, b"")


@pytest.mark.parametrize(
    "wrong",
    [{"taken_from": "exif"}, {"taken_from": "rumour"}, {"taken_from": []}, {"rating": 0}, {"rating": 6}, {"rating": "5"}],
)
def test_an_invalid_source_or_rating_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadFrame):
        metadata_job(b"").read({**NOTHING, **wrong}, b"")


@pytest.mark.parametrize(
    ("answer", "pixels"),
    [
        ({"width": 9, "height": 9, "media_type": "image/jpeg"}, 224 * 224 * 3 - 1),
        ({"width": 0, "height": 9, "media_type": "image/jpeg"}, 224 * 224 * 3),
        ({"width": True, "height": 9, "media_type": "image/jpeg"}, 224 * 224 * 3),
        ({"width": 9, "height": 10**9, "media_type": "image/jpeg"}, 224 * 224 * 3),
        ({"width": 9, "height": 9, "media_type": "text/html"}, 224 * 224 * 3),
        ({"width": 9, "height": 9, "media_type": ["image/jpeg"]}, 224 * 224 * 3),
        ({}, 224 * 224 * 3),
    ],
)
def test_pixels_that_were_not_asked_for_are_refused(answer: dict[str, object], pixels: int) -> None:
    job = decode_job(b"", [SQUASH], limits=DEFAULT_LIMITS, region=Region(0, 0, 1, 1))
    with pytest.raises(BadFrame):
        job.read(answer, bytes(pixels))


@given(st.dictionaries(st.sampled_from(("reason", "field", "message")), JSON | st.sampled_from(BadPhoto.REASONS)))
def test_any_refusal_is_one_of_ours_or_refused(answer: dict[str, object]) -> None:
    try:
        error = error_of(answer)
    except BadFrame:
        return
    assert isinstance(error, InvalidArgument)
    assert len(error.message) < 1_200
