"""Every parser of untrusted text returns a value or one of our errors, quickly, for any text."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from miradouro.adapters.kafka.settings import KafkaSettings
from miradouro.adapters.opensearch.settings import OpenSearchSettings
from miradouro.adapters.photo_store import PhotoStoreSettings
from miradouro.bundles.settings import BundleSettings
from miradouro.core.errors import MiradouroError
from miradouro.core.event import PhotoEvent, check_event
from miradouro.core.filter_grammar import FORMS, parse_filter
from miradouro.core.metadata import completed, read_xmp_sidecar
from miradouro.core.ports import Refused
from miradouro.core.region import check_region, pixel_box
from miradouro.core.sidecars.beside import SidecarContent, event_of_photo, read_beside
from miradouro.core.sidecars.own import read_own
from miradouro.core.sidecars.pairing import Role
from miradouro.core.source_record import SourceRecord
from miradouro.core.spaces import Region
from miradouro.core.text_query import parse_text
from miradouro.embedding.settings import EmbeddingSettings
from miradouro.ingest import cloud_event, event_wire
from miradouro.ingest.publishing import Unpublished, events_of_lines
from miradouro.ingest.settings import IngestSettings
from miradouro.processors.pipeline_file import parse_pipeline
from miradouro.query.settings import QuerySettings
from miradouro.runtime.settings import HttpSettings, LogSettings, MetricsSettings, ServerSettings, Settings, load, variable
from miradouro.standalone.settings import StandaloneSettings
from miradouro.v1 import photo_event_pb2

MAX_ERROR_BYTES = 1_000
SECONDS = 5.0  # of CPU time, for texts of 1 MB; the slowest takes half a second
SETTINGS = [
    BundleSettings,
    EmbeddingSettings,
    HttpSettings,
    IngestSettings,
    KafkaSettings,
    LogSettings,
    MetricsSettings,
    OpenSearchSettings,
    PhotoStoreSettings,
    QuerySettings,
    ServerSettings,
    StandaloneSettings,
]
ANY_TEXT = st.text(st.characters())  # half characters too
HUGE = st.sampled_from(
    ["x", "[", "{", '"', "\\", "9", "-", " ", "\0", "é", "😀", "\ud800", "a:b ", "tag:a ", "&a ", "(", "://a@"]
).map(lambda part: part * (1_000_000 // len(part)))
TEXTS = ANY_TEXT | HUGE
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.sampled_from([10**400, "9" * 100_000, [[]] * 10_000]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=8,
)
SIDECAR_FIELDS = ["caption", "title", "tags", "owner", "attributes", "place", "taken_at", "version", "lat", "lon", "other"]
TAKEOUT_FIELDS = ["title", "description", "photoTakenTime", "geoData", "geoDataExif", "people", "favorited"]
EVENT_FIELDS = [
    "uri",
    "data_base64",
    "media_type",
    "sha256",
    "title",
    "caption",
    "owner",
    "tags",
    "attributes",
    "place",
    "taken_at",
]
TIMES = st.from_regex(r"-?\d{1,5}-?\d{0,2}-?\d{0,2}([T ]\d{2}:?\d{2}(:\d{2}(\.\d+)?)?)?([Z+-][0-9:]{0,9})?", fullmatch=True)


@contextmanager
def refused_or_read() -> Iterator[None]:
    """Passes for a block that ends in time, with a value or with one of our errors."""
    began = time.process_time()
    try:
        yield
    except MiradouroError as exc:
        check(exc)
    assert time.process_time() - began < SECONDS


def check(error: MiradouroError) -> None:
    assert 0 < len(error.message.encode()) <= MAX_ERROR_BYTES


def as_json(value: object) -> bytes:
    """JSON of any values, with what JSON allows and no reader of ours takes."""
    return json.dumps(value).encode("utf-8", "surrogatepass")


def objects(names: list[str], *, times: str = "taken_at") -> st.SearchStrategy[bytes]:
    """JSON objects of these fields with any values, and texts that are hardly any JSON."""
    fields = st.dictionaries(st.sampled_from(names), VALUES, max_size=5)
    dated = st.builds(lambda one, when: {**one, times: when}, fields, TIMES | st.fixed_dictionaries({"instant": TIMES}))
    return (fields | dated | VALUES).map(as_json) | st.binary() | TEXTS.map(lambda text: text.encode("utf-8", "replace"))


@given(objects(SIDECAR_FIELDS) | objects(TAKEOUT_FIELDS, times="photoTakenTime"), TEXTS)
@example(as_json({"taken_at": "0001-01-01T00:00:00+23:59"}), "a.json")
@example(as_json({"x" * 500_000: 1, "attributes": {"y" * 400_000: 2}}), "a.json")
@example(as_json({"photoTakenTime": {"timestamp": "9" * 400_000}, "geoData": {"latitude": 10**400, "longitude": 1}}), "a.json")
def test_no_sidecar_is_refused(data, name):
    began = time.process_time()
    contents = [SidecarContent(name, role, data) for role in Role]
    beside = read_beside(contents, photo_name=name, read_xmp=read_xmp_sidecar)
    event = event_of_photo(beside, event_id="1", collection="photos", photo_id="a.jpg", version=1, uri="file:///a.jpg")
    check_event(completed(event, beside.others))
    assert all(len(fault.reason.encode()) <= MAX_ERROR_BYTES for fault in beside.faults)
    assert time.process_time() - began < SECONDS


@given(
    st.none() | objects(EVENT_FIELDS),
    st.dictionaries(
        st.sampled_from(["ce_specversion", "ce_id", "ce_type", "ce_photoversion", "ce_subject", "ce_dataschema", "content-type"]),
        TEXTS | st.sampled_from(["1.0", "photo.uploaded", "application/protobuf", "application/cloudevents+json", "9" * 19]),
    ),
    st.none() | st.binary() | st.just(b"photos/a.jpg") | TEXTS.map(lambda text: text.encode("utf-8", "replace")),
)
def test_any_record_is_an_event_or_refused(value, headers, key):
    encoded = {"ce_specversion": b"1.0", "ce_id": b"1", "ce_type": b"photo.uploaded", "ce_photoversion": b"1"}
    encoded |= {name: text.encode("utf-8", "replace") for name, text in headers.items()}
    with refused_or_read():
        item = cloud_event.item_of(SourceRecord("photos", 0, 0, key, value, tuple(encoded.items())))
        assert isinstance(item, PhotoEvent | Refused)
        if isinstance(item, Refused):
            check(item.error)


def messages() -> st.SearchStrategy[photo_event_pb2.PhotoEvent]:
    texts = (ANY_TEXT | HUGE).map(lambda text: text.encode("utf-8", "replace").decode())
    return st.builds(
        photo_event_pb2.PhotoEvent,
        event_id=texts,
        kind=st.integers(0, 2**31 - 1),
        collection=texts | st.just(""),
        photo_id=texts,
        version=st.integers(0, 2**63 - 1),
        uri=texts,
        sha256=texts,
        title=texts,
        tags=st.lists(texts, max_size=3),
        attributes=st.dictionaries(texts, texts, max_size=3),
        place=st.builds(photo_event_pb2.GeoPoint, latitude=st.floats(), longitude=st.floats()),
    )


@given(messages(), st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1))
def test_any_event_of_a_call_is_validated(message, seconds, number):
    message.taken_at.instant.seconds, message.taken_at.instant.nanos = seconds, number
    message.taken_at.utc_offset_minutes = number
    with refused_or_read():
        item = event_wire.item_of(message)
        if isinstance(item, Refused):
            check(item.error)


@given(TEXTS | st.lists(st.sampled_from([*FORMS.values(), "-", "|", '"', ":", "attr.", "taken:", " ", "..", "😀"])).map("".join))
def test_any_filter_is_read_or_refused(text):
    with refused_or_read():
        parse_filter(text)


@given(TIMES | TEXTS, TIMES | st.just(""))
def test_any_time_span_is_read_or_refused(start, end):
    with refused_or_read():
        parse_filter(f"taken:{start}..{end}")
    with refused_or_read():
        parse_filter(f'taken:"{start}"')


@given(st.floats(), st.floats(), st.floats(), st.floats(), st.integers(1, 2**31), st.integers(1, 2**31))
@example(5e-324, 0.0, math.nextafter(1, 0), 1e-300, 2**31, 1)
def test_any_region_has_a_box_or_is_refused(x, y, width, height, columns, rows):
    with refused_or_read():
        region = check_region(Region(x, y, width, height))
        left, top, right, bottom = pixel_box(region, columns, rows)
        assert 0 <= left < right <= columns
        assert 0 <= top < bottom <= rows


@given(TEXTS)
def test_any_words_of_a_query_are_validated(text):
    with refused_or_read():
        parse_text(text)


@given(
    st.lists((ANY_TEXT | HUGE).map(lambda text: text.encode("utf-8", "replace")) | objects(["id", "subject", "data"]), max_size=3)
)
def test_any_line_of_events_is_published_or_refused(lines):
    with refused_or_read():
        for one in events_of_lines(lines):
            if isinstance(one, Unpublished):
                check(one.error)


@pytest.mark.parametrize("kind", SETTINGS)
@given(data=st.data())
@settings(max_examples=50)
def test_any_value_of_a_setting_is_validated(kind: type[Settings], data):
    name = variable(data.draw(st.sampled_from(sorted(kind.model_fields))))
    text = data.draw(
        (ANY_TEXT | HUGE | st.integers().map(str) | st.floats().map(str)).filter(lambda text: "\0" not in text)
        | st.sampled_from(["s3://a b/?x", "https://u:p/w@h/", "a=1.2.3.4/99", "[]", "{}", "127.0.0.1:99999", "~~", "/\0"[:1]])
    )
    with pytest.MonkeyPatch.context() as patch, refused_or_read():
        patch.setenv(name, text.encode("utf-8", "surrogateescape" if text.isascii() else "replace").decode()[:100_000])
        load(kind)


def pipelines() -> st.SearchStrategy[str]:
    """Pipelines in JSON, which is YAML too, and pieces of YAML that mean something to its readers."""
    conditions = ANY_TEXT | st.sampled_from(
        ["(" * 900 + ")" * 900, "not " * 200 + "width", "width >= 4", "tags and " * 90 + "tags"]
    )
    steps = st.recursive(
        st.sampled_from(["fetch", "decode", "nothing"]) | VALUES,
        lambda inner: st.dictionaries(
            st.sampled_from(["fetch", "tag", "caption"]),
            st.fixed_dictionaries({}, optional={"if": conditions, "on_failure": st.lists(inner, max_size=2), "max_tags": VALUES}),
            max_size=2,
        ),
        max_leaves=4,
    )
    pieces = [
        "processors:",
        "\n",
        "  - ",
        "tag",
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a",
        "<<: ",
        "!!set ",
        "!!int x",
        "0x_",
        "2024-99-99",
        ": ",
        "? ",
    ]
    return (
        st.lists(steps, max_size=3).map(lambda one: as_json({"processors": one}).decode("utf-8", "replace"))
        | st.lists(st.sampled_from(pieces), max_size=30).map("".join)
        | st.lists(st.sampled_from(pieces), max_size=30).map(lambda some: "processors: [" + "".join(some) + "]")
        | TEXTS
    )


@given(pipelines())
@example("processors: &p [tag: {on_failure: *p}]")
@example("processors: [tag: {<<: {on_failure: [fetch]}}]")
@example("processors: [{tag: null, tag: {on_failure: [fetch]}}]")
@example("processors: [fetch]\nprocessors: [fetch, decode]")
@example("processors: " + "[" * 10_000)
@example("a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [{', '.join(['*a'] * 9)}]\n" for n in range(9)))
@example("processors: [tag: {if: 0x_}]")
def test_any_pipeline_file_is_read_or_refused(text):
    with refused_or_read():
        parse_pipeline(text, source="pipeline.yaml")


def test_the_values_of_these_tests_reach_every_reader():
    accepted: Mapping[str, object] = {"caption": "a", "taken_at": "2024-05-01T12:30:00+01:00", "version": 3}
    assert read_own(accepted)[0].version == 3
    assert len(parse_pipeline(json.dumps({"processors": ["fetch", {"tag": {"if": "width >= 4"}}]}), source="p").steps) == 2
