"""ICC profiles (ICC.1:2022): usable ones cut to the needed tags, and profiles made of primaries and a curve."""

import struct
from dataclasses import dataclass

import numpy as np

MAX_PROFILE_BYTES = 4 * 2**20  # profiles of printers, the largest, have 2 MiB at most
SRGB = b""  # in place of a profile: the file names sRGB

_HEADER_BYTES, _ENTRY_BYTES = 128, 12
_MAX_TAGS = 128
_CLASSES = frozenset({b"mntr", b"scnr", b"prtr", b"spac"})
_CHANNELS = {b"GRAY": "L", b"RGB ": "RGB", b"CMYK": "CMYK"}
_CONNECTIONS = frozenset({b"XYZ ", b"Lab "})
_MAX_MAJOR_VERSION = 4
# The tags of the transform from a device's colours to the profile connection space. Others are left out: texts, the inverse
# transform, and multiProcessElements, which may take unbounded time.
_TAGS = frozenset({b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC", b"A2B0"})
_D50 = np.array([0.9642, 1.0, 0.8249])
# Bradford's cone responses (ICC.1:2022, annex E).
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

Point = tuple[float, float]


@dataclass(frozen=True)
class Profile:
    """A profile as littleCMS gets it. `channels` is L, RGB or CMYK."""

    channels: str
    data: bytes


@dataclass(frozen=True)
class Primaries:
    """Chromaticities x, y (CIE 1931) of red, green, blue and white."""

    red: Point
    green: Point
    blue: Point
    white: Point


def usable(profile: bytes) -> Profile | None:
    """`profile` with only the tags that a conversion needs; None when it can't be the profile of a photo.

    Such a profile is damaged, too large, of another class than display, scanner, printer and colour space, or of other colours
    than grey, RGB and CMYK.
    """
    header = profile[:_HEADER_BYTES]
    if not _HEADER_BYTES + 4 <= len(profile) <= MAX_PROFILE_BYTES or header[36:40] != b"acsp":
        return None
    channels = _CHANNELS.get(header[16:20])
    if channels is None or header[12:16] not in _CLASSES or header[20:24] not in _CONNECTIONS or header[8] > _MAX_MAJOR_VERSION:
        return None
    (count,) = struct.unpack_from(">I", profile, _HEADER_BYTES)
    if count > _MAX_TAGS or _HEADER_BYTES + 4 + count * _ENTRY_BYTES > len(profile):
        return None
    tags: dict[bytes, bytes] = {}
    for at in range(_HEADER_BYTES + 4, _HEADER_BYTES + 4 + count * _ENTRY_BYTES, _ENTRY_BYTES):
        name, start, size = struct.unpack_from(">4sII", profile, at)
        if name in _TAGS:
            if start + size > len(profile):
                return None
            tags.setdefault(name, profile[start : start + size])
    return Profile(channels, _assembled(header, tags)) if tags else None


def profile_of(primaries: Primaries, curve: bytes) -> bytes | None:
    """An RGB profile; `curve`, a tag's content, decodes each channel. None for primaries that span no colours."""
    columns = _adapted_columns(primaries)
    if columns is None:
        return None
    tags: dict[bytes, bytes] = {}
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True):
        tags[name] = struct.pack(">4s4x3i", b"XYZ ", *(round(value * 65_536) for value in column))
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    header = struct.pack(">4x4xI4s4s4s12x4s", 4 << 24, b"mntr", b"RGB ", b"XYZ ", b"acsp").ljust(68, b"\0")
    header += struct.pack(">3i", *(round(value * 65_536) for value in _D50))
    return _assembled(header.ljust(_HEADER_BYTES, b"\0"), tags)


def power_curve(exponent: float) -> bytes:
    """The curve value ** exponent."""
    return struct.pack(">4s4xHxxi", b"para", 0, round(exponent * 65_536))


def srgb_curve() -> bytes:
    """The curve of IEC 61966-2-1."""
    numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return struct.pack(">4s4xHxx5i", b"para", 3, *(round(number * 65_536) for number in numbers))


def sampled_curve(values: np.ndarray) -> bytes:
    """The curve through `values`, float [count], 0 to 1, at equal steps."""
    samples = np.round(np.clip(values, 0, 1) * 65_535).astype(">u2")
    return b"".join((struct.pack(">4s4xI", b"curv", len(samples)), samples.tobytes()))


def _assembled(header: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, body = [struct.pack(">I", len(tags))], b""
    start = _HEADER_BYTES + 4 + len(tags) * _ENTRY_BYTES
    offsets: dict[bytes, int] = {}  # equal contents are written once
    for name, content in tags.items():
        if content not in offsets:
            offsets[content] = start + len(body)
            body += content.ljust(-(-len(content) // 4) * 4, b"\0")
        table.append(struct.pack(">4sII", name, offsets[content], len(content)))
    size = struct.pack(">I", start + len(body))
    return b"".join((size, header[4:], *table, body))


def _adapted_columns(primaries: Primaries) -> np.ndarray | None:
    """XYZ of the three primaries as columns, adapted to D50; None when they or the white are no valid colours."""
    points = (primaries.red, primaries.green, primaries.blue, primaries.white)
    if any(not (-1 <= x <= 2 and 0 < y <= 2) for x, y in points):
        return None
    red, green, blue, white = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in points)
    columns = np.column_stack((red, green, blue))
    if abs(np.linalg.det(columns)) < 1e-6:
        return None
    columns = columns * np.linalg.solve(columns, white)
    cones = _BRADFORD @ white
    if np.abs(cones).min() < 1e-6:
        return None
    adapted: np.ndarray = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / cones) @ _BRADFORD @ columns
    return adapted if np.abs(adapted).max() < 4 else None
