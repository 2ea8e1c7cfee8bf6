"""Small pictures of photos, for people to look at."""

import io
from contextlib import nullcontext

from PIL import Image

from miradouro.core.decode import DEFAULT_LIMITS, DecodeLimits, Reserve, decode
from miradouro.core.spaces import Fit, Geometry, Resample

MEDIA_TYPE = "image/jpeg"
SUFFIXES = {"jpeg": ".jpg", "webp": ".webp", "png": ".png"}  # by format
FOLDER = "thumbnails"  # of a data folder
_QUALITY = 82


def thumbnail_name(sha256: str, longest_side: int, *, file_format: str = "jpeg") -> str:
    """Where a thumbnail lies below its folder, by the photo's SHA-256 and the size: for example ab/abcd…-320.jpg."""
    return f"{sha256[:2]}/{sha256}-{longest_side}{SUFFIXES[file_format]}"


def thumbnail(
    data: bytes,
    *,
    width: int,
    height: int,
    longest_side: int,
    limits: DecodeLimits = DEFAULT_LIMITS,
    file_format: str = "jpeg",
    reserve: Reserve = nullcontext,
) -> bytes:
    """The photo `data` with a longer side of `longest_side` pixels, upright; never larger than the photo.

    `file_format` is one of SUFFIXES. `width` and `height` are the photo's, in pixels after EXIF rotation. `reserve` is
    that of `decode`. Raises BadPhoto as `decode` does.
    """
    scale = min(1.0, longest_side / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    geometry = Geometry(Fit.SQUASH, *size, 0, Resample.BICUBIC)
    pixels = decode(data, [geometry], limits=limits, reserve=reserve).tensors[geometry]
    out = io.BytesIO()
    options = {} if file_format == "png" else {"quality": _QUALITY}
    Image.fromarray(pixels).save(out, file_format.upper(), optimize=True, **options)
    return out.getvalue()
