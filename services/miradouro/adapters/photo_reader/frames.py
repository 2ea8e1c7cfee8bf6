"""The frames that the pool and its children exchange over a socket: JSON and raw bytes, each with its length before it.

A child that decoded hostile bytes is not trusted: lengths are compared with what is expected before anything is allocated, and
nothing that it sends is ever unpickled.
"""

import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any

import orjson

MOST_JSON_BYTES = 512 * 2**10  # metadata at its limits, every character escaped
_HEAD = struct.Struct(">II")  # bytes of JSON, bytes of data


class BadFrame(Exception):
    """The other end sent what is no frame, or more than is expected."""


def send_frame(link: socket.socket, message: Mapping[str, object], data: bytes | memoryview = b"") -> None:
    """Sends one frame. Raises OSError, TimeoutError."""
    text = orjson.dumps(message)
    link.sendall(_HEAD.pack(len(text), len(data)) + text)
    if data:
        link.sendall(data)


def receive_frame(
    link: socket.socket, *, most_bytes: int, remaining_s: Callable[[], float | None] | None = None
) -> tuple[dict[str, Any], bytes | bytearray]:
    """The next frame, with at most `most_bytes` of data, as bytes where `remaining_s` is None: then there is no limit of time.

    `remaining_s` gives the seconds left, and raises when there are none.
    Raises BadFrame, EOFError (the other end closed), TimeoutError, OSError.
    """
    json_bytes, data_bytes = _HEAD.unpack(_receive(link, _HEAD.size, remaining_s))
    if json_bytes > MOST_JSON_BYTES or data_bytes > most_bytes:
        raise BadFrame(f"{json_bytes:,} bytes of JSON and {data_bytes:,} of data; expected at most {most_bytes:,}")
    text = _receive(link, json_bytes, remaining_s)
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise BadFrame(f"no JSON: {exc}") from exc
    if not isinstance(message, dict):
        raise BadFrame(f"JSON of type {type(message).__name__}; expected an object")
    return message, _receive(link, data_bytes, remaining_s)


def _receive(link: socket.socket, size: int, remaining_s: Callable[[], float | None] | None) -> bytes | bytearray:
    if remaining_s is None:
        whole = link.recv(size, socket.MSG_WAITALL)  # in one turn, and without a copy
        if len(whole) < size:
            raise EOFError
        return whole
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        link.settimeout(remaining_s())  # which raises when there is no time left
        try:
            received = link.recv_into(rest)
        except TimeoutError:
            continue
        if not received:
            raise EOFError
        rest = rest[received:]
    return data
