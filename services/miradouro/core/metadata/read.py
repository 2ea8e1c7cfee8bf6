"""Reads the metadata of a file: every block by its reader, then each field from the first block that has it."""

from miradouro.core.metadata.blocks import find_blocks
from miradouro.core.metadata.bounds import MAX_XMP_FILE_BYTES
from miradouro.core.metadata.exif import read_exif
from miradouro.core.metadata.iptc import read_iptc
from miradouro.core.metadata.notes import read_notes
from miradouro.core.metadata.photo_metadata import TIME_SOURCES, XMP_SIDECAR, PhotoMetadata
from miradouro.core.metadata.xmp import read_xmp


def read_metadata(data: bytes) -> PhotoMetadata:
    """The metadata in a JPEG, PNG, WebP, HEIF or AVIF file.

    Each text and the rating come from XMP, else IPTC, else EXIF, else the texts of PNG and the comment of JPEG; place and camera
    from EXIF, else XMP; the time from the first of TIME_SOURCES.
    Never raises: unreadable parts are left out and named in `unread`. A file of another format has empty metadata.
    """
    blocks = find_blocks(data)
    exif, iptc, xmp, notes = read_exif(blocks.exif), read_iptc(blocks.iptc), read_xmp(blocks.xmp), read_notes(blocks.texts)
    times = {**exif.times, **xmp.times, **iptc.times, **notes.times}
    taken_from = next((source for source in TIME_SOURCES if source in times), "")
    return PhotoMetadata(
        title=xmp.title or iptc.title or exif.title or notes.title,
        caption=xmp.caption or iptc.caption or exif.caption or notes.caption,
        tags=xmp.tags or iptc.tags or exif.tags,
        camera=exif.camera or xmp.camera,
        place=exif.place or xmp.place,
        taken_at=times.get(taken_from),
        taken_from=taken_from,
        rating=xmp.rating or exif.rating,
        unread=tuple(dict.fromkeys(blocks.unread + exif.unread + iptc.unread + xmp.unread + notes.unread)),
    )


def read_xmp_sidecar(data: bytes) -> PhotoMetadata:
    """The metadata in the XMP sidecar `data`. Never raises: see `read_metadata`."""
    xmp = read_xmp(data[:MAX_XMP_FILE_BYTES])
    taken_at = xmp.times.get("xmp")
    return PhotoMetadata(
        title=xmp.title,
        caption=xmp.caption,
        tags=xmp.tags,
        camera=xmp.camera,
        place=xmp.place,
        taken_at=taken_at,
        taken_from=XMP_SIDECAR if taken_at else "",
        rating=xmp.rating,
        unread=xmp.unread,
    )
