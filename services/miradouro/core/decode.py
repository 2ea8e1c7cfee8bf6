"""Decodes photos to the tensors that networks take. Pixels are decoded here and nowhere else.

How odd photos are handled:

- JPEG, PNG, WebP and AVIF are recognised by their first bytes, never by a name. HEIF needs the extra `heif`. Other formats are
  refused.
- Size, scans and memory are checked from the header, before any pixel is decompressed.
- EXIF orientation is applied; a damaged EXIF block counts as none.
- Colours are converted to sRGB: by ICC profiles, by cICP, gAMA and cHRM of a PNG, by nclx of HEIF and AVIF (core.colour).
  Damaged or unknown colour data counts as sRGB.
- Damaged metadata and a missing end marker are ignored; missing pixels are an error.
- Of an animation the first frame counts as the photo.
- Transparent pixels are drawn on white. 16-bit samples are scaled to 8 bits. CMYK JPEGs are read as inverted, as Adobe writes
  them.
- A photo with a side of one pixel is refused: it has no content.
- A JPEG is decoded at 1/2, 1/4 or 1/8 when that leaves twice the pixels that every tensor needs (of the region, if any), or
  when memory does not suffice for more.
- Memory: before any pixel is decompressed, `reserve` is called with the estimated peak in bytes; photos above LARGE_BYTES are
  shrunk in strips.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
from PIL import Image

from miradouro.core.colour.conversion import conversion_to_srgb
from miradouro.core.embedding import Tensor
from miradouro.core.errors import BadPhoto, InvalidArgument
from miradouro.core.fit import fit, scaled, shrink_factor
from miradouro.core.metadata.photo_metadata import PhotoMetadata
from miradouro.core.orientation import UPRIGHT
from miradouro.core.photo_cost import fitting_bytes, fixed_bytes
from miradouro.core.photo_file import PhotoFile, open_photo
from miradouro.core.photo_limits import DEFAULT_LIMITS, DecodeLimits
from miradouro.core.pillow import no_memory
from miradouro.core.region import SWAPS_AXES, Box, pixel_box, stored_box
from miradouro.core.spaces import Fit, Geometry, Region

__all__ = ["DEFAULT_LIMITS", "LARGE_BYTES", "DecodeLimits", "Decoded", "Reserve", "decode"]

LARGE_BYTES = 64 * 2**20

# Called with a number of bytes before they are allocated; the context is held while they are in use.
Reserve = Callable[[int], AbstractContextManager[object]]


@dataclass(frozen=True)
class Decoded:
    """A decoded photo: its whole size in pixels after EXIF rotation, its media type by its bytes, one tensor per geometry.

    `metadata` is the metadata in the file when the caller asked for it, else None.
    """

    width: int
    height: int
    media_type: str
    tensors: Mapping[Geometry, Tensor]
    metadata: PhotoMetadata | None = None


@dataclass(frozen=True)
class _DecodePlan:
    """How to shrink a photo: `scale` while it is decoded, then `factor` in strips; and the peak memory in bytes."""

    scale: int
    factor: int
    peak_bytes: int


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
    Raises BadPhoto (empty, too_many_bytes, not_a_photo, unsupported_format, too_many_pixels, too_small, too_expensive,
    truncated) and InvalidArgument (an invalid box or geometry). Thread-safe; Pillow's global state is neither read nor changed.
    """
    wanted = tuple(dict.fromkeys(geometries))
    for geometry in wanted:
        _check_geometry(geometry)
    photo = open_photo(data, limits)
    width, height, orientation = photo.width, photo.height, photo.orientation
    upright_size = (height, width) if orientation in SWAPS_AXES else (width, height)
    box: Box = (0, 0, width, height)
    if region is not None:
        box = stored_box(pixel_box(region, *upright_size), width, height, orientation)
    stored = [_turned(geometry) if orientation in SWAPS_AXES else geometry for geometry in wanted]
    try:
        to_srgb = conversion_to_srgb(photo.profiles, photo.channels)
    except MemoryError as exc:
        raise no_memory(photo.found) from exc
    converts = to_srgb is not None
    plan = _plan(photo, box, stored, limits.max_decode_bytes, encoded_bytes=len(data), converts=converts)
    with reserve(plan.peak_bytes):
        try:
            np.empty(plan.peak_bytes, np.uint8)  # touches no page: only checks that the address space has room
            fitted = fit(photo.pixels(plan.scale), box, stored, scale=plan.scale, factor=plan.factor, to_srgb=to_srgb)
            tensors = {geometry: _upright(image, orientation) for geometry, image in zip(wanted, fitted, strict=True)}
        except MemoryError as exc:
            raise no_memory(photo.found) from exc
    return Decoded(*upright_size, photo.found.value, tensors)


def _plan(
    photo: PhotoFile, box: Box, geometries: list[Geometry], max_bytes: int, *, encoded_bytes: int, converts: bool
) -> _DecodePlan:
    """The plan that keeps as much of the needed detail as fits into `max_bytes`. Raises BadPhoto (too_expensive).

    With `converts` the photo is shrunk before its colours are converted, whatever its size: converting takes 0.02 µs a pixel.
    """
    shrink = shrink_factor(box, geometries)
    needed = max(s for s in (1, 2, 4, 8) if s <= shrink)
    plans = []
    for scale in (s for s in (1, 2, 4, 8) if s >= needed) if photo.is_scalable else (1,):
        factor = max(1, shrink // scale) if converts or photo.held_pixels(scale) * 4 > LARGE_BYTES else 1
        size = -(-photo.width // scale), -(-photo.height // scale)
        fitting = fitting_bytes(size, scaled(box, scale, size), geometries, factor, photo.cost, converts=converts)
        peak = max(photo.decoding_bytes(scale), fitting) + fixed_bytes(photo.width, encoded_bytes)
        if peak <= max_bytes:
            return _DecodePlan(scale, factor, peak)
        plans.append(peak)
    raise BadPhoto(
        "too_expensive",
        f"decoding the photo of {photo.width:,} x {photo.height:,} pixels takes {min(plans):,} bytes of memory; "
        f"allowed: {max_bytes:,}; scale it down",
    )


def _check_geometry(geometry: Geometry) -> None:
    if geometry.width < 1 or geometry.height < 1:
        raise InvalidArgument("geometry", f"{geometry.width} x {geometry.height} is no size; both must be at least 1")
    if geometry.fit is Fit.SHORT_SIDE_CENTER_CROP and max(geometry.width, geometry.height) > geometry.short_side:
        raise InvalidArgument(
            "geometry", f"a crop of {geometry.width} x {geometry.height} does not fit a short side of {geometry.short_side}"
        )


def _turned(geometry: Geometry) -> Geometry:
    return Geometry(geometry.fit, geometry.height, geometry.width, geometry.short_side, geometry.resample)


def _upright(image: Image.Image, orientation: int) -> Tensor:
    upright = image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image
    return np.array(upright, dtype=np.uint8)
