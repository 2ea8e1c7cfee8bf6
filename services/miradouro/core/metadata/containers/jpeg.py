"""JPEG (ITU-T T.81, annex B): metadata is in the segments before the first scan."""

import re
from collections.abc import Iterator

from miradouro.core.metadata.bounds import (
    MAX_EXIF_BYTES,
    MAX_FILL_BYTES,
    MAX_IPTC_BYTES,
    MAX_PARTS,
    MAX_TEXT_BYTES,
    MAX_XMP_BYTES,
)
from miradouro.core.metadata.containers.blocks import EXIF_PREFIX, EXIF_PREFIX_BYTES, Blocks
from miradouro.core.metadata.containers.photoshop import iptc_resource
from miradouro.core.metadata.texts import decode_text

_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_APP1, _APP13, _COMMENT = 0xE1, 0xED, 0xFE
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_END = frozenset({0xD9, 0xDA})  # end of the image, start of the scan
_FILL = re.compile(rb"\xff{0,%d}" % MAX_FILL_BYTES)


def jpeg_blocks(data: bytes) -> Blocks:
    """The metadata blocks of a JPEG; of a truncated one, those before the cut."""
    exif, resources = bytearray(), bytearray()  # more than 64 KiB continue in the next segment
    xmp = b""
    texts: dict[str, str] = {}
    for marker, start, end in _segments(data):
        if marker == _APP1 and data.startswith(EXIF_PREFIX, start):
            start += EXIF_PREFIX_BYTES
            exif += data[start : min(end, start + MAX_EXIF_BYTES - len(exif))]
        elif marker == _APP1 and not xmp and data.startswith(_XMP, start):
            xmp = data[start + len(_XMP) : min(end, start + MAX_XMP_BYTES)]
        elif marker == _APP13 and data.startswith(_PHOTOSHOP, start):
            start += len(_PHOTOSHOP)
            resources += data[start : min(end, start + MAX_IPTC_BYTES - len(resources))]
        elif marker == _COMMENT and not texts.get("comment"):
            texts["comment"] = decode_text(data[start : min(end, start + MAX_TEXT_BYTES)])
    return Blocks(bytes(exif), iptc_resource(bytes(resources)), xmp, texts)


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of the content of every segment before the first scan."""
    at, fill = 2, 0
    for _ in range(MAX_PARTS):
        if at + 4 > len(data) or data[at] != 0xFF:
            return
        marker = data[at + 1]
        if marker in _END:
            return
        if marker == 0xFF:
            found = _FILL.match(data, at + 1)
            run = found.end() - found.start() if found else 1
            at, fill = at + run, fill + run
            if fill >= MAX_FILL_BYTES:
                return
        elif marker in _STANDALONE:
            at += 2
        else:
            end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            yield marker, at + 4, min(end, len(data))
            at = max(end, at + 4)
