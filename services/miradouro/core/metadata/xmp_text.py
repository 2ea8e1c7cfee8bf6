"""XMP packets as text: their encoding and their character references."""

import codecs
import re

from miradouro.core.metadata.bounds import MAX_LENIENT_CHARS

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Bytes that are not UTF-8 are decoded by the Windows code page, one by one.
_WINDOWS = {0xDC00 + byte: bytes([byte]).decode("cp1252", "replace") for byte in range(0x80, 0x100)}
_REFERENCE = re.compile(r"&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


def decode_packet(block: bytes) -> str:
    """The text of `block` from its first `<`, empty when it holds none.

    It is UTF-8, UTF-16 or UTF-32, with a byte order mark or without. Invalid UTF-8 is read up to MAX_LENIENT_CHARS.
    """
    encoding = next((encoding for mark, encoding in _BOMS if block.startswith(mark)), "")
    if not encoding:
        at = block.find(b"<")
        if block[at + 1 : at + 2] == b"\0":
            wide = block[at + 1 : at + 4] == bytes(3) or (at >= 3 and block[at - 3 : at] == bytes(3))
            width = 4 if wide else 2
            big = at % width == width - 1 and block[at - width + 1 : at] == bytes(width - 1)
            start = at - width + 1 if big else at
            block, encoding = block[start:], f"utf-{8 * width}-{'be' if big else 'le'}"
    if encoding in {"", "utf-8"}:
        try:
            text = block.decode()
        except UnicodeDecodeError:
            text = block[:MAX_LENIENT_CHARS].decode("utf-8", "surrogateescape").translate(_WINDOWS)
    else:
        text = block.decode(encoding, "replace")
    start = text.find("<")
    return text[start:].rstrip("\0 \t\r\n\ufeff") if start >= 0 else ""


def unescape(text: str) -> str:
    """`text` with the references that XML defines resolved; any other `&` is kept."""
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(found: re.Match[str]) -> str:
    if found[1]:
        return _NAMED[found[1]]
    number = int(found[2]) if found[2] else int(found[3], 16)
    return chr(number) if 0 < number < 0x110000 else ""
