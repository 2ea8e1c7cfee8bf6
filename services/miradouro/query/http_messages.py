"""Messages over HTTP: the canonical JSON of protobuf, and query parameters for scalar fields."""

import base64
import functools
import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from miradouro.core.error_text import cut, shown
from miradouro.core.errors import InvalidArgument

M = TypeVar("M", bound=Message)
_WIDE = {  # numbers of 64 bits are strings in JSON
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_SFIXED64,
    FieldDescriptor.TYPE_SINT64,
    FieldDescriptor.TYPE_UINT64,
}
MAX_JSON_PARTS = 16_384
_SEPARATORS = (b",", b":", b"[", b"{")
_SHOWN_BYTES = 300
_BOOLEANS = {"true": True, "false": False}


def from_json(kind: type[M], data: bytes) -> M:
    """Parses a JSON document of at most MAX_JSON_PARTS values into a message. Raises InvalidArgument."""
    if sum(map(data.count, _SEPARATORS)) > MAX_JSON_PARTS:  # 31 MB of [], took 10 s to parse
        raise InvalidArgument("body", f"more than {MAX_JSON_PARTS:,} values; ask with fewer")
    if data.lstrip()[:1] != b"{":  # the parser would take [], 0 and null for an empty message
        raise InvalidArgument("body", f"it is no JSON object; send that of a {kind.DESCRIPTOR.name}")
    try:
        return json_format.Parse(data, kind())
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidArgument("body", f"it is not the JSON of a {kind.DESCRIPTOR.name}: {cut(str(exc), _SHOWN_BYTES)}") from exc


def from_parameters(kind: type[M], parameters: Iterable[tuple[str, str]], *, but: Iterable[str] = ()) -> M:
    """Builds a message from query parameters, named as in the proto or as in JSON; each filter is a JSON object.

    `but` names fields that are not parameters. Raises InvalidArgument naming the parameter.
    """
    fields = parameter_fields(kind, but=but)
    names = {name: field for field in fields for name in (field.name, field.json_name)}
    said: dict[str, Any] = {}
    for name, value in parameters:
        field = names.get(name)
        if field is None:
            raise InvalidArgument(name, f"there is no such parameter; allowed: {', '.join(one.name for one in fields)}")
        if field.is_repeated:
            said.setdefault(field.name, []).append(_parsed(name, value))
        elif field.name in said:
            raise InvalidArgument(name, "it is given twice; give it once")
        else:
            said[field.name] = _BOOLEANS.get(value, value) if field.type == FieldDescriptor.TYPE_BOOL else value
    try:
        return json_format.ParseDict(said, kind())
    except (json_format.ParseError, RecursionError) as exc:
        raise InvalidArgument(
            "query", f"the parameters are not those of a {kind.DESCRIPTOR.name}: {cut(str(exc), _SHOWN_BYTES)}"
        ) from exc


def parameter_fields(kind: type[Message], *, but: Iterable[str] = ()) -> list[FieldDescriptor]:
    """Returns the fields that can be query parameters: the ones outside of a oneof and not in `but`."""
    left_out = set(but)
    fields: Any = kind.DESCRIPTOR.fields  # the stubs declare two classes
    return [field for field in fields if field.name not in left_out and not _is_choice(field)]


def to_json(message: Message) -> bytes:
    """Returns the canonical JSON; fields without presence are written even when they are 0, false or empty.

    What json_format does, in a third of the time: an answer holds hundreds of tags.
    """
    try:
        said = json.dumps(_writer(message.DESCRIPTOR)(message), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:  # NaN or infinity: the canonical JSON writes them as strings
        said = json_format.MessageToJson(message, always_print_fields_with_no_presence=True, ensure_ascii=False)
    return said.encode("utf-8", "backslashreplace")


@functools.cache
def _writer(descriptor: Any) -> Callable[[Any], Any]:
    """Returns a function that converts a message of this kind for `json`."""
    if descriptor.full_name.startswith("google.protobuf."):
        return json_format.MessageToDict if descriptor.name != "Timestamp" else lambda stamp: stamp.ToJsonString()
    fields = [(field.name, field.json_name, field.has_presence, _value_writer(field)) for field in descriptor.fields]

    def write(message: Any) -> dict[str, Any]:
        said = {}
        for name, json_name, has_presence, convert in fields:
            if has_presence and not message.HasField(name):
                continue
            value = getattr(message, name)
            said[json_name] = value if convert is None else convert(value)
        return said

    return write


def _value_writer(field: Any) -> Callable[[Any], Any] | None:
    """Returns the converter of a field's values; None when `json` takes them unchanged."""
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return _map_writer(_one_writer(kind.fields_by_name["value"]))
    convert = _one_writer(field)
    if not field.is_repeated:
        return convert
    return list if convert is None else functools.partial(_each, convert)


def _each(convert: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
    return [convert(value) for value in values]


def _map_writer(convert: Callable[[Any], Any] | None) -> Callable[[Any], dict[str, Any]]:
    if convert is None:
        return lambda entries: {str(key): value for key, value in entries.items()}
    return lambda entries: {str(key): convert(value) for key, value in entries.items()}


def _one_writer(field: Any) -> Callable[[Any], Any] | None:
    if field.message_type is not None:
        # Built lazily: messages may contain their own kind.
        return lambda message: _writer(message.DESCRIPTOR)(message)
    if field.enum_type is not None:
        names = {value.number: value.name for value in field.enum_type.values}
        return lambda number: names.get(number, number)
    if field.type in _WIDE:
        return str
    return (lambda data: base64.b64encode(data).decode()) if field.type == FieldDescriptor.TYPE_BYTES else None


def _is_choice(field: FieldDescriptor) -> bool:
    """Whether the field is in a oneof of several fields; `optional` makes a oneof of one."""
    return field.containing_oneof is not None and len(field.containing_oneof.fields) > 1


def _parsed(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as exc:
        raise InvalidArgument(name, f"{shown(value)} is not JSON: {exc}") from exc
