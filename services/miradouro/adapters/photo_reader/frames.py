"""The frames between the pool and its children: length-prefixed JSON and raw bytes over a socket.

A child that decoded hostile bytes is not trusted. Lengths are checked against the expected size before anything is allocated, and
no answer is unpickled.
"""

import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any

import orjson

MOST_JSON_BYTES = 512 * 2**10  # metadata of maximal size with every character escaped
_HEAD = struct.Struct(">II")  # bytes of JSON, bytes of data
_TIMEVAL = struct.Struct("@ll")  # seconds, microseconds


class BadFrame(Exception):
    """The peer sent an invalid frame, or a larger one than expected."""


def send_frame(
    link: socket.socket,
    message: Mapping[str, object],
    data: bytes | memoryview = b"",
    *,
    remaining_s: Callable[[], float | None] | None = None,
) -> None:
    """Sends one frame, if possible in one system call. Raises OSError, TimeoutError, and the errors of `remaining_s`."""
    text = orjson.dumps(message)
    if remaining_s is not None:
        _limit(link, socket.SO_SNDTIMEO, remaining_s())
    rest = [memoryview(_HEAD.pack(len(text), len(data)) + text), memoryview(data)]
    try:
        while rest:
            sent = link.sendmsg(rest)
            while rest and sent >= len(rest[0]):
                sent -= len(rest.pop(0))
            if rest:
                rest[0] = rest[0][sent:]
    except BlockingIOError as exc:  # SO_SNDTIMEO expired
        raise TimeoutError from exc


def receive_frame(
    link: socket.socket, *, most_bytes: int, remaining_s: Callable[[], float | None] | None = None
) -> tuple[dict[str, Any], bytes | memoryview]:
    """The next frame, with at most `most_bytes` of data. Without `remaining_s` it waits without limit and returns bytes.

    `remaining_s` returns the seconds left, and raises when there are none.
    Raises BadFrame, EOFError (the peer closed the socket), OSError.
    """
    json_bytes, data_bytes = _HEAD.unpack(_receive(link, _HEAD.size, remaining_s))
    if json_bytes > MOST_JSON_BYTES or data_bytes > most_bytes:
        raise BadFrame(f"{json_bytes:,} bytes of JSON and {data_bytes:,} of data; expected at most {most_bytes:,}")
    if remaining_s is None:
        return _object(_receive(link, json_bytes, None)), bytes(
            _receive(link, data_bytes, None)
        )  # `bytes` of bytes copies nothing
    whole = memoryview(_receive(link, json_bytes + data_bytes, remaining_s))
    return _object(whole[:json_bytes]), whole[json_bytes:]


def _object(text: bytes | bytearray | memoryview) -> dict[str, Any]:
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise BadFrame(f"no JSON: {exc}") from exc
    if not isinstance(message, dict):
        raise BadFrame(f"JSON of type {type(message).__name__}; expected an object")
    return message


def _receive(link: socket.socket, size: int, remaining_s: Callable[[], float | None] | None) -> bytes | bytearray:
    """Receives `size` bytes in one system call: each call releases the GIL, which a busy process is slow to give back."""
    if remaining_s is None:
        whole = link.recv(size, socket.MSG_WAITALL)
        if len(whole) < size:
            raise EOFError
        return whole
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        _limit(link, socket.SO_RCVTIMEO, remaining_s())  # `remaining_s` raises when no time is left
        try:
            received = link.recv_into(rest, 0, socket.MSG_WAITALL)
        except BlockingIOError:
            continue
        if not received:
            raise EOFError
        rest = rest[received:]
    return data


def _limit(link: socket.socket, option: int, seconds: float | None) -> None:
    """Sets the kernel's timeout of a call; None for no limit. Python's own timeouts cost an additional system call each."""
    microseconds = 0 if seconds is None else max(1, int(seconds * 1e6))
    link.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL.pack(*divmod(microseconds, 1_000_000)))
