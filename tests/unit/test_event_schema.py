"""The schema of `miradouro events schema` and the code that reads events accept the same events."""

import base64
import copy
import itertools
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from miradouro.adapters.kafka import KafkaSettings
from miradouro.core import event as limits
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.source_record import SourceRecord
from miradouro.ingest.asyncapi import asyncapi
from miradouro.ingest.cloud_event import MAX_INLINE_BYTES, SCHEMA, item_of, record_of
from miradouro.ingest.event_schema import data_schema, event_schema

from tests.e2e.command import run
from tests.photo_events import EVENTS

EVENT, DATA, STRICT = (
    Draft202012Validator(schema, format_checker=FormatChecker())
    for schema in (event_schema(), data_schema(), event_schema(strict=True))
)
GOOD: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "urn:x",
    "type": "photo.uploaded",
    "subject": "a.jpg",
    "photoversion": "3",
    "dataschema": SCHEMA,
    "data": {
        "uri": "s3://bucket/a.jpg",
        "media_type": "image/jpeg",
        "sha256": "0" * 64,
        "title": "t",
        "caption": "c",
        "tags": ["x"],
        "owner": "o",
        "attributes": {"camera": "y"},
        "place": {"latitude": 38.7, "longitude": -9.1},
        "taken_at": {"instant": "2024-05-31T18:05:00Z", "utc_offset_minutes": 60},
    },
}
# Values that stand at a limit or beyond it, or are of another type than any field's.
MISSING = object()
ODD: list[Any] = (
    [None, True, False, 0, -1, 60.0, 1.5, 90.5, -181, 1_081, 10**400, "", "0", "x", "1.0", "a" * 64, "A" * 64, "QQ==", "Q", "="]
    + ["photo.updated", "photo.deleted", "photo.eaten", SCHEMA, "9223372036854775807", "9223372036854775808", "01", "-1", "a.jpg"]
    + ["2024-02-03T04:05:06.789+01:00", "2024-02-03T04:05:06", "2024-13-03T04:05:06Z", "2024-02-30T04:05:06Z", "yesterday"]
    + ["x" * size for size in (128, 129, 256, 257, 1_024, 1_025, 8_192, 8_193, 16_384, 16_385)]
    + [[], [1], ["x", ""], ["x"] * 257, ["x" * 129], {}, {"": "x"}, {"x": 1}, {"x": "y"}, {"x" * 129: "y"}, {"y": "x" * 1_025}]
    + [{"latitude": 1, "longitude": 2}, {"latitude": 1}, {"uri": "x"}, {"data_base64": "QQ=="}, {"uri": ""}]
)


def is_taken(candidate: object, key: bytes = b"c/a.jpg", *, strict: bool = False) -> bool:
    """Whether the code takes it."""
    record = SourceRecord("t", 0, 0, key, json.dumps(candidate).encode(), (("content-type", b"application/cloudevents+json"),))
    return isinstance(item_of(record, strict=strict), PhotoEvent)


def places(candidate: object, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in JSON."""
    inside = candidate.items() if isinstance(candidate, dict) else enumerate(candidate) if isinstance(candidate, list) else ()
    return [above, *(place for name, one in inside for place in places(one, (*above, name)))]


def inside(candidate: Any, way: tuple[Any, ...]) -> Any:
    """What stands at a place."""
    for name in way:
        candidate = candidate[name]
    return candidate


def changes(candidate: Any) -> list[tuple[tuple[Any, ...], Any, bool]]:
    """Every single change as (path, value, whether it is an addition): odd values, removals (MISSING) and additions."""
    paths = places(candidate)
    exchanged = [(path, odd, False) for path in paths if path for odd in [MISSING, *ODD]]
    additions = list(itertools.product(["data_base64", "data", "uri", "colour", "lat"], ["QQ==", "", "Q", None, {}]))
    added = [((*path, name), odd, True) for path in paths if isinstance(inside(candidate, path), dict) for name, odd in additions]
    return exchanged + added


def changed(candidate: Any, path: tuple[Any, ...], value: Any, is_addition: bool) -> Any:
    """A copy of `candidate` with one of its `changes`."""
    candidate = copy.deepcopy(candidate)
    around, name = inside(candidate, path[:-1]), path[-1]
    if is_addition:
        around.setdefault(name, value)
    elif value is not MISSING:
        around[name] = value
    elif isinstance(around, dict):
        del around[name]
    return candidate


def assert_same(candidate: Any) -> None:
    """Fails unless the schema and the code answer alike."""
    subject = candidate.get("subject") if isinstance(candidate, dict) else None
    key = f"c/{subject}" if isinstance(subject, str) else "c/a.jpg"  # no schema can compare the key with the subject
    for schema, strict in ((EVENT, False), (STRICT, True)):
        is_valid = schema.is_valid(candidate)
        assert is_taken(candidate, key.encode(), strict=strict) == is_valid, (
            candidate,
            [one.message for one in schema.iter_errors(candidate)],
        )


@given(event=EVENTS)
@example(event=PhotoEvent("1", EventKind.DELETED, "c", "a", 1))
@example(event=PhotoEvent("1", EventKind.UPLOADED, "c", "a", 2**63 - 1, data=bytes(MAX_INLINE_BYTES)))
def test_our_events_satisfy_the_schema(event: PhotoEvent) -> None:
    _, value, headers = record_of(event)
    state = json.loads(value)
    attributes = {name[3:]: candidate.decode() for name, candidate in headers if name.startswith("ce_")}
    EVENT.validate({**attributes, "data": state})
    if event.kind is not EventKind.DELETED:
        DATA.validate(state)


@pytest.mark.parametrize(
    "good",
    [GOOD, {**GOOD, "type": "photo.deleted", "data": {"title": "t"}}, {**GOOD, "data": {"data_base64": "QQ==", "uri": "x"}}],
    ids=["by uri", "deleted", "inline"],
)
def test_schema_and_parser_refuse_the_same_events(good: Any) -> None:
    answers = set()
    for candidate in [good, *(changed(good, *one) for one in changes(good))]:
        assert_same(candidate)
        answers.add(EVENT.is_valid(candidate))
    assert answers == {True, False}


@settings(max_examples=20)
@given(picks=st.lists(st.integers(0, 10**6), min_size=2, max_size=4))
def test_several_wrongs_together_are_refused_by_both(picks: list[int]) -> None:
    candidate: Any = GOOD
    for pick in picks:
        variants = changes(candidate)
        candidate = changed(candidate, *variants[pick % len(variants)])
        assert_same(candidate)


@given(
    candidate=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, *GOOD["data"], "x"]), inner),
    )
)
def test_invalid_events_violate_the_schema_too(candidate: Any) -> None:
    assert_same(candidate)


@pytest.mark.parametrize(
    ("field", "longest"),
    [("title", limits.MAX_TITLE_CHARS), ("caption", limits.MAX_CAPTION_CHARS), ("owner", limits.MAX_OWNER_CHARS)],
)
def test_limits_are_those_of_the_code(field: str, longest: int) -> None:
    for size, is_allowed in ((longest, True), (longest + 1, False)):
        candidate = {**GOOD, "data": {**GOOD["data"], field: "é" * size}}
        assert (is_taken(candidate), EVENT.is_valid(candidate)) == (is_allowed, is_allowed)


def test_schema_and_parser_limit_an_inline_photo() -> None:
    for size, is_allowed in ((MAX_INLINE_BYTES, True), (MAX_INLINE_BYTES + 3, False)):
        candidate = {**GOOD, "data": {"data_base64": base64.b64encode(bytes(size)).decode()}}
        assert (is_taken(candidate), EVENT.is_valid(candidate)) == (is_allowed, is_allowed)


def test_the_command_prints_the_checked_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("events", "schema").json == event_schema()
    assert run("events", "schema", "--data").json == data_schema()
    monkeypatch.setenv("MIRADOURO_KAFKA_TOPIC", "elsewhere")
    candidate = run("events", "schema", "--asyncapi").json
    assert candidate["channels"]["photos"]["address"] == "elsewhere"
    assert run("events", "schema", "--asyncapi", "--data").code == 2


def test_the_asyncapi_document_holds_together() -> None:
    document = asyncapi(KafkaSettings())
    for place in places(document):
        if place and place[-1] == "$ref":
            candidate: Any = document
            for name in place:
                candidate = candidate[name]
            assert candidate.startswith("#/"), candidate
            found: Any = document
            for name in candidate.removeprefix("#/").split("/"):
                found = found[name]
    messages = document["components"]["messages"]
    for name in ("binary", "structured"):
        Draft202012Validator.check_schema(messages[name]["payload"]["schema"])
    for example_ in messages["binary"]["examples"]:
        Draft202012Validator(messages["binary"]["payload"]["schema"]).validate(example_["payload"])
        Draft202012Validator(messages["binary"]["headers"]).validate(example_["headers"])
    used = {ref["$ref"] for channel in document["channels"].values() for ref in channel["messages"].values()}
    assert used == {f"#/components/messages/{name}" for name in messages}
