"""Memory that decoding a photo takes, estimated from its header before a pixel is decoded.

Measured peaks lie below the estimates (tests/unit/test_decode_memory.py). Pillow holds L, P and 1 in one byte a pixel, 16 bits
in two, and every other mode, LA and RGB included, in four.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from miradouro.core.fit import STRIP_ROWS, source_box
from miradouro.core.region import Box
from miradouro.core.spaces import Geometry

# A pixel of a strip: cut, plain, premultiplied, shrunk, on white; for 16 bits also as numbers of 4 bytes and their products.
_STRIP_PIXEL_BYTES = 32
_CONVERTED_PIXEL_BYTES = 13  # without alpha, in sRGB, alpha alone, and both together
_ROW_PIXEL_BYTES = (
    16 * 4 * 4
)  # 16 rows of 4 components in up to 4 stages: what codecs hold of a row of blocks, and resampling's weights
_FIXED_BYTES = 4 * 2**20  # tables, small pictures, what the allocator keeps


@dataclass(frozen=True)
class PixelCost:
    """Bytes a pixel: `decoded` as decoded, `plain` in the mode that is resampled.

    `is_converted`: the latter is a second picture. `has_alpha`: the photo has transparency.
    """

    decoded: int
    plain: int
    is_converted: bool
    has_alpha: bool


def fitting_bytes(
    size: tuple[int, int], cut: Box, geometries: Iterable[Geometry], factor: int, cost: PixelCost, *, converts: bool
) -> int:
    """Peak bytes after decoding a picture of `size`: the picture, its copies and the geometries.

    `converts`: its colours are converted to sRGB.
    """
    width, height = size
    cut_width, cut_height = cut[2] - cut[0], cut[3] - cut[1]
    area = cut_width * cut_height
    peak = width * height * cost.decoded + min(cut_height, STRIP_ROWS) * cut_width * _STRIP_PIXEL_BYTES
    if factor > 1:
        cut_width, cut_height = -(-cut_width // factor), -(-cut_height // factor)
        peak += cut_width * cut_height * 4
    else:
        is_whole = area == width * height
        peak += area * (cost.decoded * (not is_whole) + cost.plain * (cost.is_converted + cost.has_alpha))
        peak += area * _CONVERTED_PIXEL_BYTES * converts
    rows, results = [0], 0
    for geometry in geometries:
        _, top, _, bottom = source_box(geometry, cut_width, cut_height)
        rows.append(geometry.width * min(cut_height, int(bottom - top) + 8) * 4)
        results += geometry.width * geometry.height * 12
    return peak + max(rows) + results


def fixed_bytes(width: int, encoded_bytes: int) -> int:
    """Bytes that every photo takes: a copy of its data, some rows, and a constant part."""
    return encoded_bytes + width * _ROW_PIXEL_BYTES + _FIXED_BYTES
