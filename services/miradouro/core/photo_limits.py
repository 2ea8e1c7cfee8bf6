"""Limits of the photos that are decoded."""

from dataclasses import dataclass

from miradouro.core.errors import BadPhoto
from miradouro.core.sniff import Format

MAX_PHOTO_BYTES = 32 * 2**20  # encoded; a JPEG of 100 megapixels has about 30 MiB. Messages, readers and stores are sized for it
_DEFAULT_PIXELS = 100_000_000
# Only a JPEG can be scaled down while it is decoded. 40 megapixels of another format take up to 494 MiB (WebP, photo_cost.py).
_UNSCALED_PIXELS = 40_000_000
# Enough for a JPEG of 100 megapixels, progressive 4:2:0 included (coefficients of 286 MiB), and for 40 megapixels of WebP. With
# networks of 400 MiB and the readers' interpreters, one such photo leaves `up` below 1.2 GiB.
_DECODE_BYTES = 512 * 2**20


@dataclass(frozen=True)
class DecodeLimits:
    """The accepted photos: encoded size in bytes, width x height of a JPEG in pixels, shortest and longest side in pixels."""

    max_bytes: int = MAX_PHOTO_BYTES
    max_pixels: int = _DEFAULT_PIXELS
    min_side: int = 2
    max_side: int = 65_535

    def pixels_of(self, found: Format) -> int:
        """The most pixels, width x height, of a photo in this format.

        A JPEG may have `max_pixels`; another format 40 megapixels, fewer when `max_pixels` is less, and two fifths of it when
        that is more.
        """
        if found is Format.JPEG:
            return self.max_pixels
        return max(min(self.max_pixels, _UNSCALED_PIXELS), self.max_pixels * _UNSCALED_PIXELS // _DEFAULT_PIXELS)

    @property
    def max_decode_bytes(self) -> int:
        """Memory that decoding one photo may take, in bytes; it grows with `max_pixels` above the default."""
        return max(_DECODE_BYTES, _DECODE_BYTES * self.max_pixels // _DEFAULT_PIXELS)


DEFAULT_LIMITS = DecodeLimits()


def check_size(width: int, height: int, found: Format, limits: DecodeLimits) -> None:
    """Raises BadPhoto (too_many_pixels, too_small)."""
    allowed = limits.pixels_of(found)
    if width * height > allowed:
        raise BadPhoto(
            "too_many_pixels",
            f"the photo has {width:,} x {height:,} pixels; allowed in {found.value}: {allowed:,} in all; scale it down",
        )
    if max(width, height) > limits.max_side:
        raise BadPhoto(
            "too_many_pixels",
            f"the photo has {width:,} x {height:,} pixels; allowed on a side: {limits.max_side:,}; scale it down",
        )
    if min(width, height) < limits.min_side:
        raise BadPhoto("too_small", f"the photo has {width} x {height} pixels; the shortest side must have {limits.min_side}")
