"""Fits decoded pixels into the geometries of networks: cut, shrunk in strips, laid on white, resampled."""

import math
from collections.abc import Iterable

import numpy as np
from PIL import Image

from miradouro.core.colour.conversion import Conversion
from miradouro.core.region import Box
from miradouro.core.spaces import Fit, Geometry, Resample

STRIP_ROWS = 256

_FILTERS = {Resample.BILINEAR: Image.Resampling.BILINEAR, Resample.BICUBIC: Image.Resampling.BICUBIC}


def source_box(geometry: Geometry, width: float, height: float) -> tuple[float, float, float, float]:
    """The part of a `width` x `height` picture that a geometry shows: left, top, right, bottom in pixels, fractions allowed.

    Resampling this box straight to the tensor's size is resizing the short side and cropping the centre, in one pass.
    """
    if geometry.fit is Fit.SQUASH:
        return 0.0, 0.0, float(width), float(height)
    scale = min(width, height) / geometry.short_side
    shown_width, shown_height = geometry.width * scale, geometry.height * scale
    left, top = (width - shown_width) / 2, (height - shown_height) / 2
    return max(left, 0.0), max(top, 0.0), min(left + shown_width, float(width)), min(top + shown_height, float(height))


def shrink_factor(box: Box, geometries: Iterable[Geometry]) -> int:
    """How many times the photo may be shrunk beforehand so that `box` keeps twice the pixels that every geometry needs."""
    width, height = box[2] - box[0], box[3] - box[1]
    factors = []
    for geometry in geometries:
        left, top, right, bottom = source_box(geometry, width, height)
        factors += [(right - left) / (2 * geometry.width), (bottom - top) / (2 * geometry.height)]
    return max(1, int(min(factors, default=1)))


def scaled(box: Box, scale: int, size: tuple[int, int]) -> Box:
    """`box` in a version of the photo that is `scale` times smaller, of `size`: to the nearest pixel, at least one pixel."""
    left, top = min(round(box[0] / scale), size[0] - 1), min(round(box[1] / scale), size[1] - 1)
    right, bottom = min(math.ceil(box[2] / scale), size[0]), min(math.ceil(box[3] / scale), size[1])
    return left, top, max(right, left + 1), max(bottom, top + 1)


def fit(
    image: Image.Image,
    box: Box,
    geometries: Iterable[Geometry],
    *,
    scale: int,
    factor: int,
    to_srgb: Conversion | None = None,
) -> list[Image.Image]:
    """`box` of the photo in every geometry, RGB, in the stored orientation.

    `image` is the photo, `scale` times smaller. It is shrunk by `factor`, then converted `to_srgb`, then resampled. Converting
    comes after shrinking, because on the whole photo it takes longer than all other steps. It comes before resampling, because
    a resampled photo would lose levels by it.
    """
    cut = scaled(box, scale, image.size)
    part = _shrink_in_strips(image, cut, factor, to_srgb) if factor > 1 else _srgb(_cut(image, cut), to_srgb)
    # The last column and row of a scaled photo may cover less than a whole pixel.
    extent = (min((box[2] - box[0]) / (scale * factor), part.width), min((box[3] - box[1]) / (scale * factor), part.height))
    return [_resample(part, extent, geometry) for geometry in geometries]


def _cut(image: Image.Image, box: Box) -> Image.Image:
    if box == (0, 0, *image.size):
        return image
    # Not Image.crop: above Pillow's own limit it warns of a decompression bomb, and DecodeLimits has accepted this photo.
    return image.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.NEAREST, box=box)


def _shrink_in_strips(image: Image.Image, box: Box, factor: int, to_srgb: Conversion | None) -> Image.Image:
    """`box` averaged over squares of `factor` pixels, RGB on white. It works in strips, to hold no second full-size picture."""
    left, top, right, bottom = box
    shrunk = Image.new("RGB", (-(-(right - left) // factor), -(-(bottom - top) // factor)))
    rows = max(1, STRIP_ROWS // factor) * factor
    for start in range(top, bottom, rows):
        strip = _cut(image, (left, start, right, min(start + rows, bottom)))
        shrunk.paste(_on_white(_srgb(strip, to_srgb, factor)), (0, (start - top) // factor))
    return shrunk


def _srgb(image: Image.Image, to_srgb: Conversion | None, factor: int = 1) -> Image.Image:
    """The picture, `factor` times smaller, in sRGB: L, RGB, LA or RGBA."""
    is_inked = to_srgb is not None and to_srgb.channels == image.mode == "CMYK"
    plain = image if is_inked else _plain(image)
    shrunk = plain.reduce(factor) if factor > 1 else plain
    return to_srgb(shrunk) if to_srgb else shrunk


def _plain(image: Image.Image) -> Image.Image:
    """The picture in a mode that can be resampled: L, RGB, LA or RGBA."""
    if image.mode.startswith("I"):
        return _plain_from_16_bits(image)
    if image.has_transparency_data:
        return image if image.mode in {"LA", "RGBA"} else image.convert("RGBA")
    if image.mode in {"L", "RGB"}:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _plain_from_16_bits(image: Image.Image) -> Image.Image:
    """A grey picture of 16 bits as L, or as LA where one level is transparent. It works in strips: samples take 4 bytes here."""
    transparent = image.info.get("transparency")
    plain = Image.new("L" if transparent is None else "LA", image.size)
    for top in range(0, image.height, STRIP_ROWS):
        strip = _cut(image, (0, top, image.width, min(top + STRIP_ROWS, image.height)))
        samples = np.asarray(strip).astype(np.uint32)
        grey = Image.fromarray(((np.minimum(samples, 65_535) * 255 + 32_767) // 65_535).astype(np.uint8))
        if transparent is not None:
            opaque = Image.fromarray(np.where(samples == transparent, 0, 255).astype(np.uint8))
            grey = Image.merge("LA", (grey, opaque))
        plain.paste(grey, (0, top))
    return plain


def _resample(image: Image.Image, extent: tuple[float, float], geometry: Geometry) -> Image.Image:
    """The first `extent` (width, height in pixels, fractions allowed) of `image` in a geometry, RGB."""
    size = (geometry.width, geometry.height)
    box = source_box(geometry, *extent)
    return _on_white(image.resize(size, _FILTERS[geometry.resample], box=box))


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode in {"LA", "RGBA"}:
        white = Image.new("RGBA", image.size, "white")
        white.alpha_composite(image.convert("RGBA"))
        return white.convert("RGB")
    return image.convert("RGB")
