"""Pictures made for tests: seeded, so that they are the same in every run."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from miradouro.core.spaces import Fit, Geometry, Resample
from PIL import Image

SQUASH = Geometry(Fit.SQUASH, 224, 224, 0, Resample.BILINEAR)
CROP = Geometry(Fit.SHORT_SIDE_CENTER_CROP, 224, 224, 256, Resample.BICUBIC)


def blocks(width: int, height: int, *, seed: int = 0, cell: int = 25) -> np.ndarray:
    """uint8 [height, width, 3]: a patchwork of flat colours, so that scaling changes little."""
    colours = np.random.default_rng(seed).integers(0, 256, (-(-height // cell), -(-width // cell), 3))
    return np.kron(colours, np.ones((cell, cell, 1)))[:height, :width].astype(np.uint8)


def encode(pixels: np.ndarray | Image.Image, file_format: str, mode: str = "", **options: Any) -> bytes:
    """`pixels` as a file, converted to `mode` before when one is given."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    out = io.BytesIO()
    (image.convert(mode) if mode else image).save(out, file_format, **options)
    return out.getvalue()


def jpeg(width: int = 320, height: int = 240, *, seed: int = 0, **options: Any) -> bytes:
    """A JPEG of `blocks`."""
    return encode(blocks(width, height, seed=seed), "JPEG", **options)


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG whose header declares a larger size than its data fills."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
