"""Encoded photo to metadata: every block by its reader, then the first one that says something about a field."""

from dataclasses import replace

from miradouro.core.metadata.blocks import find_blocks
from miradouro.core.metadata.exif import read_exif
from miradouro.core.metadata.iptc import read_iptc
from miradouro.core.metadata.photo_metadata import PhotoMetadata
from miradouro.core.metadata.xmp import read_xmp


def read_metadata(data: bytes) -> PhotoMetadata:
    """What the JPEG, PNG, WebP or HEIF file `data` says about its photo.

    Title, caption and tags come from XMP, else IPTC, else EXIF, each field by itself; time, place and camera from EXIF.
    Never raises: what can't be read is left out and named in `unread`. Bytes of no such file say nothing.
    """
    blocks = find_blocks(data)
    exif, iptc, xmp = read_exif(blocks.exif), read_iptc(blocks.iptc), read_xmp(blocks.xmp)
    return replace(
        exif,
        title=xmp.title or iptc.title or exif.title,
        caption=xmp.caption or iptc.caption or exif.caption,
        tags=xmp.tags or iptc.tags or exif.tags,
        unread=tuple(dict.fromkeys(blocks.unread + exif.unread + iptc.unread + xmp.unread)),
    )
