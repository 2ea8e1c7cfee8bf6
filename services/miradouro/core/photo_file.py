"""Encoded photos, each format by its reader: size, orientation and cost from the header, then the pixels."""

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from PIL import Image

from miradouro.core import pillow
from miradouro.core.colour.coding import profile_of_numbers
from miradouro.core.errors import BadPhoto
from miradouro.core.jpeg_file import END, JpegFile, check_scans, missing_scans, read_jpeg
from miradouro.core.orientation import read_orientation
from miradouro.core.photo_cost import PixelCost
from miradouro.core.photo_limits import DecodeLimits, check_size
from miradouro.core.pillow import read_by_pillow
from miradouro.core.png_file import read_png
from miradouro.core.raw_file import begins_as_raw
from miradouro.core.sniff import Format, avif_colour_numbers, avif_sample_bytes, sniff, webp_exif, webp_profile, webp_size

_ACCEPTED = "JPEG, PNG, WebP or AVIF"
_ROWS = 8  # of a block of coefficients
# Filler bytes without markers: they decode to other pixels than the ones that a decoder substitutes for missing data.
_NOISES = (hashlib.shake_256(b"end").digest(1_024).replace(b"\xff", b"\x7f"), b"\x55\xaa" * 512)
# The decoder's canvas, that of the last frame, and the returned frame (or the picture during lossless decoding).
_WEBP_PIXEL_BYTES = 12
_HEIF_FIXED_BYTES = 16 * 2**20  # libheif's and libde265's tables and threads


@dataclass(frozen=True)
class PhotoFile:
    """A photo within the limits, its pixels not yet decoded; sizes in pixels as stored.

    `pixels(scale)` decodes it, `scale` (1, 2, 4 or 8) times smaller where `is_scalable`. `decoding_bytes(scale)` is the memory
    that this takes. `held_pixels(scale)` is the number of pixels, or of coefficients, in memory meanwhile. `profiles` are the
    ICC profiles of the photo, the most trusted first (see core.colour), for pixels of `channels`: L, RGB or CMYK.
    """

    found: Format
    width: int
    height: int
    orientation: int
    is_scalable: bool
    cost: PixelCost
    decoding_bytes: Callable[[int], int]
    held_pixels: Callable[[int], int]
    pixels: Callable[[int], Image.Image]
    profiles: tuple[bytes, ...] = ()
    channels: str = "RGB"


def open_photo(data: bytes, limits: DecodeLimits) -> PhotoFile:
    """The photo in `data`. Raises BadPhoto for every fault that shows before the pixels are decoded."""
    if not data:
        raise BadPhoto("empty", "the photo has 0 bytes; upload it again")
    if len(data) > limits.max_bytes:
        raise BadPhoto("too_many_bytes", f"the photo has {len(data):,} bytes; allowed: {limits.max_bytes:,}")
    if begins_as_raw(data):
        raise BadPhoto("unsupported_format", f"the photo is a raw file of a camera; convert it to {_ACCEPTED}")
    found = sniff(data)
    if found is None:
        raise BadPhoto("not_a_photo", f"the data begins with {data[:8].hex(' ')}: no picture format; send {_ACCEPTED}")
    reader = _READERS.get(found)
    if reader is None:
        raise BadPhoto("unsupported_format", f"the photo is {found.value}; convert it to {_ACCEPTED}")
    try:
        return reader(data, limits)
    except MemoryError as exc:
        raise pillow.no_memory(found) from exc


def _jpeg(data: bytes, limits: DecodeLimits) -> PhotoFile:
    file = read_jpeg(data)
    width, height = file.width, file.height
    check_size(width, height, Format.JPEG, limits)
    check_scans(file)
    components = len(file.samplings)
    cost = PixelCost(1 if components == 1 else 4, 1 if components == 1 else 4, components == 4, False)

    def canvas(scale: int) -> int:
        return -(-width // scale) * -(-height // scale)

    def decoding_bytes(scale: int) -> int:
        return file.coefficient_bytes + canvas(scale if file.has_end else 1) * cost.decoded

    def pixels(scale: int) -> Image.Image:
        if not file.has_end:
            _check_end(file)
        return _jpeg_pixels(file, file.data if file.has_end else file.data + END, scale)

    # When all coefficients are in memory, scaling saves nothing.
    held_pixels = (lambda _: width * height) if file.is_buffered else canvas
    orientation = read_orientation(file.exif)
    profiles = (file.profile,) if file.profile else ()
    channels = {1: "L", 4: "CMYK"}.get(components, "RGB")
    return PhotoFile(Format.JPEG, width, height, orientation, True, cost, decoding_bytes, held_pixels, pixels, profiles, channels)


def _jpeg_pixels(file: JpegFile, data: bytes, scale: int) -> Image.Image:
    def decode() -> Image.Image:
        image = pillow.open_jpeg(data)
        image.draft(None, (file.width // scale, file.height // scale))
        return pillow.loaded(image)

    return read_by_pillow(Format.JPEG, decode, encoded=f"{len(data):,} bytes")


def _check_end(file: JpegFile) -> None:
    """Raises BadPhoto (truncated) when a JPEG without its end marker lacks pixels, too.

    A decoder fills in missing pixels silently. So the data is decoded with different filler bytes behind it: where the results
    differ, pixels are missing.
    """
    if file.is_buffered and missing_scans(file):
        raise BadPhoto("truncated", f"the JPEG data ends after {len(file.data):,} bytes, before its last scan; upload it again")
    ends = [_row_checksums(_jpeg_pixels(file, file.data + noise + END, 1)) for noise in (b"", *_NOISES)]
    for row, checksums in enumerate(zip(*ends, strict=True)):
        if len(set(checksums)) > 1:
            raise BadPhoto(
                "truncated",
                f"the JPEG data ends after {len(file.data):,} bytes, in row {row * _ROWS:,} of {file.height:,}; upload it again",
            )


def _row_checksums(image: Image.Image) -> list[int]:
    width, height = image.size
    return [zlib.crc32(image.crop((0, top, width, min(top + _ROWS, height))).tobytes()) for top in range(0, height, _ROWS)]


def _png(data: bytes, limits: DecodeLimits) -> PhotoFile:
    file = read_png(data)
    check_size(file.width, file.height, Format.PNG, limits)
    decoded = 4 if file.colour_type in {2, 4, 6} else 2 if file.bits == 16 else 1
    has_alpha = file.colour_type in {4, 6} or file.is_transparent
    is_plain = file.colour_type in {2, 4, 6} or (file.colour_type == 0 and 2 <= file.bits <= 8)
    is_converted = not is_plain or file.is_transparent
    plain = 1 if file.colour_type == 0 and not has_alpha else 4
    encoded = f"{len(data):,} bytes" + (" that end within its pixels" if file.is_cut else "")

    def pixels(_scale: int) -> Image.Image:
        return read_by_pillow(Format.PNG, lambda: pillow.loaded(pillow.open_png(file.data)), encoded=encoded)

    cost = PixelCost(decoded, plain, is_converted, has_alpha)
    photo = _unscaled(Format.PNG, (file.width, file.height), read_orientation(file.exif), cost, decoded, pixels)
    return replace(photo, profiles=file.profiles, channels="L" if file.colour_type in {0, 4} else "RGB")


def _webp(data: bytes, limits: DecodeLimits) -> PhotoFile:
    size = webp_size(data)
    if size is None:
        raise BadPhoto("truncated", f"the header of the WebP data is damaged ({len(data):,} bytes); upload it again")
    check_size(*size, Format.WEBP, limits)
    encoded = f"{len(data):,} of {8 + int.from_bytes(data[4:8], 'little'):,} bytes"

    def pixels(_scale: int) -> Image.Image:
        return read_by_pillow(Format.WEBP, lambda: pillow.decode_webp(data), encoded=encoded)

    cost = PixelCost(4, 4, False, True)
    photo = _unscaled(Format.WEBP, size, read_orientation(webp_exif(data)), cost, _WEBP_PIXEL_BYTES, pixels, len(data))
    profile = webp_profile(data)
    return replace(photo, profiles=(profile,) if profile else ())


def _avif(data: bytes, limits: DecodeLimits) -> PhotoFile:
    encoded = f"{len(data):,} bytes"
    size, mode, orientation, profile = read_by_pillow(Format.AVIF, lambda: pillow.read_avif_header(data), encoded=encoded)
    check_size(size[0], size[1], Format.AVIF, limits)
    channels = len(mode)
    # The planes with the codec's own buffers, the decoder's RGB picture, and the returned copy of it.
    pixel_bytes = avif_sample_bytes(data, has_alpha=mode == "RGBA") * 3 // 2 + 2 * channels

    def pixels(_scale: int) -> Image.Image:
        return read_by_pillow(Format.AVIF, lambda: pillow.decode_avif(data), encoded=encoded)

    photo = _unscaled(
        Format.AVIF, size, orientation, PixelCost(4, 4, False, mode == "RGBA"), pixel_bytes, pixels, len(data) + 8 * 2**20
    )
    return replace(photo, profiles=_profiles_of_boxes(profile, avif_colour_numbers(data)))


def _heif(data: bytes, limits: DecodeLimits) -> PhotoFile:
    encoded = f"{len(data):,} bytes"
    image = read_by_pillow(Format.HEIF, lambda: pillow.open_heif(data), encoded=encoded)
    width, height = image.size
    check_size(width, height, Format.HEIF, limits)
    samples = {420: 1.5, 422: 2}.get(int(image.info.get("chroma", 444)), 3) + (image.mode in {"RGBA", "LA"})
    planes = samples * (2 if image.info.get("bit_depth", 8) > 8 else 1) * 1.5
    numbers = image.info.get("nclx_profile") or {}
    # The reader turns the photo upright and adapts its EXIF: the orientation is 1.
    photo = _unscaled(
        Format.HEIF,
        (width, height),
        1,
        PixelCost(4, 4, image.mode not in {"L", "RGB", "LA", "RGBA"}, True),
        int(planes) + 1 + 8,
        lambda _scale: read_by_pillow(Format.HEIF, lambda: pillow.loaded(image), encoded=encoded),
        len(data) + _HEIF_FIXED_BYTES,
    )
    colour_numbers = (numbers["color_primaries"], numbers["transfer_characteristics"]) if numbers else None
    return replace(photo, profiles=_profiles_of_boxes(image.info.get("icc_profile") or b"", colour_numbers))


def _profiles_of_boxes(profile: bytes, numbers: tuple[int, int] | None) -> tuple[bytes, ...]:
    """The profiles of a HEIF or AVIF photo: an ICC profile takes precedence over H.273's numbers (ISO/IEC 23000-22, 7.3.6.4)."""
    by_numbers = profile_of_numbers(*numbers) if numbers else None
    return tuple(one for one in (profile or None, by_numbers) if one is not None)


def _unscaled(
    found: Format,
    size: tuple[int, int],
    orientation: int,
    cost: PixelCost,
    pixel_bytes: int,
    pixels: Callable[[int], Image.Image],
    more_bytes: int = 0,
) -> PhotoFile:
    """A photo in a format that can only be decoded at full size."""
    area = size[0] * size[1]
    return PhotoFile(found, *size, orientation, False, cost, lambda _: area * pixel_bytes + more_bytes, lambda _: area, pixels)


_READERS = {Format.JPEG: _jpeg, Format.PNG: _png, Format.WEBP: _webp, Format.AVIF: _avif, Format.HEIF: _heif}
