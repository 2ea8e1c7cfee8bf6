"""Encoded photos to the tensors that networks take: the one place where pixels are decoded.

What is done with odd photos:

- JPEG, PNG and WebP are told by their first bytes, never by a name; HEIF needs the extra `heif`; nothing else is opened.
- The header is read and the pixel limit checked before any pixel is decompressed.
- EXIF orientation is applied; a damaged EXIF block counts as none. Colour profiles are not applied.
- Of an animation the first frame counts as the photo.
- Transparent pixels lie on white. 16-bit samples are scaled to 8 bits. CMYK JPEGs are read as Adobe writes them, inverted.
- A photo with a side of one pixel is refused: it shows nothing.
- A JPEG is decoded at 1/2, 1/4 or 1/8 where that leaves twice the pixels that every tensor needs (of the region, if any).
- Memory: before any pixel is decompressed, `reserve` is called with the estimated peak in bytes; photos above LARGE_BYTES are
  shrunk in strips.
"""

import contextlib
import io
import math
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from miradouro.core.embedding import Tensor
from miradouro.core.errors import BadPhoto, InvalidArgument
from miradouro.core.region import SWAPS_AXES, Box, pixel_box, stored_box
from miradouro.core.sniff import Format, sniff, webp_size
from miradouro.core.spaces import Fit, Geometry, Region, Resample

LARGE_BYTES = 64 * 2**20

_FILTERS = {Resample.BILINEAR: Image.Resampling.BILINEAR, Resample.BICUBIC: Image.Resampling.BICUBIC}
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
_STRIP_ROWS = 256
# What Pillow's readers raise on damaged files; programming errors in this module are not among them.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, IndexError, KeyError, OverflowError)


# Called with a number of bytes before they are allocated; the context is held while they are in use.
Reserve = Callable[[int], AbstractContextManager[object]]


@dataclass(frozen=True)
class DecodeLimits:
    """The accepted photos: encoded size in bytes, width x height in pixels, and the shortest side in pixels."""

    max_bytes: int = 32 * 2**20
    max_pixels: int = 100_000_000
    min_side: int = 2


DEFAULT_LIMITS = DecodeLimits()


@dataclass(frozen=True)
class Decoded:
    """A decoded photo: its whole size in pixels after EXIF rotation, its media type by its bytes, one tensor per geometry."""

    width: int
    height: int
    media_type: str
    tensors: Mapping[Geometry, Tensor]


def decode(
    data: bytes,
    geometries: Iterable[Geometry],
    *,
    limits: DecodeLimits = DEFAULT_LIMITS,
    region: Region | None = None,
    reserve: Reserve = nullcontext,
) -> Decoded:
    """Decodes `data` once and fits it, or the `region` of it, into every distinct geometry: uint8 [height, width, 3], RGB.

    `reserve` is called once, with the estimated peak in bytes, before the pixels are allocated; its context is held until they
    are freed.
    Raises BadPhoto (empty, too_many_bytes, not_a_photo, unsupported_format, too_many_pixels, too_small, truncated) and
    InvalidArgument (a box or a geometry that makes no sense). Thread-safe; Pillow's global state is neither read nor changed.
    """
    wanted = tuple(dict.fromkeys(geometries))
    for geometry in wanted:
        _check_geometry(geometry)
    image, media_type = _open(data, limits)
    width, height = image.size
    orientation = _read_orientation(image)
    upright_size = (height, width) if orientation in SWAPS_AXES else (width, height)
    box: Box = (0, 0, width, height)
    if region is not None:
        box = stored_box(pixel_box(region, *upright_size), width, height, orientation)
    stored = [_turned(geometry) if orientation in SWAPS_AXES else geometry for geometry in wanted]
    shrink = _shrink_factor(box, stored)
    tensors = {}
    with reserve(_estimated_peak_bytes(width, height)):
        images = _fit_all(image, box, stored, shrink)
        for geometry, fitted in zip(wanted, images, strict=True):
            upright = fitted.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else fitted
            tensors[geometry] = np.array(upright, dtype=np.uint8)
    return Decoded(*upright_size, media_type, tensors)


def _open(data: bytes, limits: DecodeLimits) -> tuple[ImageFile.ImageFile, str]:
    """The photo with its header read and within the limits, its pixels not yet decompressed; and its media type."""
    if not data:
        raise BadPhoto("empty", "the photo has 0 bytes; upload it again")
    if len(data) > limits.max_bytes:
        raise BadPhoto("too_many_bytes", f"the photo has {len(data):,} bytes; allowed: {limits.max_bytes:,}")
    found = sniff(data)
    if found is None:
        raise BadPhoto("not_a_photo", f"the data begins with {data[:8].hex(' ')}: no picture format; send JPEG, PNG or WebP")
    if found is Format.WEBP and (size := webp_size(data)):
        _check_size(size, limits)  # Pillow makes the canvas when it opens a WebP, so its header is read first
    try:
        image = _READERS[found](data) if found in _READERS else None
    except _DAMAGE as exc:
        raise BadPhoto("truncated", f"the header of the {found.value} data is damaged ({exc}); upload it again") from exc
    if image is None:
        raise BadPhoto("unsupported_format", f"the photo is {found.value}; convert it to JPEG, PNG or WebP")
    _check_size(image.size, limits)
    return image, found.value


def _open_heif(data: bytes) -> ImageFile.ImageFile:
    try:
        from pillow_heif.as_plugin import HeifImageFile
    except ImportError as exc:
        raise BadPhoto(
            "unsupported_format",
            "the photo is image/heic; that needs the extra `heif`: install its reader with `pip install pillow-heif`",
        ) from exc
    image: ImageFile.ImageFile = HeifImageFile(io.BytesIO(data))  # type: ignore[no-untyped-call]  # the package has no types
    return image


# The readers are called by name instead of through Image.open: its size limit and its registry of formats are global,
# and it would take the further pictures in a camera's JPEG for frames.
_READERS = {
    Format.JPEG: lambda data: JpegImagePlugin.JpegImageFile(io.BytesIO(data)),
    Format.PNG: lambda data: PngImagePlugin.PngImageFile(io.BytesIO(data)),
    Format.WEBP: lambda data: WebPImagePlugin.WebPImageFile(io.BytesIO(data)),
    Format.HEIF: _open_heif,
}


def _check_size(size: tuple[int, int], limits: DecodeLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise BadPhoto(
            "too_many_pixels",
            f"the photo has {width:,} x {height:,} pixels; allowed: {limits.max_pixels:,} in all; scale it down",
        )
    if min(width, height) < limits.min_side:
        raise BadPhoto("too_small", f"the photo has {width} x {height} pixels; the shortest side must have {limits.min_side}")


def _check_geometry(geometry: Geometry) -> None:
    if geometry.width < 1 or geometry.height < 1:
        raise InvalidArgument("geometry", f"{geometry.width} x {geometry.height} is no size; both must be at least 1")
    if geometry.fit is Fit.SHORT_SIDE_CENTER_CROP and max(geometry.width, geometry.height) > geometry.short_side:
        raise InvalidArgument(
            "geometry", f"a crop of {geometry.width} x {geometry.height} does not fit a short side of {geometry.short_side}"
        )


def _read_orientation(image: ImageFile.ImageFile) -> int:
    with contextlib.suppress(*_DAMAGE, TypeError, UserWarning):  # a photo with a damaged EXIF block is a photo
        orientation = image.getexif().get(_ORIENTATION, 1)
        if orientation in _UPRIGHT:
            return int(orientation)
    return 1


def _turned(geometry: Geometry) -> Geometry:
    return Geometry(geometry.fit, geometry.height, geometry.width, geometry.short_side, geometry.resample)


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


def _shrink_factor(box: Box, geometries: Iterable[Geometry]) -> int:
    """How many times the photo may be shrunk beforehand so that `box` keeps twice the pixels that every geometry needs."""
    width, height = box[2] - box[0], box[3] - box[1]
    factors = []
    for geometry in geometries:
        left, top, right, bottom = source_box(geometry, width, height)
        factors += [(right - left) / (2 * geometry.width), (bottom - top) / (2 * geometry.height)]
    return max(1, int(min(factors, default=1)))


def _fit_all(image: ImageFile.ImageFile, box: Box, geometries: Iterable[Geometry], shrink: int) -> list[Image.Image]:
    """`box` of the photo in every geometry, RGB, in the stored orientation."""
    width, height = image.size
    scale = max(s for s in (1, 2, 4, 8) if s <= shrink)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        image.draft(None, (width // scale, height // scale))
    else:
        scale = 1
    # A progressive JPEG holds all its coefficients whatever the scale.
    pixels = width * height if image.info.get("progressive") else image.size[0] * image.size[1]
    large = pixels * 4 > LARGE_BYTES
    _load(image)
    cut = _scaled(box, scale, image.size)
    factor = shrink // scale if large else 1
    part = _shrink_in_strips(image, cut, factor) if factor > 1 else _plain(_cut(image, cut))
    scale *= factor
    # The last column and row of a scaled photo may stand for less than a whole pixel.
    extent = (min((box[2] - box[0]) / scale, part.width), min((box[3] - box[1]) / scale, part.height))
    return [_fit(part, extent, geometry) for geometry in geometries]


def _estimated_peak_bytes(width: int, height: int) -> int:
    return 2 * width * height * 4  # the canvas and one conversion of it


def _load(image: ImageFile.ImageFile) -> None:
    try:
        image.load()
    except _DAMAGE as exc:
        raise BadPhoto("truncated", f"the {image.format} data ends early or is damaged ({exc}); upload it again") from exc


def _scaled(box: Box, scale: int, size: tuple[int, int]) -> Box:
    """`box` in a version of the photo that is `scale` times smaller, of `size`: to the nearest pixel, one pixel always left."""
    left, top = min(round(box[0] / scale), size[0] - 1), min(round(box[1] / scale), size[1] - 1)
    right, bottom = min(math.ceil(box[2] / scale), size[0]), min(math.ceil(box[3] / scale), size[1])
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _cut(image: Image.Image, box: Box) -> Image.Image:
    if box == (0, 0, *image.size):
        return image
    # Not Image.crop: above a size of Pillow's own choice that warns of a bomb, and this photo has passed our limit.
    return image.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.NEAREST, box=box)


def _shrink_in_strips(image: Image.Image, box: Box, factor: int) -> Image.Image:
    """`box` averaged over squares of `factor` pixels, strip by strip: no second picture of the full size is ever held."""
    left, top, right, bottom = box
    shrunk = Image.new("RGB", (-(-(right - left) // factor), -(-(bottom - top) // factor)))
    rows = max(1, _STRIP_ROWS // factor) * factor
    for start in range(top, bottom, rows):
        strip = _plain(_cut(image, (left, start, right, min(start + rows, bottom))))
        shrunk.paste(_on_white(strip.reduce(factor)), (0, (start - top) // factor))
    return shrunk


def _plain(image: Image.Image) -> Image.Image:
    """The picture in a mode that resampling understands: L, RGB, LA or RGBA."""
    if image.mode.startswith("I"):
        samples = np.asarray(image).astype(np.uint32)
        grey = Image.fromarray(((np.minimum(samples, 65_535) * 255 + 32_767) // 65_535).astype(np.uint8))
        if "transparency" not in image.info:
            return grey
        opaque = Image.fromarray(np.where(samples == image.info["transparency"], 0, 255).astype(np.uint8))
        return Image.merge("LA", (grey, opaque))
    if image.has_transparency_data:
        return image if image.mode in {"LA", "RGBA"} else image.convert("RGBA")
    if image.mode in {"L", "RGB"}:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _fit(image: Image.Image, extent: tuple[float, float], geometry: Geometry) -> Image.Image:
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
