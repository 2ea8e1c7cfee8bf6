"""Picture formats, recognised by the first bytes of a file or by the end of its name."""

import math
from enum import Enum


class Format(Enum):
    """A picture format; the value is its media type. Those after AVIF are listed so that an error can name them."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    WEBP = "image/webp"
    HEIF = "image/heic"
    AVIF = "image/avif"
    GIF = "image/gif"
    BMP = "image/bmp"
    TIFF = "image/tiff"
    JPEG_2000 = "image/jp2"
    JPEG_XL = "image/jxl"
    PHOTOSHOP = "image/vnd.adobe.photoshop"


SNIFF_BYTES = 32  # first bytes that `sniff` examines
MAX_CHUNKS = 100_000  # chunks of a WebP or boxes of an AVIF that are examined

_WEBP_HAS_EXIF, _WEBP_HAS_PROFILE = 0x08, 0x20
_AVIF_HEADER_BYTES = 2**20  # the head of an AVIF, which describes the pixels

_PREFIXES = (
    (b"\xff\xd8\xff", Format.JPEG),
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"GIF87a", Format.GIF),
    (b"GIF89a", Format.GIF),
    (b"II*\0", Format.TIFF),
    (b"MM\0*", Format.TIFF),
    (b"\0\0\0\x0cjP  \r\n\x87\n", Format.JPEG_2000),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Format.JPEG_XL),
    (b"\xff\x0a", Format.JPEG_XL),
    (b"8BPS\0\x01", Format.PHOTOSHOP),
)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
_EXTENSIONS = frozenset(
    {"jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "heic", "heif", "hif", "avif"}
    | {"gif", "bmp", "dib", "tif", "tiff", "jp2", "j2k", "jpf", "jxl", "psd"}
)


def sniff(data: bytes) -> Format | None:
    """The picture format that `data` (its first SNIFF_BYTES suffice) begins as; None when it is none of Format."""
    for prefix, found in _PREFIXES:
        if data.startswith(prefix):
            return found
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Format.WEBP
    if data[:2] == b"BM" and data[6:10] == b"\0\0\0\0":  # two letters begin many texts; the reserved fields don't
        return Format.BMP
    if data[4:8] == b"ftyp":
        brands = {data[start : start + 4] for start in (8, *range(16, min(len(data), SNIFF_BYTES) - 3, 4))}
        if brands & _AVIF_BRANDS:  # an AVIF names mif1 too, so this goes first
            return Format.AVIF
        if brands & _HEIF_BRANDS:
            return Format.HEIF
    return None


def is_picture_name(name: str) -> bool:
    """Whether a file name has the extension of a picture, in any case; refused formats count, so that they are reported."""
    stem, dot, extension = name.rpartition(".")
    return bool(stem and dot) and extension.lower() in _EXTENSIONS


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels from the header of a WebP (RFC 9649, section 2); None when it is cut short or damaged."""
    chunk = data[12:16]
    if len(data) < 30:
        return None
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L" and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + ((bits >> 14) & 0x3FFF)
    if chunk == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return None


def webp_exif(data: bytes) -> bytes:
    """The first EXIF chunk of a WebP (RFC 9649, section 2.7), empty where there is none among MAX_CHUNKS chunks."""
    return _webp_chunk(data, b"EXIF", _WEBP_HAS_EXIF)


def webp_profile(data: bytes) -> bytes:
    """The first ICC profile of a WebP, empty where there is none among MAX_CHUNKS chunks."""
    return _webp_chunk(data, b"ICCP", _WEBP_HAS_PROFILE)


def _webp_chunk(data: bytes, kind: bytes, flag: int) -> bytes:
    at = 12
    if data[12:16] != b"VP8X" or len(data) < 21 or not data[20] & flag:
        return b""
    for _ in range(MAX_CHUNKS):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == kind:
            return data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
        if at >= len(data):
            break
    return b""


def avif_sample_bytes(data: bytes, *, has_alpha: bool) -> int:
    """Bytes a pixel of the decoded planes of an AVIF, rounded up, by its `av1C` boxes (AV1 in ISOBMFF, section 2.3)."""
    most, at = 0.0, 0
    for _ in range(MAX_CHUNKS):
        at = data.find(b"av1C", at + 1, _AVIF_HEADER_BYTES)
        if at < 0 or at + 7 > len(data):
            break
        flags = data[at + 6]  # high_bitdepth 0x40, monochrome 0x10, subsampling in x 0x08 and in y 0x04
        colours = 0 if flags & 0x10 else 2 / ((2 if flags & 0x08 else 1) * (2 if flags & 0x04 else 1))
        most = max(most, (1 + colours + has_alpha) * (2 if flags & 0x40 else 1))
    return math.ceil(most or 3 + has_alpha)


def avif_colour_numbers(data: bytes) -> tuple[int, int] | None:
    """Colour primaries and transfer characteristics (H.273) of the first `colr` box of type nclx in an AVIF; None for none."""
    at = data.find(b"colrnclx", 0, _AVIF_HEADER_BYTES)
    if at < 0 or at + 12 > len(data):
        return None
    return int.from_bytes(data[at + 8 : at + 10], "big"), int.from_bytes(data[at + 10 : at + 12], "big")
