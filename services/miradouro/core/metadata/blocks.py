"""Finds the metadata in JPEG, PNG, WebP, HEIF and AVIF files."""

from miradouro.core.metadata.containers.blocks import Blocks
from miradouro.core.metadata.containers.heif import heif_blocks
from miradouro.core.metadata.containers.jpeg import jpeg_blocks
from miradouro.core.metadata.containers.png import png_blocks
from miradouro.core.metadata.containers.webp import webp_blocks
from miradouro.core.sniff import Format, sniff

__all__ = ["Blocks", "find_blocks"]

_READERS = {
    Format.JPEG: jpeg_blocks,
    Format.PNG: png_blocks,
    Format.WEBP: webp_blocks,
    Format.HEIF: heif_blocks,
    Format.AVIF: heif_blocks,
}


def find_blocks(data: bytes) -> Blocks:
    """The metadata blocks of `data`; of a truncated file, those before the cut; of an unknown format, none.

    Never raises. At most MAX_PARTS parts of the file are examined, and every block is cut at its bound.
    """
    found = sniff(data)
    return _READERS[found](data) if found in _READERS else Blocks()
