"""Where the metadata stands in JPEG, PNG, WebP and HEIF files."""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from miradouro.core.sniff import Format, sniff

MAX_XMP_BYTES = 2**20  # larger packets carry previews or edit histories

_EXIF = b"Exif\0"  # one more byte follows: a zero, or by some writers 0xff
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_PNG_XMP = b"XML:com.adobe.xmp\0"
_IPTC_RESOURCE = 0x0404
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # JPEG markers without a length
_END = frozenset({0xD9, 0xDA})  # end of the image, start of the scan


@dataclass(frozen=True)
class Blocks:
    """The metadata of a file as stored: a TIFF structure, IPTC-IIM datasets, an XMP packet; empty where there is none."""

    exif: bytes = b""
    iptc: bytes = b""
    xmp: bytes = b""
    unread: tuple[str, ...] = ()


def find_blocks(data: bytes) -> Blocks:
    """The metadata blocks of `data`; of a file that is cut short, those before the cut."""
    match sniff(data):
        case Format.JPEG:
            return _bounded(*_jpeg(data))
        case Format.PNG:
            return _png(data)
        case Format.WEBP:
            chunks = dict(_webp_chunks(data))
            return _bounded(_bare_exif(chunks.get(b"EXIF", b"")), b"", chunks.get(b"XMP ", b""))
        case Format.HEIF:
            return _heif(data)
        case _:
            return Blocks()


def _bounded(exif: bytes, iptc: bytes, xmp: bytes) -> Blocks:
    if len(xmp) > MAX_XMP_BYTES:
        return Blocks(exif, iptc, unread=("xmp",))
    return Blocks(exif, iptc, xmp)


def _bare_exif(block: bytes) -> bytes:
    return block[len(_EXIF) + 1 :] if block.startswith(_EXIF) else block


def _jpeg(data: bytes) -> tuple[bytes, bytes, bytes]:
    exif: list[bytes] = []  # what is more than 64 KiB goes on in the next segment
    resources: list[bytes] = []
    xmp = b""
    for marker, body in _jpeg_segments(data):
        if marker == 0xE1 and body.startswith(_EXIF):
            exif.append(_bare_exif(body))
        elif marker == 0xE1 and body.startswith(_XMP) and not xmp:
            xmp = body[len(_XMP) :]
        elif marker == 0xED and body.startswith(_PHOTOSHOP):
            resources.append(body[len(_PHOTOSHOP) :])
    return b"".join(exif), _iptc_resource(b"".join(resources)), xmp


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of the segments before the first scan (ITU-T T.81, annex B)."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _END:
            return
        if marker == 0xFF:  # fill
            at += 1
        elif marker in _STANDALONE:
            at += 2
        else:
            end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            yield marker, data[at + 4 : end]
            at = max(end, at + 4)


def _iptc_resource(resources: bytes) -> bytes:
    """The IPTC-IIM datasets among Photoshop's image resources ("Image Resource Blocks" of its file format)."""
    at = 0
    while resources[at : at + 4] == b"8BIM" and at + 7 <= len(resources):
        kind = int.from_bytes(resources[at + 4 : at + 6], "big")
        name_bytes = 1 + resources[at + 6]
        at += 6 + name_bytes + name_bytes % 2
        size = int.from_bytes(resources[at : at + 4], "big")
        if kind == _IPTC_RESOURCE:
            return resources[at + 4 : at + 4 + size]
        at += 4 + size + size % 2
    return b""


def _png(data: bytes) -> Blocks:
    exif = xmp = b""
    unread: tuple[str, ...] = ()
    for kind, body in _png_chunks(data):
        if kind == b"eXIf" and not exif:
            exif = _bare_exif(body)
        elif kind == b"iTXt" and body.startswith(_PNG_XMP) and not xmp:
            try:
                xmp = _png_text(body[len(_PNG_XMP) :])
            except (zlib.error, ValueError):
                unread = ("xmp",)
    blocks = _bounded(exif, b"", xmp)
    return Blocks(blocks.exif, blocks.iptc, blocks.xmp, unread + blocks.unread)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        yield kind, data[at + 8 : at + 8 + size] if kind in {b"eXIf", b"iTXt"} else b""
        at += 12 + size


def _png_text(body: bytes) -> bytes:
    """The text of an iTXt chunk after its keyword: a flag, a method, a language, a translated keyword, the text."""
    _, _, text = body[2:].split(b"\0", 2)
    if body[0] == 0:
        return text
    return zlib.decompressobj().decompress(text, MAX_XMP_BYTES + 1)


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        kind = data[at : at + 4]
        yield kind, data[at + 8 : at + 8 + size] if kind in {b"EXIF", b"XMP "} else b""
        at += 8 + size + size % 2


def _heif(data: bytes) -> Blocks:
    try:
        from pillow_heif.as_plugin import HeifImageFile
    except ImportError:  # without the reader no such photo is decoded either
        return Blocks()
    try:
        info = HeifImageFile(io.BytesIO(data)).info  # type: ignore[no-untyped-call]  # the package has no types
    except (OSError, SyntaxError, ValueError, EOFError, RuntimeError, struct.error):
        return Blocks(unread=("heif",))
    return _bounded(_bare_exif(info.get("exif") or b""), b"", info.get("xmp") or b"")
