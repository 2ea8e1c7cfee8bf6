"""Error texts: bounded, valid Unicode, without the secrets of URIs. An error makes its text once, when it is created."""

from collections.abc import Sized

from miradouro.core.redaction import public_text

MAX_ERROR_BYTES = 1_000  # of UTF-8: an error fits into a log line, a header and a row of a table
_WINDOW_CHARS = 4 * MAX_ERROR_BYTES  # longer than any password: a URI that was cut inside of one is left out
_VALUE_CHARS = 100
_LONGEST_INTEGER_BITS = 256
_ELLIPSIS = "…"


def error_text(message: str) -> str:
    """`message` as the text of an error: at most MAX_ERROR_BYTES, an ellipsis where it was cut, lone surrogates escaped."""
    return cut(public_text(message[:_WINDOW_CHARS]), MAX_ERROR_BYTES, is_cut=len(message) > _WINDOW_CHARS)


def cut(text: str, most_bytes: int, *, is_cut: bool = False) -> str:
    """`text` in at most `most_bytes` of UTF-8, with an ellipsis at the end where it was cut (or `is_cut` already)."""
    encoded = text[: most_bytes + 1].encode("utf-8", "backslashreplace")
    if len(encoded) <= most_bytes and not is_cut:
        return encoded.decode()
    room = most_bytes - len(_ELLIPSIS.encode())
    return encoded[:room].decode("utf-8", "ignore") + _ELLIPSIS


def shown(value: object, *, most: int = _VALUE_CHARS) -> str:
    """An untrusted value for an error text: the `repr` of its first `most` characters; the rest is never formatted.

    A container is described by its kind and length.
    """
    if isinstance(value, str):
        text = public_text(value[:_WINDOW_CHARS])
        return repr(text[:most]) + (_ELLIPSIS if len(text) > most or len(value) > _WINDOW_CHARS else "")
    if isinstance(value, bytes | bytearray | memoryview):
        return repr(bytes(value[:most])) + (_ELLIPSIS if len(value) > most else "")
    if isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER_BITS:
        return f"an integer of {value.bit_length():,} bits"
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    kind = type(value).__name__
    return f"a {kind} of {len(value):,}" if isinstance(value, Sized) else f"a {kind}"
