"""The size limit of a request over gRPC and HTTP: MAX_PLAIN_BYTES, not counting its photos.

The bytes are counted before parsing: 33 MB of empty filters would become millions of objects. In a message that may contain
photos (`bytes` fields at any depth) the wire format is walked along the fields that lead to them.
"""

import functools
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from miradouro.core.errors import InvalidArgument

MAX_PLAIN_BYTES = 1024 * 1024
MAX_FIELDS = 65_536  # that are walked: 60 ms
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
_PHOTO = "photo"
_Paths = dict[int, Any]  # number of a field that leads to photos → _PHOTO, or the _Paths of its message


def check_request_size(kind: Any, data: bytes) -> None:
    """Raises InvalidArgument when a serialized message has more than MAX_PLAIN_BYTES beside its photos.

    `kind` is the message's descriptor.
    """
    if len(data) <= MAX_PLAIN_BYTES:
        return
    if not _photo_paths(kind):
        raise InvalidArgument("request", f"{len(data):,} bytes; allowed: at most {MAX_PLAIN_BYTES:,}")
    plain, fields = 0, 0
    pending = [(0, len(data), _photo_paths(kind))]
    while pending:
        at, end, paths = pending.pop()
        while at < end:
            start = at
            tag, at = _varint(data, at, end)
            path = paths.get(tag >> 3) if tag & 7 == _LENGTH else None
            size, at = _size(data, at, end, tag & 7)
            at += size
            if at > end:
                raise InvalidArgument("request", f"the bytes are no {kind.full_name} message")
            plain += at - start - (0 if path is None else size)
            fields += 1
            if plain > MAX_PLAIN_BYTES or fields > MAX_FIELDS:
                raise InvalidArgument(
                    "request",
                    f"beside its photos, more than {MAX_PLAIN_BYTES:,} bytes or {MAX_FIELDS:,} fields; send less at a time",
                )
            if path is not None and path != _PHOTO:
                pending.append((at - size, at, path))


def _size(data: bytes, at: int, end: int, wire_type: int) -> tuple[int, int]:
    """The number of bytes of a field's value, and where it begins."""
    if wire_type == _LENGTH:
        return _varint(data, at, end)
    if wire_type == _VARINT:
        return _varint(data, at, end)[1] - at, at
    # Groups, which no message of ours has: all that follows counts, whatever it is.
    return {_FIXED64: 8, _FIXED32: 4}.get(wire_type, end - at), at


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The number at `at` and where it ends; past `end` when it is cut short or too long."""
    number = 0
    for position in range(at, min(end, at + _MAX_VARINT_BYTES)):
        number |= (data[position] & 0x7F) << 7 * (position - at)
        if data[position] < 0x80:
            return number, position + 1
    return 0, end + 1


@functools.cache
def _photo_paths(kind: Any) -> _Paths:
    """The fields of a message that lead to photos."""
    return _paths_below(kind, frozenset())


def _paths_below(kind: Any, above: frozenset[str]) -> _Paths:
    paths: _Paths = {}
    for field in kind.fields:
        if field.type == FieldDescriptor.TYPE_BYTES:
            paths[field.number] = _PHOTO
        elif field.message_type is not None and field.message_type.full_name not in above:  # a message may hold its own kind
            paths[field.number] = _paths_below(field.message_type, above | {kind.full_name})
    return {number: path for number, path in paths.items() if path}
