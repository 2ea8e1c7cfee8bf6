"""PNG files (PNG third edition, section 5): the content of the chunks, and a copy without metadata."""

import struct
import zlib
from dataclasses import dataclass

from miradouro.core.colour.png_chunks import COLOUR_CHUNKS, profiles_of_chunks
from miradouro.core.errors import BadPhoto

MAX_CHUNKS = 100_000  # a file of 32 MiB in IDAT chunks of 336 bytes

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\0\0\0\0IEND\xaeB`\x82"
_TRUNCATED = "the header of the PNG data is damaged ({}); upload it again"


@dataclass(frozen=True)
class PngFile:
    """A PNG before its pixels are decoded.

    `is_transparent`: a chunk names transparent colours. `data` holds header, palette, transparency and pixels. The other chunks
    are left out, because a decoder could fail on them; browsers skip damaged ones too. `is_cut`: the last chunk of pixels is
    incomplete. `profiles` are the colour profiles of the chunks, the most trusted first.
    """

    width: int
    height: int
    bits: int
    colour_type: int
    is_transparent: bool
    is_cut: bool
    exif: bytes
    profiles: tuple[bytes, ...]
    data: bytes


def read_png(data: bytes) -> PngFile:
    """The chunks of `data`; the end marker is supplied. Raises BadPhoto (truncated; too_expensive: too many chunks)."""
    header = data[8:33]
    if len(header) < 25 or header[4:8] != b"IHDR":
        raise BadPhoto("truncated", _TRUNCATED.format(f"{len(data):,} bytes without a whole IHDR"))
    width, height, bits, colour_type = struct.unpack_from(">IIBB", header, 8)
    palette = transparency = exif = b""
    colours: dict[bytes, bytes] = {}
    pixels: list[memoryview] = []
    view = memoryview(data)
    is_cut = False
    at = 33
    for _ in range(MAX_CHUNKS):
        kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        if kind == b"IDAT":
            pixels.append(view[at + 8 : end - 4])
            is_cut = end - 4 > len(data)
        elif kind == b"PLTE" and not palette:
            palette = data[at:end]
        elif kind == b"tRNS" and not transparency and _is_whole(data, at, end) and _fits(end - at - 12, colour_type):
            transparency = data[at:end]
        elif kind == b"eXIf" and not exif and _is_whole(data, at, end):
            exif = data[at + 8 : end - 4]
        elif kind in COLOUR_CHUNKS and kind not in colours and not pixels and _is_whole(data, at, end):
            colours[kind] = data[at + 8 : end - 4]
        at = end
        if kind == b"IEND" or not kind.isalpha() or at >= len(data):
            break
    else:
        raise BadPhoto("too_expensive", f"the PNG has more than {MAX_CHUNKS:,} chunks; save it again")
    size, checksum = sum(map(len, pixels)), zlib.crc32(b"IDAT")
    for part in pixels:
        checksum = zlib.crc32(part, checksum)
    length = struct.pack(">I", size)
    picture = b"".join((_SIGNATURE, header, palette, transparency, length, b"IDAT", *pixels, struct.pack(">I", checksum), _END))
    profiles = profiles_of_chunks(colours)
    return PngFile(width, height, bits, colour_type, bool(transparency), is_cut or not size, exif, profiles, picture)


def _is_whole(data: bytes, at: int, end: int) -> bool:
    return end <= len(data) and zlib.crc32(memoryview(data)[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")


def _fits(size: int, colour_type: int) -> bool:
    """Whether a tRNS chunk has a size that its colour type allows."""
    return {0: size == 2, 2: size == 6, 3: 1 <= size <= 256}.get(colour_type, False)
