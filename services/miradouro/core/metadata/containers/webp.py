"""WebP (RFC 9649): metadata is in chunks of its own."""

from miradouro.core.metadata.bounds import MAX_PARTS, MAX_XMP_BYTES
from miradouro.core.metadata.containers.blocks import Blocks, bare_exif


def webp_blocks(data: bytes) -> Blocks:
    """The metadata blocks of a WebP; of a truncated one, those before the cut."""
    exif = xmp = b""
    unread: tuple[str, ...] = ()
    at = 12
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            break
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind == b"EXIF" and not exif:
            exif = bare_exif(data, at + 8, at + 8 + size)
        elif kind == b"XMP " and not xmp:
            xmp = data[at + 8 : at + 8 + min(size, MAX_XMP_BYTES)]
            unread = ("xmp",) if size > MAX_XMP_BYTES else ()
        at += 8 + size + size % 2
    return Blocks(exif, b"", xmp, unread=unread)
