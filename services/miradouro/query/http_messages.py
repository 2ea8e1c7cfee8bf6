"""Messages over HTTP: the canonical JSON of protobuf, and query parameters for the fields that are no messages."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from miradouro.core.errors import InvalidArgument

M = TypeVar("M", bound=Message)
_BOOLEANS = {"true": True, "false": False}


def from_json(kind: type[M], data: bytes) -> M:
    """The message that a JSON document says. Raises InvalidArgument."""
    if data.lstrip()[:1] != b"{":  # the parser would take [], 0 and null for an empty message
        raise InvalidArgument("body", f"it is no JSON object; send that of a {kind.DESCRIPTOR.name}")
    try:
        return json_format.Parse(data, kind())
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidArgument("body", f"it is not the JSON of a {kind.DESCRIPTOR.name}: {exc}") from exc


def from_parameters(kind: type[M], parameters: Iterable[tuple[str, str]], *, but: Iterable[str] = ()) -> M:
    """The message whose plain fields the query parameters give, named as in the proto or as in JSON; filters are JSON each.

    `but` names fields that can't be given so. Raises InvalidArgument naming the parameter.
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
        raise InvalidArgument("query", f"the parameters are not those of a {kind.DESCRIPTOR.name}: {exc}") from exc


def parameter_fields(kind: type[Message], *, but: Iterable[str] = ()) -> list[FieldDescriptor]:
    """The fields of a message that query parameters can give: those outside of a choice, and not named in `but`."""
    left_out = set(but)
    fields: Any = kind.DESCRIPTOR.fields  # the stubs know two classes of them
    return [field for field in fields if field.name not in left_out and not _is_choice(field)]


def to_json(message: Message) -> bytes:
    """The canonical JSON; fields without presence are written even where they are 0, false or empty."""
    said: Mapping[str, Any] = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def _is_choice(field: FieldDescriptor) -> bool:
    """Whether the field is one of several; the `oneof` that `optional` makes is of one field alone."""
    return field.containing_oneof is not None and len(field.containing_oneof.fields) > 1


def _parsed(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as exc:
        raise InvalidArgument(name, f"{value[:80]!r} is not JSON: {exc}") from exc
