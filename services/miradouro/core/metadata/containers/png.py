"""PNG (third edition, chapter 11): metadata is in chunks of its own and in text chunks, which are often compressed."""

import binascii
import re
import string
import zlib
from collections.abc import Iterator
from dataclasses import replace

from miradouro.core.metadata.bounds import MAX_EXIF_BYTES, MAX_IPTC_BYTES, MAX_PARTS, MAX_TEXT_BYTES, MAX_XMP_BYTES
from miradouro.core.metadata.containers.blocks import Blocks, bare_exif
from miradouro.core.metadata.containers.photoshop import iptc_resource
from miradouro.core.metadata.texts import decode_text

_XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_MAX_KEYWORD_BYTES = 79
_TEXT_CHUNKS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_TEXTS = frozenset({"title", "description", "comment", "creation time", "creationtime"})  # the last is a common misspelling
_XMP = "xml:com.adobe.xmp"
_PROFILE = "raw profile type "
_PROFILE_BOUNDS = {
    "exif": MAX_EXIF_BYTES,
    "app1": MAX_EXIF_BYTES,
    "iptc": MAX_IPTC_BYTES,
    "8bim": MAX_IPTC_BYTES,
    "xmp": MAX_XMP_BYTES,
}
_PROFILE_HEADER = re.compile(rb"\s*[^\n]{1,80}\n\s*\d+\s")
_DIGITS = bytes(byte if chr(byte) in string.hexdigits else ord("0") for byte in range(256))  # a damaged digit reads as 0


def png_blocks(data: bytes) -> Blocks:
    """The metadata blocks of a PNG, at any position; of a truncated one, those before the cut.

    Each keyword is read once, to bound the work for many compressed chunks.
    """
    blocks = Blocks()
    exif = xmp = b""  # from dedicated chunks, which take precedence over profiles
    texts: dict[str, str] = {}
    unread: list[str] = []
    seen: set[str] = set()
    for kind, start, end in _chunks(data):
        if kind == b"eXIf":
            exif = exif or bare_exif(data, start, end)
        elif kind == b"tIME" and end - start == 7:
            texts["time"] = "{}-{:02}-{:02}T{:02}:{:02}:{:02}Z".format(
                int.from_bytes(data[start : start + 2], "big"), *data[start + 2 : end]
            )
        elif kind in _TEXT_CHUNKS:
            keyword_bytes = data[start : start + _MAX_KEYWORD_BYTES + 1].partition(b"\0")[0]
            keyword = keyword_bytes.decode("latin-1").lower()
            start += len(keyword_bytes) + 1
            part, most = _wanted(keyword)
            if not most or keyword in seen:
                continue
            seen.add(keyword)
            try:
                text = _text(kind, data, start, end, most + 1)
                if len(text) > most:
                    unread.append(part)
                if keyword in _TEXTS:
                    texts[keyword] = decode_text(text[:most])
                elif keyword == _XMP:
                    xmp = text[:most]
                else:
                    blocks = _with_profile(blocks, part, text[:most])
            except (zlib.error, ValueError):
                unread.append(part)
    return replace(blocks, exif=exif or blocks.exif, xmp=xmp or blocks.xmp, texts=texts, unread=tuple(unread))


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of every chunk."""
    at = 8
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            return
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], at + 8, min(at + 8 + size, len(data))
        at += 12 + size


def _wanted(keyword: str) -> tuple[str, int]:
    """The name of the part that a keyword's text belongs to, and how many bytes of it are read; 0 for an unused keyword."""
    if keyword in _TEXTS:
        return f"png.{keyword}", MAX_TEXT_BYTES
    if keyword == _XMP:
        return "xmp", MAX_XMP_BYTES
    if keyword.startswith(_PROFILE):
        name = keyword.removeprefix(_PROFILE)
        # The profile's name, its length and two hexadecimal digits a byte, with line feeds in between.
        return name, 2 * _PROFILE_BOUNDS[name] + _PROFILE_BOUNDS[name] // 16 if name in _PROFILE_BOUNDS else 0
    return "", 0


def _text(kind: bytes, data: bytes, start: int, end: int, most: int) -> bytes:
    """The text of a chunk after its keyword, at most `most` bytes. Raises zlib.error and ValueError."""
    compressed = kind == b"zTXt"
    if kind == b"zTXt":  # skips the method
        start += 1
    elif kind == b"iTXt":  # skips a flag, a method, a language and a translated keyword
        compressed = data[start : start + 1] == b"\1"
        start += 2
        for _ in range(2):
            start = data.index(b"\0", start, end) + 1
    if not compressed:
        return data[start : min(end, start + most)]
    # The compressed bytes are cut too: deflate never needs more than this for `most` bytes.
    return zlib.decompressobj().decompress(data[start : min(end, start + most + most // 8 + 1_024)], most)


def _with_profile(blocks: Blocks, name: str, text: bytes) -> Blocks:
    """`blocks` with the content of a raw profile, unless they have that block already. Raises ValueError."""
    header = _PROFILE_HEADER.match(text)
    if header is None:
        raise ValueError("a raw profile begins with its name and its length")
    digits = text[header.end() :].translate(_DIGITS, b" \t\r\n")
    raw = binascii.unhexlify(digits[: len(digits) // 2 * 2])
    if name == "xmp" or raw.startswith(_XMP_SEGMENT):
        return replace(blocks, xmp=blocks.xmp or raw.removeprefix(_XMP_SEGMENT))
    if name in {"iptc", "8bim"}:
        return replace(blocks, iptc=blocks.iptc or iptc_resource(raw) or (raw if raw[:1] == b"\x1c" else b""))
    return replace(blocks, exif=blocks.exif or bare_exif(raw))
