"""Small pictures of photos, for people to look at."""

import io

from PIL import Image

from miradouro.core.decode import DEFAULT_LIMITS, DecodeLimits, decode
from miradouro.core.spaces import Fit, Geometry, Resample

MEDIA_TYPE = "image/jpeg"
SUFFIX = ".jpg"
_QUALITY = 82


def thumbnail(data: bytes, *, width: int, height: int, longest_side: int, limits: DecodeLimits = DEFAULT_LIMITS) -> bytes:
    """The photo `data` as a JPEG whose longer side has `longest_side` pixels, upright; never larger than the photo.

    `width` and `height` are the photo's, in pixels after EXIF rotation. Raises BadPhoto as `decode` does.
    """
    scale = min(1.0, longest_side / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    geometry = Geometry(Fit.SQUASH, *size, 0, Resample.BICUBIC)
    pixels = decode(data, [geometry], limits=limits).tensors[geometry]
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=_QUALITY, optimize=True)
    return out.getvalue()
