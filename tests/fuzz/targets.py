"""Every reader of untrusted bytes, as a function of bytes alone: the fuzzer, the corpus and hypothesis call the same ones.

A target returns for good input and raises one of its `refusals` for bad input. Anything else is a bug: another exception, more
CPU time or memory than its bounds, an error text longer than MAX_ERROR_BYTES, or a result that breaks what the target asserts.
"""

import functools
import shutil
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from google.protobuf.message import DecodeError
from miradouro.adapters.photo_reader.frames import BadFrame, receive_frame
from miradouro.adapters.photo_reader.jobs import decode_job, error_of, metadata_job
from miradouro.adapters.sqlite_index.restore import restore_snapshot
from miradouro.bundles.torch_weights import read_state_dict
from miradouro.core.decode import DecodeLimits, decode
from miradouro.core.error_text import MAX_ERROR_BYTES
from miradouro.core.errors import BadBundle, BadPhoto, Corrupt, FailedPrecondition, InvalidArgument, MiradouroError
from miradouro.core.event import PhotoEvent, check_event
from miradouro.core.failure_page import position_of
from miradouro.core.filter_grammar import format_filter, parse_filter
from miradouro.core.metadata import completed, read_metadata, read_xmp_sidecar
from miradouro.core.page import Page, read_page
from miradouro.core.ports import Refused, SourceItem
from miradouro.core.redaction import public_text, public_uri
from miradouro.core.sidecars.beside import SidecarContent, event_of_photo, read_beside
from miradouro.core.sidecars.pairing import Role
from miradouro.core.source_record import SourceRecord
from miradouro.core.spaces import Fit, Geometry, Resample
from miradouro.core.text_query import parse_text
from miradouro.ingest import cloud_event, event_wire
from miradouro.query.filters import conditions_from, filters_of
from miradouro.query.http_messages import from_json, from_parameters
from miradouro.query.wire import question_from
from miradouro.runtime.request_size import check_request_size
from miradouro.v1 import photo_event_pb2, search_service_pb2
from miradouro.v1.ingest_service_pb2 import PutEventsRequest

from tests.fuzz.bounds import bounded
from tests.fuzz.small_snapshot import small_snapshot

KEY = b"k" * 32
QUESTION = b"question"
_GEOMETRY = Geometry(Fit.SQUASH, 16, 16, 0, Resample.BILINEAR)
_SMALL = DecodeLimits(max_bytes=2**20, max_pixels=2**20)
_HEADERS = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"1"),
    ("ce_type", b"photo.uploaded"),
    ("ce_photoversion", b"3"),
)
_MOST_CHANGES = 64
_SECRET = "s3cr3tw0rd"  # no password of anything
_PHOTO_OF_1_MIB = PutEventsRequest(events=[photo_event_pb2.PhotoEvent(data=bytes(2**20))]).SerializeToString()
_HEADER_NAMES = (
    "ce_specversion",
    "ce_id",
    "ce_type",
    "ce_photoversion",
    "ce_subject",
    "ce_dataschema",
    "ce_traceparent",
    "content-type",
)


@dataclass(frozen=True)
class Target:
    """`read` over bytes; `refusals` are the errors that it may raise; the bounds are of one call.

    `seconds` of CPU time are at least twenty times what the slowest input of the corpus takes. `tries` is how many random inputs
    the tests make: few where one call costs much.
    """

    read: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...] = (InvalidArgument,)
    seconds: float = 2.0
    mebibytes: int = 64
    tries: int = 200

    def __call__(self, data: bytes) -> None:
        """One call within its bounds. Raises what the target must not raise, TooExpensive, or AssertionError."""
        with bounded(seconds=self.seconds, mebibytes=self.mebibytes):
            try:
                self.read(data)
            except self.refusals as refusal:
                if isinstance(refusal, MiradouroError):
                    _check_error(refusal)


def _check_error(error: MiradouroError) -> None:
    size = len(str(error).encode())  # an error that is no text cannot be stored or answered
    assert size <= MAX_ERROR_BYTES, f"an error of {size:,} bytes: {error!s:.200}"


def _check_item(item: SourceItem) -> None:
    assert isinstance(item, PhotoEvent | Refused), item
    if isinstance(item, Refused):
        _check_error(item.error)


def _text(data: bytes) -> str:
    """As every door reads text: UTF-8, with a mark for what is none."""
    return data.decode("utf-8", "replace")


def _record(value: bytes | None, *headers: tuple[str, bytes], key: bytes = b"photos/a/b.jpg") -> SourceRecord:
    return SourceRecord("topic", 1, 7, key, value, headers)


def event_json(data: bytes) -> None:
    """A record in binary mode whose value is JSON."""
    _check_item(cloud_event.item_of(_record(data, *_HEADERS, ("content-type", b"application/json"))))


def event_structured(data: bytes) -> None:
    """A record in structured mode."""
    _check_item(cloud_event.item_of(_record(data, ("content-type", b"application/cloudevents+json"))))


def event_protobuf(data: bytes) -> None:
    """A record in binary mode whose value is the message PhotoEvent."""
    _check_item(cloud_event.item_of(_record(data, *_HEADERS, ("content-type", b"application/protobuf"))))


def event_headers(data: bytes) -> None:
    """A record of which the key and every header are chosen: lines, first the key, then one header each."""
    key, *texts = data.split(b"\n")
    headers = tuple(zip(_HEADER_NAMES, texts, strict=False))
    for value in (None, b"{}", b'{"uri": "file:///a.jpg"}'):
        _check_item(cloud_event.item_of(_record(value, *headers, key=key)))


def event_message(data: bytes) -> None:
    """An event of PutEvents."""
    _check_item(event_wire.item_of(photo_event_pb2.PhotoEvent.FromString(data)))


def pixels(data: bytes) -> None:
    """A photo's header and its pixels, with small limits."""
    decoded = decode(data, [_GEOMETRY], limits=_SMALL)
    assert decoded.width * decoded.height <= _SMALL.max_pixels
    assert decoded.tensors[_GEOMETRY].shape == (16, 16, 3)


def metadata(data: bytes) -> None:
    """A photo's metadata. It never raises, and what it gives can be stored."""
    found = read_metadata(data)
    for text in (found.title, found.caption, found.camera, *found.tags):
        text.encode()


def page_token(data: bytes) -> None:
    """A page token that was not signed here."""
    page = read_page(_text(data), question=QUESTION, key=KEY)
    assert page == 0, f"an unsigned token was accepted: {page}"


def failure_token(data: bytes) -> None:
    """A page token of the failures."""
    position_of(_text(data))


def filter_text(data: bytes) -> None:
    """A filter as a person writes it; what it means can be written down again."""
    conditions = parse_filter(_text(data))
    assert parse_filter(format_filter(conditions)) == conditions


def filter_message(data: bytes) -> None:
    """Filters on the wire, there and back."""
    conditions = conditions_from(search_service_pb2.SearchRequest.FromString(data))
    again = search_service_pb2.SearchRequest(filters=filters_of(conditions))
    assert conditions_from(again) == conditions


def words(data: bytes) -> None:
    """The words of a question by text."""
    parse_text(_text(data), field="text")


def question_json(data: bytes) -> None:
    """A question over HTTP."""
    question_from(from_json(search_service_pb2.SearchRequest, data), read_page=_signed_page)


def question_message(data: bytes) -> None:
    """A question over gRPC."""
    question_from(search_service_pb2.SearchRequest.FromString(data), read_page=_signed_page)


def question_parameters(data: bytes) -> None:
    """A question by photo over HTTP: its query string."""
    parameters = parse_qsl(_text(data), keep_blank_values=True)
    question = from_parameters(search_service_pb2.SearchRequest, parameters)
    question.photo.data = b"photo"
    question_from(question, read_page=_signed_page)


def request_size(data: bytes) -> None:
    """The size of a request, counted before it is parsed: fields behind a photo of 1 MiB."""
    check_request_size(PutEventsRequest.DESCRIPTOR, _PHOTO_OF_1_MIB + data)


def uri(data: bytes) -> None:
    """A URI, or a text with some, without its secrets: redacted once, it stays as it is."""
    for redacted in (public_uri, public_text):
        once = redacted(_text(data))
        assert redacted(once) == once
    assert _SECRET not in public_uri(f"https://user:{_SECRET}@example.org/{_text(data)}")


def sidecar(data: bytes) -> None:
    """A sidecar of every kind, and the event that is made of it: no bytes are refused."""
    contents = [SidecarContent("a", role, data) for role in Role]
    beside = read_beside(contents, photo_name="a.jpg", read_xmp=read_xmp_sidecar)
    event = event_of_photo(beside, event_id="1", collection="photos", photo_id="a.jpg", version=1, uri="file:///a.jpg")
    check_event(completed(event, beside.others))


def weights(data: bytes) -> None:
    """A weights file in one of PyTorch's formats."""
    path = _scratch() / "weights.pth"
    path.write_bytes(data)
    read_state_dict(path)


def child_answer(data: bytes) -> None:
    """What a child process that decoded a hostile photo may send instead of its answer."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            theirs.sendall(data)
        answer, pixels = receive_frame(ours, most_bytes=2**20, remaining_s=lambda: 10.0)
    jobs = (metadata_job(b""), decode_job(b"", [_GEOMETRY], limits=_SMALL, region=None))
    for read in (*(functools.partial(job.read, answer, pixels) for job in jobs), functools.partial(error_of, answer)):
        with suppress(BadFrame):
            read()


def snapshot(data: bytes) -> None:
    """A snapshot in which bytes were changed: four bytes of input say which one, counted from its start, and what it becomes."""
    changed = bytearray(small_snapshot())
    for at in range(0, min(len(data) - 3, 4 * _MOST_CHANGES), 4):
        changed[int.from_bytes(data[at : at + 3], "big") % len(changed)] = data[at + 3]
    path, folder = _scratch() / "snapshot.db", _scratch() / "restored"
    path.write_bytes(changed)
    shutil.rmtree(folder, ignore_errors=True)
    restore_snapshot(path, folder, progress=lambda *_: None)


def _signed_page(token: str) -> Page:
    return read_page(token, question=QUESTION, key=KEY)


@functools.cache
def _scratch() -> Path:
    """A folder of this process, on memory where that is possible."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="miradouro-fuzz-", dir=memory if memory.is_dir() else None))


TARGETS: dict[str, Target] = {
    "event_json": Target(event_json, refusals=()),
    "event_structured": Target(event_structured, refusals=()),
    "event_protobuf": Target(event_protobuf, refusals=()),
    "event_headers": Target(event_headers, refusals=()),
    "event_message": Target(event_message, refusals=(DecodeError,)),
    "pixels": Target(pixels, refusals=(BadPhoto,), mebibytes=96),
    "metadata": Target(metadata, refusals=()),
    "page_token": Target(page_token),
    "failure_token": Target(failure_token),
    "filter_text": Target(filter_text),
    "filter_message": Target(filter_message, refusals=(InvalidArgument, DecodeError)),
    "words": Target(words),
    "question_json": Target(question_json),
    "question_message": Target(question_message, refusals=(InvalidArgument, DecodeError)),
    "question_parameters": Target(question_parameters),
    "request_size": Target(request_size),
    "uri": Target(uri),
    "snapshot": Target(snapshot, refusals=(InvalidArgument, FailedPrecondition, Corrupt), seconds=10, tries=15),
    "child_answer": Target(child_answer, refusals=(BadFrame, EOFError)),
    "sidecar": Target(sidecar),
    "weights": Target(weights, refusals=(BadBundle,)),
}
