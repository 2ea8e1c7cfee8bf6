"""JSON over HTTP is the canonical JSON of protobuf, whatever the message."""

import json

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from miradouro.query.http_messages import from_json, to_json
from miradouro.v1 import ingest_service_pb2, search_service_pb2

KINDS = [
    search_service_pb2.SearchResponse,
    search_service_pb2.SearchRequest,
    search_service_pb2.GetPhotoResponse,
    search_service_pb2.StatsResponse,
    ingest_service_pb2.ListFailuresResponse,
]
BOUNDS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


def value_of(data: st.DataObject, field: FieldDescriptor) -> object:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return data.draw(st.binary(max_size=5))
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            return data.draw(TEXTS)
        case FieldDescriptor.CPPTYPE_DOUBLE:
            return data.draw(st.floats(allow_nan=False))
        case FieldDescriptor.CPPTYPE_BOOL:
            return data.draw(st.booleans())
        case FieldDescriptor.CPPTYPE_ENUM:
            return data.draw(st.integers(0, 5))
    return data.draw(st.integers(*BOUNDS[field.cpp_type]))


def fill(data: st.DataObject, message: Message, depth: int = 0) -> None:
    """Sets some fields of a message at random."""
    if message.DESCRIPTOR.full_name == "google.protobuf.Timestamp":
        message.seconds = data.draw(st.integers(-62_135_596_800, 253_402_300_799))
        message.nanos = data.draw(st.integers(0, 999_999_999))
        return
    for field in message.DESCRIPTOR.fields:
        if depth > 3 or not data.draw(st.booleans()):
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            getattr(message, field.name)[data.draw(TEXTS)] = data.draw(TEXTS)
        elif field.message_type is not None:
            inner = getattr(message, field.name)
            fill(data, inner.add() if field.is_repeated else inner, depth + 1)
            if not field.is_repeated:
                inner.SetInParent()
        elif field.is_repeated:
            getattr(message, field.name).append(value_of(data, field))
        else:
            setattr(message, field.name, value_of(data, field))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.DESCRIPTOR.name)
@given(data=st.data())
def test_messages_are_written_canonically_and_read_back(kind, data):
    message = kind()
    fill(data, message)
    written = to_json(message)
    assert json.loads(written) == json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    assert from_json(kind, written) == message


def test_numbers_without_an_end_have_words():
    message = search_service_pb2.SearchResponse(took_ms=float("inf"), hits=[search_service_pb2.Hit(score=float("nan"))])
    body = json.loads(to_json(message))
    assert (body["tookMs"], body["hits"][0]["score"]) == ("Infinity", "NaN")
