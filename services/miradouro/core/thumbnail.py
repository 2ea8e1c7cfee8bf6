"""Thumbnails of photos."""

import io
import re
from contextlib import AbstractContextManager, ExitStack, nullcontext

from PIL import Image

from miradouro.core.decode import Reserve, decode
from miradouro.core.error_text import shown
from miradouro.core.errors import Corrupt
from miradouro.core.photo_limits import DEFAULT_LIMITS, DecodeLimits
from miradouro.core.spaces import Fit, Geometry, Resample

MEDIA_TYPE = "image/jpeg"
SUFFIXES = {"jpeg": ".jpg", "webp": ".webp", "png": ".png"}  # by format
FOLDER = "thumbnails"  # of a data folder
MAX_KEPT_BYTES = 1 << 30  # of a folder of thumbnails: some 50,000 of 320 pixels; half of the query pod's volume
_QUALITY = 82
# The pixels twice, the coefficients that the best Huffman tables are found from, and the encoded picture; WebP takes less.
_ENCODING_PIXEL_BYTES = 16
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


def thumbnail_name(sha256: str, longest_side: int, *, file_format: str = "jpeg") -> str:
    """The path of a thumbnail within its folder, by the photo's SHA-256 and the size: for example ab/abcd…-320.jpg.

    It is formatted from the digest's 32 bytes, so that a stored text can't become a path. Raises Corrupt: `sha256` is no SHA-256.
    """
    digest = digest_of(sha256).hex()
    return f"{digest[:2]}/{digest}-{longest_side:d}{SUFFIXES[file_format]}"


def digest_of(sha256: str) -> bytes:
    """The 32 bytes of a SHA-256 in 64 hexadecimal digits. Raises Corrupt for anything else."""
    if not _SHA256.fullmatch(sha256):
        raise Corrupt(f"{shown(sha256)} is stored as a photo's SHA-256, and is none; index the photo again")
    return bytes.fromhex(sha256)


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

    `file_format` is one of SUFFIXES. `width` and `height` are the photo's, in pixels after EXIF rotation. `reserve` is called
    once, as by `decode`; its context is held until the thumbnail is encoded. Raises BadPhoto as `decode` does.
    """
    scale = min(1.0, longest_side / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    geometry = Geometry(Fit.SQUASH, *size, 0, Resample.BICUBIC)
    out = io.BytesIO()
    options = {} if file_format == "png" else {"quality": _QUALITY}
    with ExitStack() as held:

        def reserve_both(peak_bytes: int) -> AbstractContextManager[object]:
            held.enter_context(reserve(max(peak_bytes, size[0] * size[1] * _ENCODING_PIXEL_BYTES)))
            return nullcontext()

        pixels = decode(data, [geometry], limits=limits, reserve=reserve_both).tensors[geometry]
        Image.fromarray(pixels).save(out, file_format.upper(), optimize=True, **options)
    return out.getvalue()
