"""Pictures in other colour spaces than sRGB: their samples by formulas, and the profiles and chunks that say so."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from miradouro.core.colour.icc import Primaries, power_curve, profile_of, srgb_curve
from PIL import Image

Curve = Callable[[np.ndarray], np.ndarray]


def srgb_encoded(light: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1."""
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def srgb_light(samples: np.ndarray) -> np.ndarray:
    return np.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def power(exponent: float) -> Curve:
    return lambda light: np.clip(light, 0, 1) ** (1 / exponent)


@dataclass(frozen=True)
class Space:
    """A colour space: its chromaticities, how it encodes light, and the tag of an ICC profile that decodes it."""

    primaries: Primaries
    encoded: Curve
    curve: bytes

    @property
    def profile(self) -> bytes:
        found = profile_of(self.primaries, self.curve)
        assert found is not None
        return found

    def samples(self, rgb: np.ndarray) -> np.ndarray:
        """The colours of uint8 sRGB [height, width, 3] in this space, uint8, rounded once."""
        light = (
            srgb_light(rgb / 255)
            @ (np.linalg.inv(_to_xyz(self.primaries)) @ _adapted(self.primaries) @ _to_xyz(SRGB.primaries)).T
        )
        return np.round(self.encoded(light) * 255).astype(np.uint8)


_D65, _D50 = (0.3127, 0.3290), (0.3457, 0.3585)
_P3_PRIMARIES = Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65)
SRGB = Space(Primaries((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65), srgb_encoded, srgb_curve())
DISPLAY_P3 = Space(_P3_PRIMARIES, srgb_encoded, srgb_curve())
LINEAR_P3 = Space(_P3_PRIMARIES, power(1), power_curve(1))
ADOBE_RGB = Space(Primaries((0.640, 0.330), (0.210, 0.710), (0.150, 0.060), _D65), power(2.2), power_curve(2.2))
PROPHOTO = Space(Primaries((0.734699, 0.265301), (0.159597, 0.840403), (0.036598, 0.000105), _D50), power(1.8), power_curve(1.8))
DARK_SRGB = Space(SRGB.primaries, power(1.4), power_curve(1.4))  # sRGB's primaries, another curve


def png_with(pixels: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of uint8 [height, width(, channels)] with these chunks behind its header."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    data = out.getvalue()
    added = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return data[:33] + added + data[33:]


def iccp(profile: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"photo\0\0" + zlib.compress(profile)


def cicp(primaries: int, transfer: int, matrix: int = 0, full_range: int = 1) -> tuple[bytes, bytes]:
    return b"cICP", bytes((primaries, transfer, matrix, full_range))


def gama(gamma: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(gamma * 100_000))


def chrm(primaries: Primaries) -> tuple[bytes, bytes]:
    points = (primaries.white, primaries.red, primaries.green, primaries.blue)
    return b"cHRM", struct.pack(">8I", *(round(number * 100_000) for point in points for number in point))


def jpeg_with(jpeg: bytes, *segments: bytes) -> bytes:
    """A JPEG with these contents as APP2 segments."""
    return jpeg[:2] + b"".join(b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body for body in segments) + jpeg[2:]


def icc_parts(profile: bytes, *, size: int = 65_519) -> list[bytes]:
    """The contents of a JPEG's segments that hold a profile."""
    parts = [profile[start : start + size] for start in range(0, len(profile), size)]
    return [b"ICC_PROFILE\0" + bytes((number, len(parts))) + part for number, part in enumerate(parts, 1)]


def grey_profile(curve: bytes) -> bytes:
    """A profile of grey."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", 4, {b"kTRC": curve})


def ink_profile(lab_of_corner: Callable[[tuple[int, ...]], tuple[float, float, float]], *, grid: int = 2) -> bytes:
    """A profile of CMYK by a table of `grid` steps an ink; Lab at each corner, given as steps of the four inks."""
    nodes = []
    for corner in np.ndindex((grid,) * 4):
        lightness, a, b = lab_of_corner(corner)
        nodes += [round(lightness * 652.8), round((a + 128) * 256), round((b + 128) * 256)]
    ramp = struct.pack(">2H", 0, 65_535)
    head = struct.pack(">4s4xBBBx9iHH", b"mft2", 4, 3, grid, 65_536, 0, 0, 0, 65_536, 0, 0, 0, 65_536, 2, 2)
    table = np.clip(nodes, 0, 65_535).astype(">u2").tobytes()
    return _profile(b"prtr", b"CMYK", b"Lab ", 2, {b"A2B0": head + ramp * 4 + table + ramp * 3})


def _profile(kind: bytes, colours: bytes, connection: bytes, version: int, tags: dict[bytes, bytes]) -> bytes:
    header = struct.pack(">4x4xI4s4s4s12x4s", version << 24, kind, colours, connection, b"acsp").ljust(128, b"\0")
    start, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content.ljust(-(-len(content) // 4) * 4, b"\0")
    return struct.pack(">I", start + len(body)) + header[4:] + table + body


def _to_xyz(primaries: Primaries) -> np.ndarray:
    columns = np.array([_xyz(point) for point in (primaries.red, primaries.green, primaries.blue)]).T
    scaled: np.ndarray = columns * np.linalg.solve(columns, _xyz(primaries.white))
    return scaled


def _xyz(point: tuple[float, float]) -> np.ndarray:
    x, y = point
    return np.array([x / y, 1, (1 - x - y) / y])


def _adapted(primaries: Primaries) -> np.ndarray:
    """From D65 to the white of the primaries (Bradford, by its published matrix)."""
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    gains = (bradford @ _xyz(primaries.white)) / (bradford @ _xyz(_D65))
    matrix: np.ndarray = np.linalg.inv(bradford) @ np.diag(gains) @ bradford
    return matrix
