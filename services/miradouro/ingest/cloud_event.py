"""Photo events as CloudEvents 1.0 over Kafka (the CloudEvents specification and its Kafka protocol binding).

Both modes are read: binary (attributes in headers `ce_…`, the photo's state as value) and structured (all of it in one JSON
value). The state is JSON, or the message PhotoEvent of our protos. Written is binary mode with JSON.

    type          photo.uploaded, photo.updated or photo.deleted
    id            of the event
    subject       the photo's id
    photoversion  its version, a decimal string, 1 … 2^63 - 1
    dataschema    SCHEMA, or absent
    traceparent   the trace that it belongs to (W3C Trace Context), or absent; one that is wrong counts as absent
    key           collection/photo id, split at the first `/`

`event_schema` says the same as JSON Schema; a test holds the two together.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from google.protobuf.message import DecodeError

from miradouro.adapters.kafka.settings import MAX_EVENT_BYTES
from miradouro.core.document import GeoPoint, TakenAt
from miradouro.core.error_text import shown
from miradouro.core.errors import BadEvent, InvalidArgument
from miradouro.core.event import COLLECTION, MAX_UTC_OFFSET_MINUTES, MAX_VERSION, EventKind, PhotoEvent, check_event
from miradouro.core.ports import Refused, SourceItem
from miradouro.core.source_record import SourceRecord
from miradouro.ingest.event_wire import message_to_event
from miradouro.runtime.tracing import TRACEPARENT, read_trace
from miradouro.v1 import photo_event_pb2

SCHEMA = "urn:miradouro:photo-event:1"
SOURCE = "urn:miradouro"
MAX_INLINE_BYTES = 1024 * 1024
_BATCH_OVERHEAD_BYTES = 1_024  # what Kafka adds to one record, generously
_STRUCTURED = "application/cloudevents+json"
_PROTOBUF = {"application/protobuf", "application/x-protobuf"}
_VERSION = re.compile(r"[1-9][0-9]{0,18}")
_TEXTS = ("uri", "media_type", "sha256", "title", "caption", "owner")
_FIELDS = frozenset({*_TEXTS, "data_base64", "tags", "attributes", "place", "taken_at"})
_PLACE = frozenset({"latitude", "longitude"})
_TAKEN_AT = frozenset({"instant", "utc_offset_minutes"})
_ATTRIBUTES = {"specversion", "id", "source", "type", "subject", "photoversion", "dataschema", "datacontenttype", TRACEPARENT}
_READ = {"specversion", "id", "type", "subject", "photoversion", "dataschema", TRACEPARENT}
_HEADERS = {"content-type": "content-type"} | {f"ce_{name}": name for name in _READ}  # header → attribute
_KINDS = {kind.value: kind for kind in EventKind}


def item_of(record: SourceRecord, *, strict: bool = False) -> SourceItem:
    """The checked event, or a refusal if the record is not one; never raises.

    Unknown fields are ignored, so that producers may add fields; with `strict` they are refused.
    """
    try:
        return check_event(_event_of(record, kept=record, strict=strict))
    except InvalidArgument as exc:
        error = exc
    except (ValueError, ArithmeticError, RecursionError) as exc:
        # A missing check must not end the consumer: it would read the same record again after each start.
        error = BadEvent("not_an_event", "value", f"it can't be read: {type(exc).__name__}: {exc!s:.200}")
    collection, photo_id = _names(record.key)
    version = _header_attributes(record).get("photoversion", "")
    known = int(version) if _VERSION.fullmatch(version) and int(version) <= MAX_VERSION else 1
    return Refused(collection, photo_id, known, "", error, record)


def event_of(record: SourceRecord) -> PhotoEvent:
    """The event of a record, its limits not checked. Raises BadEvent."""
    return _event_of(record, kept=None, strict=False)


def _event_of(record: SourceRecord, *, kept: SourceRecord | None, strict: bool) -> PhotoEvent:
    """`kept` becomes the event's record. Every event of a topic goes through here: it is built once and never copied."""
    collection, photo_id = _names(record.key)
    if not COLLECTION.fullmatch(collection) or not photo_id or f"{collection}/{photo_id}".encode() != record.key:
        raise BadEvent(
            "bad_key",
            "key",
            f"{shown(record.key, most=300)} is not collection/photo id in UTF-8; collections: [a-z0-9][a-z0-9_-]{{0,62}}",
        )
    attributes = _header_attributes(record)
    if record.value is None:
        return _deleted_by_null(record, attributes, collection, photo_id, kept)
    content_type = _media_type(attributes.get("content-type", ""))
    data: Any  # a PhotoEvent message as bytes, or decoded JSON
    if content_type == _STRUCTURED:
        attributes, data = _structured(record.value)
    elif content_type in _PROTOBUF:
        data = record.value
    else:
        data = _json(record.value) if record.value else {}
    if attributes.get("specversion") != "1.0":
        raise BadEvent("not_an_event", "specversion", f"{shown(attributes.get('specversion'))} is not 1.0: no CloudEvent of ours")
    if (schema := attributes.get("dataschema", SCHEMA)) != SCHEMA:
        raise BadEvent("unknown_schema_version", "dataschema", f"{shown(schema)}; allowed: {SCHEMA}, or none")
    kind = _KINDS.get(attributes.get("type", ""))
    if kind is None:
        raise BadEvent("unknown_type", "type", f"{shown(attributes.get('type'))}; allowed: {', '.join(EventKind)}")
    if not attributes.get("id"):
        raise BadEvent("not_an_event", "id", "it is not set; every event has one")
    if (subject := attributes.get("subject", photo_id)) != photo_id:
        raise BadEvent(
            "bad_key", "subject", f"{shown(subject, most=300)} is not the photo of the key, {shown(photo_id, most=300)}"
        )
    known: dict[str, Any] = {
        "event_id": attributes["id"],
        "kind": kind,
        "collection": collection,
        "photo_id": photo_id,
        "version": _version(attributes.get("photoversion")),
        "traceparent": _traceparent(attributes),
        "record": kept,
    }
    event = (
        replace(_from_message(data, kind), **known)
        if isinstance(data, bytes)
        else PhotoEvent(**known, **_state(data, strict=strict))
    )
    if event.data is not None and len(event.data) > MAX_INLINE_BYTES:
        size = len(event.data)
        raise BadEvent("bad_data", "data", f"{size:,} bytes inline; allowed: 1 to {MAX_INLINE_BYTES:,}; name the photo by uri")
    return event


def record_of(event: PhotoEvent) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """Key, value and headers of an event, in binary mode.

    Raises InvalidArgument (inline bytes beyond MAX_INLINE_BYTES, or a record that no topic of ours takes).
    """
    if event.data is not None and len(event.data) > MAX_INLINE_BYTES:
        size = len(event.data)
        raise InvalidArgument("data", f"{size:,} bytes; allowed: 1 to {MAX_INLINE_BYTES:,} inline; name the photo by uri instead")
    state: dict[str, Any] = {name: getattr(event, name) for name in _TEXTS if getattr(event, name)}
    if event.data is not None:
        state["data_base64"] = base64.b64encode(event.data).decode()
    if event.tags:
        state["tags"] = list(event.tags)
    if event.attributes:
        state["attributes"] = dict(event.attributes)
    if event.place is not None:
        state["place"] = {"latitude": event.place.latitude, "longitude": event.place.longitude}
    if event.taken_at is not None:
        state["taken_at"] = {"instant": event.taken_at.instant.isoformat()}
        if event.taken_at.utc_offset_minutes is not None:
            state["taken_at"]["utc_offset_minutes"] = event.taken_at.utc_offset_minutes
    headers = {
        "ce_specversion": "1.0",
        "ce_id": event.event_id,
        "ce_source": SOURCE,
        "ce_type": event.kind.value,
        "ce_subject": event.photo_id,
        "ce_dataschema": SCHEMA,
        "ce_photoversion": str(event.version),
        "content-type": "application/json",
    } | ({f"ce_{TRACEPARENT}": event.traceparent} if event.traceparent else {})
    key, value = f"{event.collection}/{event.photo_id}".encode(), json.dumps(state, ensure_ascii=False).encode()
    encoded = [(name, text.encode()) for name, text in headers.items()]
    size = len(key) + len(value) + sum(len(name) + len(text) for name, text in encoded)
    if size > MAX_EVENT_BYTES - _BATCH_OVERHEAD_BYTES:
        raise InvalidArgument("event", f"{size:,} bytes; a record has at most {MAX_EVENT_BYTES:,}: name the photo by uri instead")
    return key, value, encoded


def _names(key: bytes | None) -> tuple[str, str]:
    collection, _, photo_id = (key or b"").decode("utf-8", "replace").partition("/")
    return collection, photo_id


def _header_attributes(record: SourceRecord) -> dict[str, str]:
    """Attribute → text, for the attributes that are read and `content-type`; of a repeated header the last one."""
    attributes = {}
    for name, text in record.headers:
        if attribute := _HEADERS.get(name) or _HEADERS.get(name.lower()):
            attributes[attribute] = (text or b"").decode("utf-8", "replace")
    return attributes


def _traceparent(attributes: Mapping[str, str]) -> str:
    header = attributes.get(TRACEPARENT)
    return trace.header if header and (trace := read_trace(header)) else ""


def _deleted_by_null(
    record: SourceRecord, attributes: Mapping[str, str], collection: str, photo_id: str, kept: SourceRecord | None
) -> PhotoEvent:
    """A null value deletes when a header says at which version: Kafka's own tombstones carry none."""
    if "photoversion" not in attributes:
        raise BadEvent("version_missing", "ce_photoversion", "a record without value has no version; set the header to delete")
    event_id = attributes.get("id") or f"{record.topic}-{record.partition}-{record.offset}"
    version = _version(attributes["photoversion"])
    trace = _traceparent(attributes)
    return PhotoEvent(event_id, EventKind.DELETED, collection, photo_id, version, traceparent=trace, record=kept)


def _structured(value: bytes) -> tuple[dict[str, str], Any]:
    event = _json(value)
    if not isinstance(event, dict):
        raise BadEvent("not_an_event", "value", f"a JSON {type(event).__name__} is not a CloudEvent; allowed: an object")
    attributes = {name: text for name, text in event.items() if name in _ATTRIBUTES and text is not None}
    for name, text in attributes.items():
        if not isinstance(text, str):
            raise BadEvent("not_an_event", name, f"{shown(text)} is no JSON string")
    if event.get("data_base64") is None:
        return attributes, event.get("data")
    if event.get("data") is not None:
        raise BadEvent("not_an_event", "data", "it stands beside data_base64; an event has one of them")
    data = _base64(_typed(event, "data_base64", str, within=""), "data_base64")
    # Some libraries write JSON so. CloudEvents 1.0, section 3.1.1: */json and */*+json are JSON.
    is_json = _media_type(attributes.get("datacontenttype", "")).endswith(("/json", "+json"))
    return attributes, _json(data) if is_json else data


def _media_type(text: str) -> str:
    """Without parameters; media types know no case (RFC 9110)."""
    return text.split(";")[0].strip().lower()


def _json(value: bytes) -> Any:
    try:
        return orjson.loads(value)  # refuses half a character and NaN too, which no index can store
    except orjson.JSONDecodeError as exc:
        raise BadEvent("not_an_event", "value", f"it is no JSON in UTF-8: {exc}") from exc


def _base64(text: str, field: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise BadEvent("bad_data", field, f"it is no base64: {exc}") from exc


def _version(text: str | None) -> int:
    if text is None or text == "":
        raise BadEvent("version_missing", "photoversion", "it is not set; set the photo's version, a decimal string")
    if not _VERSION.fullmatch(text) or (version := int(text)) > MAX_VERSION:
        raise BadEvent("bad_version", "photoversion", f"{shown(text)} is not a decimal number within 1 to 2^63 - 1")
    return version


def _from_message(data: bytes, kind: EventKind) -> PhotoEvent:
    try:
        message = photo_event_pb2.PhotoEvent.FromString(data)
    except DecodeError as exc:
        raise BadEvent("bad_data", "data", f"it is no PhotoEvent message: {exc}") from exc
    return message_to_event(message, kind=kind)


def _state(data: Any, *, strict: bool) -> dict[str, Any]:
    """The fields of the event that the data holds; one that is null is absent. Raises BadEvent naming the field."""
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise BadEvent("bad_data", "data", f"a JSON {type(data).__name__}; allowed: an object")
    if strict:
        _check_names(data, _FIELDS, "data")
    present = {name: value for name, value in data.items() if value is not None}
    state: dict[str, Any] = {name: _typed(present, name, str) for name in _TEXTS if name in present}
    if "data_base64" in present:
        state["data"] = _base64(_typed(present, "data_base64", str), "data.data_base64")
    if "tags" in present:
        state["tags"] = tuple(_texts(_typed(present, "tags", list), "data.tags"))
    if "attributes" in present:
        attributes = _typed(present, "attributes", dict)
        _texts(list(attributes.values()), "data.attributes")
        state["attributes"] = attributes
    if "place" in present:
        state["place"] = _place(_typed(present, "place", dict), strict=strict)
    if "taken_at" in present:
        state["taken_at"] = _taken_at(_typed(present, "taken_at", dict), strict=strict)
    return state


def _check_names(data: Mapping[str, Any], allowed: frozenset[str], field: str) -> None:
    if not data.keys() <= allowed:
        unknown = sorted(data.keys() - allowed)
        raise BadEvent("bad_data", f"{field}.{unknown[0]:.100}", f"no such field; allowed: {', '.join(sorted(allowed))}")


def _typed(data: Mapping[str, Any], name: str, kind: type, *, within: str = "data.") -> Any:
    if not isinstance(data[name], kind):
        raise BadEvent("bad_data", f"{within}{name}", f"{shown(data[name])} is no JSON {kind.__name__}")
    return data[name]


def _texts(values: list[Any], field: str) -> list[str]:
    for value in values:
        if not isinstance(value, str):
            raise BadEvent("bad_data", field, f"{shown(value)} is no text")
    return values


def _place(place: Mapping[str, Any], *, strict: bool) -> GeoPoint:
    if strict:
        _check_names(place, _PLACE, "data.place")
    return GeoPoint(_number(place, "latitude"), _number(place, "longitude"))


def _number(place: Mapping[str, Any], name: str) -> float:
    value = place.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadEvent("bad_data", f"data.place.{name}", f"{shown(value)} is no number of degrees")
    return float(value)


def _taken_at(taken: Mapping[str, Any], *, strict: bool) -> TakenAt:
    if strict:
        _check_names(taken, _TAKEN_AT, "data.taken_at")
    text, offset = taken.get("instant"), taken.get("utc_offset_minutes")
    try:
        instant = datetime.fromisoformat(str(text))
    except ValueError as exc:
        raise BadEvent("bad_data", "data.taken_at.instant", f"{shown(text)} is no time as 2024-05-31T18:05:00Z") from exc
    if instant.tzinfo is None:
        raise BadEvent("bad_data", "data.taken_at.instant", f"{shown(text)} has no zone; end it with Z or an offset")
    if isinstance(offset, float) and offset.is_integer():
        offset = int(offset)  # JSON knows one kind of number
    if offset is not None and (isinstance(offset, bool) or not isinstance(offset, int)):
        raise BadEvent("bad_data", "data.taken_at.utc_offset_minutes", f"{shown(offset)} is no whole number of minutes")
    if offset is None:
        offset = _offset_of(instant)
    try:
        return TakenAt(instant.astimezone(UTC), offset)
    except OverflowError as exc:
        raise BadEvent("bad_data", "data.taken_at.instant", f"{shown(text)} is not within the years 1 to 9999") from exc


def _offset_of(instant: datetime) -> int | None:
    """The offset that is written in an instant, in minutes; None for Z and 00:00, which programs write for any time."""
    offset = instant.utcoffset() or timedelta()
    minutes, rest = divmod(offset, timedelta(minutes=1))
    return minutes if minutes and not rest and abs(minutes) <= MAX_UTC_OFFSET_MINUTES else None
