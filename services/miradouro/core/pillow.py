"""Decodes with Pillow and its decoders, maps their errors to BadPhoto, and calls nothing that warns.

The bytes passed to Pillow hold no metadata (jpeg_file.py, png_file.py), our own reader reads EXIF, and WebP and AVIF go straight
to their decoders. So Pillow has nothing to warn about. `warnings.catch_warnings` is no alternative: it is not thread-safe.
"""

import io
import re
import struct
import zlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from PIL import Image, ImageFile, JpegImagePlugin, PngImagePlugin, _avif, _webp

from miradouro.core.errors import BadPhoto
from miradouro.core.sniff import Format

# Exceptions that the readers raise on damaged data.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
    IndexError,
    KeyError,
    OverflowError,
)
_READERS = ("PIL.", "pillow_heif.")  # packages: any other exception raised inside them counts as damage too
_NO_MEMORY = re.compile(r"out of memory|memory allocation|(fail\w*|could not|cannot|unable) to allocate", re.IGNORECASE)
Value = TypeVar("Value")


def read_by_pillow(found: Format, call: Callable[[], Value], *, encoded: str) -> Value:
    """The result of `call`, a call of Pillow. `encoded` is the amount of data, for the error message.

    Raises BadPhoto (truncated; too_expensive: not enough memory). Other exceptions, faults of the call, are raised unchanged.
    """
    try:
        return call()
    except MemoryError as exc:
        raise no_memory(found) from exc
    except Exception as exc:
        if not isinstance(exc, _DAMAGE) and not _is_raised_by_reader(exc.__traceback__):
            raise
        if _NO_MEMORY.search(str(exc)):
            raise no_memory(found) from exc
        raise BadPhoto(
            "truncated", f"the {found.value} data, {encoded}, ends early or is damaged ({str(exc)[:200]}); upload it again"
        ) from exc


def no_memory(found: Format) -> BadPhoto:
    """The error for a photo that needs more memory than there is."""
    return BadPhoto("too_expensive", f"there is not enough memory to decode the photo ({found.value}); scale it down")


def _is_raised_by_reader(traceback: TracebackType | None) -> bool:
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and f"{traceback.tb_frame.f_globals.get('__name__', '')}.".startswith(_READERS)


# The readers are called by name instead of through Image.open: its size limit and its registry of formats are global, and it
# treats the further pictures in a camera's JPEG as frames.
def open_jpeg(data: bytes) -> ImageFile.ImageFile:
    """A JPEG whose pixels are not yet decoded."""
    return JpegImagePlugin.JpegImageFile(io.BytesIO(data))


def open_png(data: bytes) -> ImageFile.ImageFile:
    """A PNG whose pixels are not yet decoded."""
    return PngImagePlugin.PngImageFile(io.BytesIO(data))


def loaded(image: ImageFile.ImageFile) -> Image.Image:
    """`image` with its pixels decoded."""
    image.load()
    return image


def decode_webp(data: bytes) -> Image.Image:
    """The first frame of a WebP, RGB or RGBA. Pillow's own reader holds the decoder's two canvases while it fills a third."""
    decoder = _webp.WebPAnimDecoder(data)
    size, _, _, _, raw_mode = decoder.get_info()
    frame = decoder.get_next()
    del decoder
    if frame is None:
        raise EOFError("no whole frame")
    return Image.frombytes("RGB" if raw_mode == "RGBX" else raw_mode, size, frame[0], "raw", raw_mode)


def read_avif_header(data: bytes) -> tuple[tuple[int, int], str, int, bytes]:
    """Size, mode (RGB or RGBA), orientation and ICC profile of an AVIF.

    The orientation is that of the file's own boxes; its EXIF is ignored. The profile is empty when the file has none.
    """
    size, _, mode, profile, _, orientation, _ = _avif_decoder(data).get_info()
    return size, mode, orientation, profile or b""


def decode_avif(data: bytes) -> Image.Image:
    """The first frame of an AVIF, RGB or RGBA."""
    decoder = _avif_decoder(data)
    size, _, mode, *_ = decoder.get_info()
    pixels = decoder.get_frame(0)[0]
    del decoder
    return Image.frombytes(mode, size, pixels)


def _avif_decoder(data: bytes) -> Any:
    return _avif.AvifDecoder(data, "auto", 1)  # one thread: more take more memory, and photos are read in parallel


def open_heif(data: bytes) -> ImageFile.ImageFile:
    """A HEIF photo whose pixels are not yet decoded. Raises BadPhoto (unsupported_format) when its reader is not installed."""
    try:
        from pillow_heif.as_plugin import HeifImageFile
    except ImportError as exc:
        raise BadPhoto(
            "unsupported_format",
            "the photo is image/heic; that needs the extra `heif`: install its reader with `pip install pillow-heif`",
        ) from exc
    image: ImageFile.ImageFile = HeifImageFile(io.BytesIO(data))  # type: ignore[no-untyped-call]  # the package has no types
    return image
