"""Photos that cost far more than their bytes: small files, made here, that attack a decoder's time or memory."""

import itertools
import struct
import zlib
from collections.abc import Iterable

from tests.pictures import jpeg

_SOI, _EOI = b"\xff\xd8", b"\xff\xd9"
_LONGEST_RUN = 32_767  # blocks for which one code of a progressive scan encodes "end of band"


def segment(marker: int, body: bytes) -> bytes:
    """A JPEG segment: marker, length, content."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def progressive_bomb(scans: int, width: int, height: int) -> bytes:
    """A grey progressive JPEG with `scans` scans: one of DC, the others empty: each is "end of band" for all blocks.

    A scan takes about 15 bytes and two bits more for every 4,096 blocks; a decoder visits every block in each of them.
    """
    blocks = -(-width // 8) * -(-height // 8)
    one_code = bytes([1, *[0] * 15])  # a Huffman table of one symbol, whose code is the bit 0
    header = (
        segment(0xDB, bytes([0, *[1] * 64]))
        + segment(0xC2, struct.pack(">BHHB", 8, height, width, 1) + bytes([1, 0x11, 0]))
        + segment(0xC4, b"\x00" + one_code + b"\x00")  # DC: no difference
        + segment(0xC4, b"\x10" + one_code + b"\xe0")  # AC: end of band, 14 bits of run length follow
    )
    dc_scan = segment(0xDA, bytes([1, 1, 0x00, 0, 0, 0])) + bytes(-(-blocks // 8))
    runs = -(-blocks // _LONGEST_RUN)
    bits = (f"0{'1' * 14}" * runs).ljust(-(-runs * 15 // 8) * 8, "1")
    coded = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    ac_scan = segment(0xDA, bytes([1, 1, 0x00, 1, 63, 0])) + coded
    return _SOI + header + dc_scan + ac_scan * (scans - 1) + _EOI


def jpeg_of_segments(count: int, *, marker: int = 0xFE) -> bytes:
    """A small JPEG with `count` empty segments, of 4 bytes each, before its picture: comments by default."""
    return _SOI + segment(marker, b"") * count + jpeg(64, 48)[2:]


def jpeg_with_fill(count: int) -> bytes:
    """A small JPEG with `count` fill bytes (0xff) before its first marker."""
    return _SOI + b"\xff" * count + jpeg(64, 48)[2:]


def webp_bomb(width: int = 10_000, height: int = 10_000) -> bytes:
    """A lossless WebP of one colour, at most 16,384 pixels a side: 40 bytes at any size, for its pixels take no bits."""
    one_symbol = "1000"  # a simple prefix code of one symbol, which has one bit: 0
    opaque = "101" + "1" * 8  # the same with the symbol 255, in eight bits
    fields = (f"{width - 1:014b}", f"{height - 1:014b}", "0", "000")  # size, has alpha, version
    bits = "".join(field[::-1] for field in fields)  # the least significant bit of a number goes first
    bits += "000"  # no transform, no colour cache, one group of prefix codes
    bits += one_symbol * 3 + opaque + one_symbol  # green, red, blue, alpha, distance
    body = b"\x2f" + int(bits[::-1], 2).to_bytes(-(-len(bits) // 8), "little")
    body += bytes(len(body) % 2 + 8)  # zeros, which no pixel reads
    return b"RIFF" + struct.pack("<I", len(body) + 12) + b"WEBPVP8L" + struct.pack("<I", len(body)) + body


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of these chunks, kind and content."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(itertools.starmap(png_chunk, chunks))


def flat_png(
    width: int,
    height: int,
    *,
    bits: int = 8,
    colour_type: int = 2,
    before_pixels: Iterable[tuple[bytes, bytes]] = (),
    interlaced: bool = False,
) -> bytes:
    """A black PNG, written row by row: a few bytes for a thousand pixels. `before_pixels` are further chunks."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour_type]
    packed = zlib.compressobj(9)
    parts: list[bytes] = []
    for columns, rows in _passes(width, height) if interlaced else [(width, height)]:
        row_bytes = 1 + -(-columns * channels * bits // 8)
        step = max(1, 2**20 // row_bytes)
        full = bytes(row_bytes * step)
        parts += [packed.compress(full) for _ in range(rows // step)]
        parts.append(packed.compress(bytes(row_bytes * (rows % step))))
    parts.append(packed.flush())
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, int(interlaced))
    return png_of((b"IHDR", header), *before_pixels, (b"IDAT", b"".join(parts)), (b"IEND", b""))


def _passes(width: int, height: int) -> list[tuple[int, int]]:
    """Columns and rows of the seven passes of an interlaced PNG (Adam7)."""
    starts = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    sizes = [(-(-(width - left) // across), -(-(height - top) // down)) for left, top, across, down in starts]
    return [size for size in sizes if min(size) > 0]


def png_bomb_16bit_trns(width: int = 2, height: int = 50_000_000) -> bytes:
    """A grey PNG of 16 bits whose black is transparent: 243 kB at the size above."""
    return flat_png(width, height, bits=16, colour_type=0, before_pixels=[(b"tRNS", b"\0\0")])


def png_of_many_chunks(count: int) -> bytes:
    """A small PNG with `count` empty private chunks, of 12 bytes each, before its pixels."""
    return flat_png(8, 8, before_pixels=[(b"prVt", b"")] * count)
