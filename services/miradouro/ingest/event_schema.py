"""Photo events as JSON Schema (draft 2020-12) for producers: the events that `cloud_event` accepts, with `core.event`'s limits.

The schema and the checks differ in few points. JSON Schema counts characters where some limits count bytes, and it validates
neither calendar dates nor protobuf messages: an event with such a mistake satisfies the schema and is refused. All other refused
events violate the schema. The checks accept a few more notations of a time than the schema. The strict schema forbids unknown
fields, as MIRADOURO_KAFKA_STRICT_EVENTS does.
"""

from typing import Any

from miradouro.core import event as limits
from miradouro.core.event import EventKind
from miradouro.ingest.cloud_event import MAX_INLINE_BYTES, SCHEMA

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_DATE, _TIME = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])", "([01][0-9]|2[0-3]):[0-5][0-9]"
INSTANT_PATTERN = rf"^{_DATE}T{_TIME}:[0-5][0-9](\.[0-9]{{1,6}})?(Z|[+-]{_TIME})$"
BASE64_PATTERN = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
KEY_PATTERN = f"^{limits.COLLECTION.pattern}/.+$"


def data_schema(*, strict: bool = False) -> dict[str, Any]:
    """The schema of the data of `photo.uploaded` and `photo.updated`: the whole state of a photo."""
    return {"$schema": DRAFT, "$id": SCHEMA, **_photo(strict)}


def event_schema(*, strict: bool = False) -> dict[str, Any]:
    """The schema of a CloudEvent in structured mode. In binary mode attributes are headers `ce_…`, and the value is the data."""
    as_message = {"required": ["data_base64"], "properties": {"data_base64": {"type": "string"}}}
    as_json = {"required": ["data"], "properties": {"data": {"type": "object"}}}
    state = {"anyOf": [as_message, {**as_json, "properties": {"data": _photo(strict)}}]}
    return {
        "$schema": DRAFT,
        "$id": f"{SCHEMA}:cloudevent",
        "title": "Photo event",
        "description": "A CloudEvent 1.0 that reports an uploaded, changed or deleted photo.",
        "type": "object",
        "required": ["specversion", "id", "type", "photoversion"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "description": "Of the event.", "minLength": 1, "maxLength": 256},
            "source": {"type": ["string", "null"], "description": "Who sends it."},
            "type": {"enum": [kind.value for kind in EventKind]},
            "subject": {
                "type": ["string", "null"],
                "description": "The photo's id, the same as in the record's key.",
                "minLength": 1,
                "maxLength": limits.MAX_PHOTO_ID_BYTES,
                "pattern": "^[^\\u0000]*$",
            },
            "photoversion": {
                "type": "string",
                "description": f"The photo's version, which grows with each of its events: 1 to {limits.MAX_VERSION}.",
                "pattern": f"^({_up_to(limits.MAX_VERSION)})$",
            },
            "dataschema": {"enum": [SCHEMA, None]},
            "datacontenttype": {"type": ["string", "null"]},
            "traceparent": {
                "type": ["string", "null"],
                "description": "The trace that the event belongs to (W3C Trace Context); one that is wrong counts as none.",
            },
            "data": {},
            "data_base64": {
                "type": ["string", "null"],
                "description": "Instead of data: the message miradouro.v1.PhotoEvent.",
                "contentEncoding": "base64",
                "contentMediaType": "application/protobuf",
                "pattern": BASE64_PATTERN,
            },
        },
        "not": {
            "required": ["data", "data_base64"],
            "properties": {"data": {"not": {"type": "null"}}, "data_base64": {"type": "string"}},
        },
        "if": {"properties": {"type": {"const": EventKind.DELETED.value}}},
        "then": {"properties": {"data": _deleted(strict)}},
        "else": state,
    }


def _photo(strict: bool) -> dict[str, Any]:
    return {
        "title": "Photo",
        "description": "The whole state of a photo: what is left out or null is empty, not unchanged.",
        "type": "object",
        **_closed(strict),
        "properties": {
            "uri": _text("Where the original is; ingest must be allowed to read there.", limits.MAX_URI_BYTES),
            "data_base64": {
                "type": ["string", "null"],
                "description": f"The encoded photo itself, at most {MAX_INLINE_BYTES:,} bytes before base64.",
                "contentEncoding": "base64",
                "pattern": BASE64_PATTERN,
                "maxLength": -(-MAX_INLINE_BYTES // 3) * 4,
            },
            "media_type": {
                "type": ["string", "null"],
                "description": "Such as image/jpeg; detected from the bytes when left out.",
            },
            "sha256": {
                "type": ["string", "null"],
                "description": "SHA-256 of the photo's bytes, which are refused when they have another.",
                "pattern": "^([0-9a-f]{64})?$",
            },
            "title": _text("A title.", limits.MAX_TITLE_CHARS),
            "caption": _text("What a person says of the photo.", limits.MAX_CAPTION_CHARS),
            "tags": {
                "type": ["array", "null"],
                "description": "A person's tags.",
                "maxItems": limits.MAX_TAGS,
                "items": {"type": "string", "minLength": 1, "maxLength": limits.MAX_TAG_CHARS},
            },
            "owner": _text("Whose photo it is.", limits.MAX_OWNER_CHARS),
            "attributes": {
                "type": ["object", "null"],
                "description": "Anything else, as text by name.",
                "maxProperties": limits.MAX_ATTRIBUTES,
                "propertyNames": {"minLength": 1, "maxLength": limits.MAX_ATTRIBUTE_NAME_CHARS},
                "additionalProperties": {"type": "string", "maxLength": limits.MAX_ATTRIBUTE_VALUE_CHARS},
            },
            "place": {
                "type": ["object", "null"],
                "description": "Where it was taken, in degrees, WGS 84.",
                **_closed(strict),
                "required": ["latitude", "longitude"],
                "properties": {
                    "latitude": {"type": "number", "minimum": -90, "maximum": 90},
                    "longitude": {"type": "number", "minimum": -180, "maximum": 180},
                },
            },
            "taken_at": {
                "type": ["object", "null"],
                "description": "When it was taken.",
                **_closed(strict),
                "required": ["instant"],
                "properties": {
                    "instant": {
                        "type": "string",
                        "description": "The instant; where the offset is unknown, the camera's local time with Z. "
                        "Its own offset counts where utc_offset_minutes is left out.",
                        "format": "date-time",
                        "pattern": INSTANT_PATTERN,
                    },
                    "utc_offset_minutes": {
                        "type": ["integer", "null"],
                        "description": "Minutes that local time was ahead of UTC; left out when unknown.",
                        "minimum": -limits.MAX_UTC_OFFSET_MINUTES,
                        "maximum": limits.MAX_UTC_OFFSET_MINUTES,
                    },
                },
            },
        },
        "anyOf": [
            {"required": ["uri"], "properties": {"uri": {"type": "string", "minLength": 1}}},
            {"required": ["data_base64"], "properties": {"data_base64": {"type": "string"}}},
        ],
    }


def _deleted(strict: bool) -> dict[str, Any]:
    words = {name: schema for name, schema in _photo(strict)["properties"].items() if name not in {"uri", "data_base64"}}
    return {
        "title": "Deleted photo",
        "description": "Nothing, or what was known of the photo, but not the photo itself.",
        "type": ["object", "null"],
        **_closed(strict),
        "properties": {**words, "uri": {"enum": ["", None]}, "data_base64": {"type": "null"}},
    }


def _closed(strict: bool) -> dict[str, Any]:
    return {"additionalProperties": False} if strict else {}


def _up_to(limit: int) -> str:
    """A pattern of the decimal numbers 1 … limit: shorter numbers, and those that are smaller at one of its digits."""
    digits = str(limit)
    parts = [f"[1-9][0-9]{{0,{len(digits) - 2}}}", digits]
    for position, digit in enumerate(digits):
        least = 0 if position else 1
        if int(digit) > least:
            parts.append(f"{digits[:position]}[{least}-{int(digit) - 1}][0-9]{{{len(digits) - position - 1}}}")
    return "|".join(parts)


def _text(description: str, longest: int) -> dict[str, Any]:
    return {"type": ["string", "null"], "description": description, "maxLength": longest}
