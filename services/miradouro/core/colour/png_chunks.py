"""The chunks of a PNG that define its colours (PNG third edition, 11.3.2 and 4.3), as ICC profiles."""

import struct
import zlib
from collections.abc import Mapping

from miradouro.core.colour.coding import profile_of_gamma, profile_of_numbers
from miradouro.core.colour.icc import MAX_PROFILE_BYTES, SRGB, Primaries

COLOUR_CHUNKS = frozenset({b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"})


def profiles_of_chunks(chunks: Mapping[bytes, bytes]) -> tuple[bytes, ...]:
    """The profiles of the chunks, name → content: cICP before iCCP before sRGB before gAMA and cHRM.

    A damaged chunk is ignored.
    """
    found = [
        _numbers(chunks.get(b"cICP", b"")),
        _embedded(chunks.get(b"iCCP", b"")),
        SRGB if b"sRGB" in chunks else None,
        _gamma(chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b"")),
    ]
    return tuple(profile for profile in found if profile is not None)


def _numbers(chunk: bytes) -> bytes | None:
    if len(chunk) != 4 or chunk[2:] != b"\0\1":  # RGB, of the full range
        return None
    return profile_of_numbers(chunk[0], chunk[1])


def _embedded(chunk: bytes) -> bytes | None:
    name, _, rest = chunk.partition(b"\0")
    if len(name) > 79 or rest[:1] != b"\0":  # the one method of compression
        return None
    unpacking = zlib.decompressobj()
    try:
        profile = unpacking.decompress(rest[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return profile if profile and unpacking.eof else None


def _gamma(gamma: bytes, chromaticities: bytes) -> bytes | None:
    value = struct.unpack(">I", gamma)[0] / 100_000 if len(gamma) == 4 else None
    primaries = None
    if len(chromaticities) == 32:
        white_x, white_y, *colours = (number / 100_000 for number in struct.unpack(">8I", chromaticities))
        red, green, blue = zip(colours[::2], colours[1::2], strict=True)
        primaries = Primaries(red, green, blue, (white_x, white_y))
    return None if value is None and primaries is None else profile_of_gamma(value, primaries)
