"""Good and half-good inputs of every target, made and not committed: the fuzzer begins with them, and the tests read them."""

import base64
import json
import struct
from collections.abc import Callable

import numpy as np
from miradouro.core.failure_page import token_of
from miradouro.core.filter_grammar import FORMS
from miradouro.core.page import sign_page
from miradouro.core.query import After, Behind
from miradouro.ingest.cloud_event import SCHEMA
from miradouro.v1 import photo_event_pb2, search_service_pb2
from miradouro.v1.ingest_service_pb2 import PutEventsRequest
from PIL import Image

from tests.colours import DISPLAY_P3, chrm, cicp, gama, iccp, ink_profile, png_with
from tests.fuzz.targets import KEY, QUESTION
from tests.fuzz.weights_file import legacy_file, weights_file, zip_file
from tests.metadata_blocks import ASCII, PLAIN, gps, iim, photoshop, tiff, with_segments, xmp
from tests.pictures import blocks, encode, png_that_claims

_STATE = {
    "uri": "file:///photos/a.jpg",
    "media_type": "image/jpeg",
    "sha256": "0" * 64,
    "title": "Título",
    "caption": "A quiet street in Graça",
    "tags": ["street", "Golden Hour"],
    "owner": "Ana",
    "attributes": {"camera": "Leica Q3"},
    "place": {"latitude": 38.7, "longitude": -9.1},
    "taken_at": {"instant": "2024-05-31T18:05:00Z", "utc_offset_minutes": 60},
}
_INLINE = {"data_base64": base64.b64encode(b"photo").decode()}
_ENVELOPE = {"specversion": "1.0", "id": "1", "source": "x", "type": "photo.uploaded", "photoversion": "3", "dataschema": SCHEMA}
_SIDECAR = {
    "caption": "Waves",
    "title": "Morning",
    "tags": ["lighthouse"],
    "owner": "Ana",
    "attributes": {"rating": "5"},
    "place": {"lat": 38.7, "lon": -9.4},
    "taken_at": "2024-05-01T08:30:00+01:00",
    "version": 3,
}
_TAKEOUT = {
    "title": "a.jpg",
    "description": "Waves &#39;",
    "photoTakenTime": {"timestamp": "1714557600"},
    "geoData": {"latitude": 38.7, "longitude": -9.4},
    "people": [{"name": "Ana"}],
    "favorited": True,
}
_TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def seeds(target: str) -> list[bytes]:
    """The inputs of the target, the same in every run."""
    return [b"", *_SEEDS[target]()]


def _json(*values: object) -> list[bytes]:
    return [json.dumps(value).encode() for value in values]


def _event_json() -> list[bytes]:
    return _json(_STATE, _INLINE, {"uri": "a", "tags": [1]}, {"place": {"latitude": 10**400, "longitude": 1}}, [[[]]])


def _event_structured() -> list[bytes]:
    wrapped = base64.b64encode(json.dumps(_STATE).encode()).decode()
    typed = {**_ENVELOPE, "datacontenttype": "application/json"}
    return _json({**_ENVELOPE, "data": _STATE}, {**typed, "data_base64": wrapped}, {**_ENVELOPE, "data_base64": "AAAA"}, {}, [])


def _message() -> photo_event_pb2.PhotoEvent:
    message = photo_event_pb2.PhotoEvent(
        event_id="1",
        kind=photo_event_pb2.PHOTO_EVENT_KIND_UPLOADED,
        photo_id="a/b.jpg",
        version=3,
        uri="file:///a.jpg",
        title="Title",
        tags=["street"],
        attributes={"camera": "Leica"},
        place=photo_event_pb2.GeoPoint(latitude=38.7, longitude=-9.1),
    )
    message.taken_at.instant.seconds = 1_700_000_000
    message.taken_at.utc_offset_minutes = 60
    return message


def _put_events() -> bytes:
    return PutEventsRequest(events=[_message()] * 3).SerializeToString()


def _event_message() -> list[bytes]:
    late = _message()
    late.taken_at.instant.seconds = 2**62
    return [_message().SerializeToString(), late.SerializeToString()]


def _event_headers() -> list[bytes]:
    lines = (b"photos/a/b.jpg", b"1.0", b"1", b"photo.deleted", b"3", b"a/b.jpg", SCHEMA.encode(), _TRACE, b"application/json")
    return [b"\n".join(lines), b"\n".join((*lines[:8], b"application/cloudevents+json")), b"\n".join(lines[:3])]


def _pixels() -> list[bytes]:
    small = blocks(40, 30, seed=1)
    grey = Image.fromarray(small).convert("L")
    wide = np.full((8, 8), 40_000, np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        encode(small, "JPEG"),
        encode(small, "JPEG", progressive=True, exif=exif),
        encode(small, "JPEG", "CMYK"),
        encode(grey, "JPEG"),
        encode(small, "PNG"),
        encode(small, "PNG", "P"),
        encode(small, "PNG", "RGBA"),
        encode(wide, "PNG"),
        encode(small, "PNG", transparency=(1, 2, 3), exif=exif),
        encode(small, "WEBP"),
        encode(small, "WEBP", "RGBA", lossless=True),
        encode(small, "WEBP", exif=exif),
        encode(small, "JPEG", icc_profile=DISPLAY_P3.profile),
        encode(small, "JPEG", "CMYK", icc_profile=ink_profile(lambda _: (50, 0, 0))),
        png_with(small, cicp(12, 13), iccp(DISPLAY_P3.profile), gama(0.5), chrm(DISPLAY_P3.primaries)),
        png_that_claims(50_000, 50_000),
        encode(small, "GIF"),
        encode(small, "TIFF"),
    ]


def _metadata() -> list[bytes]:
    block = tiff(main={0x0110: (ASCII, b"Leica\0"), 0x0132: (ASCII, b"2024:05:01 08:30:00\0")}, gps=gps())
    packet = xmp(title={"x-default": "Title"}, description={"en": "Caption"}, subject=("street", "dog"))
    segments = {
        "exif": (0xE1, b"Exif\0\0" + block),
        "xmp": (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet),
        "iptc": (0xED, photoshop(iim((2, 5, b"Title"), (2, 25, b"street"), (2, 120, b"Caption")))),
    }
    picture = Image.fromarray(blocks(16, 12))
    jpegs = [with_segments(PLAIN, one) for one in segments.values()] + [with_segments(PLAIN, *segments.values())]
    return [*jpegs, encode(picture, "PNG", exif=block), encode(picture, "WEBP", exif=block, xmp=packet), PLAIN[:40]]


def _page_token() -> list[bytes]:
    signed = [sign_page(page, question=b"another", key=KEY) for page in (10, After("a.jpg", 0.5, None), Behind(3, "b.jpg", 1.0))]
    wrong_key = sign_page(10, question=QUESTION, key=KEY[::-1] + b"x")
    return [*(token.encode() for token in (*signed, wrong_key)), b"[[[", "ção".encode()]


def _failure_token() -> list[bytes]:
    return [token_of("photos", "a.jpg").encode(), *_json([], [1, 2], {"a": 1}, None, 7, "ab"), b"[" * 5_000]


def _filter_text() -> list[bytes]:
    return [text.encode() for text in FORMS.values()] + [" ".join(FORMS.values()).encode(), b'-tag:"a b"|c -owner:""', b"tag:"]


def _question() -> search_service_pb2.SearchRequest:
    request = search_service_pb2.SearchRequest(
        keyword=search_service_pb2.KeywordQuery(words=["dog", "cat"]), limit=5, sort=search_service_pb2.SORT_ORDER_TAKEN
    )
    request.filters.add(tag="street")
    request.filters.add(attribute=search_service_pb2.AttributeFilter(name="rating", values=["4", "5"]))
    near = request.filters.add().near
    near.center.latitude, near.center.longitude, near.radius_m = 38.7, -9.1, 2_000
    request.filters.add().taken.until.seconds = 1_700_000_000
    getattr(request.filters.add(), "not").filters.add(owner="Ana")
    request.facets.add(field=search_service_pb2.FACET_FIELD_TAG, size=3)
    return request


def _questions() -> list[search_service_pb2.SearchRequest]:
    pb = search_service_pb2
    by_photo = pb.SearchRequest(photo=pb.ExampleQuery(data=b"photo"), max_distance=0.5)
    by_photo.photo.region.width = by_photo.photo.region.height = 0.5
    by_like = pb.SearchRequest(like=pb.LikeQuery(photo_id="a.jpg"), page_token="AAAA", space="tiny/deep")
    return [_question(), by_photo, by_like, pb.SearchRequest(text=pb.TextQuery(text='"custard tart" -cream'))]


def _question_message() -> list[bytes]:
    return [request.SerializeToString() for request in _questions()]


def _question_json() -> list[bytes]:
    from google.protobuf.json_format import MessageToJson

    return [MessageToJson(request).encode() for request in _questions()] + [b'{"filters": [' + b"[],", b'{"limit": "x"}']


def _question_parameters() -> list[bytes]:
    return [
        b"limit=5&collection=photos&space=tiny%2Fdeep&max_distance=0.5&exact=true",
        b"filters=%7B%22tag%22%3A%22dog%22%7D&facets=%7B%22field%22%3A1%7D&page_token=AAAA",
        b"limit=5&limit=6",
        b"sort=SORT_ORDER_TAKEN&filters=%5B%5B",
    ]


def _uri() -> list[bytes]:
    return [
        b"https://user:pw@example.org/a?sig=1#x",
        b" az://container/a?sig=1",
        b"file:///photos/a%40b.jpg?x",
        b"s3://bucket/a@b",
        b"ftp://u:p/w@host/a, https://[::1]:80/b (see http:\\\\u:p@h\\a)",
        b"/photos/a?b@c",
    ]


def _snapshot() -> list[bytes]:
    """Changes in the header, in the schema, and in pages of tables."""
    return [struct.pack(">I", place << 8 | value) for place, value in ((60, 9), (18, 2), (9_000, 0), (40_000, 255), (100_001, 7))]


def _child_answer() -> list[bytes]:
    fields = {"title": "a", "caption": "", "tags": ["b"], "camera": "", "unread": ["xmp"], "place": [38.7, -9.1]}
    times = ("2024-05-01T08:30:00+00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")
    answers = _json(*({**fields, "taken_at": [time, 60]} for time in times), {"reason": "truncated", "message": "a"}, [])
    pixels = bytes(3 * 16 * 16)
    decoded = json.dumps({"width": 4, "height": 3, "media_type": "image/jpeg"}).encode()
    frames = [struct.pack(">II", len(text), 0) + text for text in answers]
    return [*frames, struct.pack(">II", len(decoded), len(pixels)) + decoded + pixels, b"\xff" * 8]


def _sidecar() -> list[bytes]:
    broken = ({"taken_at": "x" * 5_000}, {"place": {"lat": 1e400, "lon": 0}}, {"tags": None}, [], {"version": 0})
    return [*_json(_SIDECAR, _TAKEOUT, *broken), xmp({"x-default": "tram"}), b"\xef\xbb\xbf{}", b'{"caption": "\\ud800"}']


def _weights() -> list[bytes]:
    whole = weights_file()
    state = {"a": np.arange(6, dtype=np.float32)}
    both = [legacy_file(state), zip_file(state)]
    return [whole, whole[:60], whole[:-8], whole + struct.pack("<q", 2**40), *both, both[1][:-8]]


_SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "event_json": _event_json,
    "event_structured": _event_structured,
    "event_protobuf": _event_message,
    "event_headers": _event_headers,
    "event_message": _event_message,
    "pixels": _pixels,
    "metadata": _metadata,
    "page_token": _page_token,
    "failure_token": _failure_token,
    "filter_text": _filter_text,
    "filter_message": _question_message,
    "words": lambda: [b'"custard tart" -cream', "gra\u00e7a \u201cx".encode(), b"-"],
    "question_json": _question_json,
    "question_message": _question_message,
    "question_parameters": _question_parameters,
    "request_size": lambda: [
        PutEventsRequest(events=[_message()] * 3).SerializeToString(),
        b"\x0a\xff",
        b"\x0a\xff" * 9,
        b"\x0b\x0c",
    ],
    "uri": _uri,
    "snapshot": _snapshot,
    "child_answer": _child_answer,
    "sidecar": _sidecar,
    "weights": _weights,
}
