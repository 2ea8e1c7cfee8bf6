"""Photos whose metadata are made to cost much: by name, each of `size` bytes in all, or little and meant to swell."""

import struct
import zlib
from collections.abc import Callable

from tests.metadata_blocks import ASCII, BYTE, PLAIN, RATIONAL, UNDEFINED, iim, photoshop, png_chunk, tiff, with_segments, xmp
from tests.pictures import blocks, encode

_XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_PNG = encode(blocks(64, 48), "PNG")
_WEBP = encode(blocks(64, 48), "WEBP")


def hostile_photos(size: int) -> dict[str, Callable[[], bytes]]:
    """What each photo is called, and the function that makes it."""
    return {
        # JPEG
        "jpeg: fill bytes": lambda: PLAIN[:2] + b"\xff" * size + PLAIN[2:],
        "jpeg: fill bytes between segments": lambda: _jpeg_parts(b"\xff" * 999 + b"\xff\xfe\0\2", size),
        "jpeg: empty segments": lambda: _jpeg_parts(b"\xff\xe2\0\2", size),
        "jpeg: segments of length zero": lambda: _jpeg_parts(b"\xff\xe2\0\0", size),
        "jpeg: markers without length": lambda: _jpeg_parts(b"\xff\x01", size),
        "jpeg: comments": lambda: _jpeg_parts(_segment(0xFE, b"word " * 13_000), size),
        "jpeg: EXIF segments": lambda: _jpeg_parts(_segment(0xE1, b"Exif\0\0" + b"II*\0" + bytes(65_000)), size),
        "jpeg: one EXIF block over many segments": lambda: _jpeg_exif(_tiff_fractions(size)),
        "jpeg: XMP segments": lambda: _jpeg_parts(_segment(0xE1, _XMP_SEGMENT + b"<a>" * 21_000), size),
        "jpeg: Photoshop segments": lambda: _jpeg_parts(_segment(0xED, b"Photoshop 3.0\0" + b"x" * 65_000), size),
        "jpeg: Photoshop resources": lambda: _jpeg_app13((b"8BIM\x04\x00\0\0\0\0\0\0") * (size // 12)),
        "jpeg: IPTC datasets": lambda: _jpeg_app13(photoshop(iim((2, 25, b"w")) * (size // 6)).removeprefix(b"Photoshop 3.0\0")),
        "jpeg: IPTC length of a length": lambda: _jpeg_app13(
            photoshop((b"\x1c\x02\x19\xff\xff" + b"\xff" * 32_767) * max(1, size // 32_772)).removeprefix(b"Photoshop 3.0\0")
        ),
        # EXIF, in the chunk of a WebP that has no bound of its own
        "exif: place of many fractions": lambda: _webp(b"EXIF", _tiff_fractions(size)),
        "exif: directory of many values": lambda: _webp(b"EXIF", _tiff_entries()),
        "exif: texts": lambda: _webp(b"EXIF", tiff(main=_long_texts())),
        "exif: comment": lambda: _webp(b"EXIF", tiff(exif={0x9286: (UNDEFINED, b"UNICODE\0" + b"ab" * 2**17)})),
        "exif: Japanese comment": lambda: _webp(b"EXIF", tiff(exif={0x9286: (UNDEFINED, b"JIS\0\0\0\0\0" + b"\x1b$B" * 2**16)})),
        "exif: directories that point to themselves": lambda: _webp(b"EXIF", _tiff_loop()),
        # XMP
        "xmp: elements": lambda: _xmp(b"<a/>" * (size // 4)),
        "xmp: depth": lambda: _xmp(b"<a>" * (size // 3)),
        "xmp: attributes": lambda: _xmp(b"<a " + b'b="" ' * (size // 5) + b">"),
        "xmp: distinct attributes": lambda: _xmp(b"<a " + b"".join(b'b%d="" ' % n for n in range(size // 12)) + b"/>"),
        "xmp: namespaces": lambda: _xmp(b"<a " + b"".join(b'xmlns:n%d="u" ' % n for n in range(size // 16)) + b"/>"),
        "xmp: quotes": lambda: _xmp(b"<a b=" + b"\"'" * (size // 2)),
        "xmp: long names": lambda: _xmp(b"<a" + b"b" * size),
        "xmp: end tags of nothing": lambda: _xmp(b"</b>" * (size // 4)),
        "xmp: deep and shut wrongly": lambda: _xmp(b"<a>" * (2**20 // 8) + b"</b>" * (2**20 // 8)),
        "xmp: words": lambda: _webp(b"XMP ", xmp(subject=["w"] * (size // 20))),
        "xmp: bare ampersands": lambda: _xmp_title(b"& " * (size // 2)),
        "xmp: references": lambda: _xmp_title(b"&amp;" * (size // 5)),
        "xmp: open brackets": lambda: _xmp_title(b"<" * size),
        "xmp: open comments": lambda: _xmp_title(b"<!-- " * (size // 5)),
        "xmp: open sections": lambda: _xmp_title(b"<![CDATA[ " * (size // 10)),
        "xmp: open instructions": lambda: _xmp_title(b"<?a " * (size // 4)),
        "xmp: wrong bytes": lambda: _xmp_title(b"\xe9" * size),
        "xmp: zeros": lambda: _webp(b"XMP ", bytes(size)),
        "xmp: blanks": lambda: _webp(b"XMP ", b" " * size),
        # PNG
        "png: empty chunks": lambda: _png(bytes(4) + b"juNk" + bytes(4), size),
        "png: EXIF chunks": lambda: _png(png_chunk(b"eXIf", b"II*\0" + bytes(2**20)), size),
        "png: texts": lambda: _png(png_chunk(b"tEXt", b"Comment\0" + b"word " * 100_000), size),
        "png: keywords without end": lambda: _png(png_chunk(b"tEXt", b"k" * 1_000), size),
        "png: swelling texts": lambda: _png(png_chunk(b"zTXt", b"Comment\0\0" + _swelling()), size),
        "png: swelling profiles": lambda: _png(
            b"".join(_profile(name) for name in (b"exif", b"EXIF", b"app1", b"iptc", b"8bim", b"xmp", b"icc")), size
        ),
        "png: swelling packet": lambda: _png(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + _swelling(b"<a>")), size),
        "png: digits": lambda: _png(png_chunk(b"tEXt", b"Raw profile type exif\0\nexif\n 9\n" + b"4949\n" * (size // 5)), 0),
        # WebP and HEIF
        "webp: empty chunks": lambda: _riff(_WEBP[12:] + (b"junk" + bytes(4)) * (size // 8)),
        "heif: boxes": lambda: _heif_head() + (struct.pack(">I", 8) + b"free") * (size // 8),
        "heif: items": lambda: _heif_head() + _box(b"meta", bytes(4) + _iinf(size) + _box(b"iloc", bytes(8))),
        "heif: places": lambda: _heif_head() + _box(b"meta", bytes(4) + _iinf(36) + _iloc(size)),
        "heif: the same piece again and again": lambda: (
            _heif_head() + _box(b"meta", bytes(4) + _iinf(36) + _iloc(2**17, same=True)) + bytes(size)
        ),
    }  # fmt: skip


def _jpeg_parts(part: bytes, size: int) -> bytes:
    return PLAIN[:2] + part * (size // len(part)) + PLAIN[2:]


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _split(marker: int, prefix: bytes, body: bytes) -> bytes:
    return with_segments(PLAIN, *((marker, prefix + body[at : at + 65_000]) for at in range(0, len(body), 65_000)))


def _jpeg_exif(block: bytes) -> bytes:
    return _split(0xE1, b"Exif\0\0", block)


def _jpeg_app13(resources: bytes) -> bytes:
    return _split(0xED, b"Photoshop 3.0\0", resources)


def _tiff_fractions(size: int) -> bytes:
    fractions = struct.pack("<2I", 1, 3) * (size // 16)
    return tiff(gps={1: (ASCII, b"N\0"), 2: (RATIONAL, fractions), 3: (ASCII, b"W\0"), 4: (RATIONAL, fractions)})


def _tiff_entries() -> bytes:
    entries = b"".join(struct.pack("<HHII", tag, BYTE, 1, 0) for tag in range(65_535))
    return b"II*\0" + struct.pack("<IH", 8, 65_535) + entries + bytes(4)


def _tiff_loop() -> bytes:
    pointers = b"".join(struct.pack("<HHII", tag, 4, 1, 8) for tag in (0x8769, 0x8825))
    return b"II*\0" + struct.pack("<IH", 8, 2) + pointers + struct.pack("<I", 8)


def _long_texts() -> dict[int, tuple[int, bytes]]:
    """Texts that lie within the bound of a block, and are as long as that allows."""
    size = 2**16
    words = {tag: (BYTE, "a;".encode("utf-16-le") * (size // 4)) for tag in (0x9C9B, 0x9C9C, 0x9C9E)}
    maker = {0x010F: (ASCII, b" m" * (size // 2)), 0x0110: (ASCII, b"n " * (size // 2))}
    return {0x010E: (ASCII, b"a\r\n" * (size // 3)), **maker, **words}


def _riff(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", min(len(chunks) + 4, 2**32 - 1)) + b"WEBP" + chunks


def _webp(kind: bytes, body: bytes) -> bytes:
    return _riff(_WEBP[12:] + kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2))


def _xmp(markup: bytes) -> bytes:
    return _webp(b"XMP ", xmp(subject=["tram"]).replace(b"<dc:creator>", markup + b"<dc:creator>"))


def _xmp_title(text: bytes) -> bytes:
    return _webp(b"XMP ", xmp({"x-default": "tram"}).replace(b"tram", text))


def _png(part: bytes, size: int) -> bytes:
    return _PNG[:33] + part * max(1, size // len(part)) + _PNG[33:]


def _swelling(text: bytes = b"word") -> bytes:
    return zlib.compress(text + b" " * 20_000_000)


def _profile(name: bytes) -> bytes:
    return png_chunk(
        b"zTXt",
        b"Raw profile type " + name + b"\0\0" + zlib.compress(b"\n" + name + b"\n 10000000\n" + b"49492a00\n" * 2_000_000),
    )


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + kind + body


def _heif_head() -> bytes:
    return _box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")


def _iinf(size: int) -> bytes:
    item = _box(b"infe", b"\2\0\0\0" + b"\0\1\0\0" + b"Exif\0")
    return _box(b"iinf", bytes(6) + item * max(1, size // len(item)))


def _iloc(size: int, *, same: bool = False) -> bytes:
    pieces = b"".join(struct.pack(">II", 100, 2**31) for _ in range(65_535 if same else 1))
    item = struct.pack(">HHH", 1, 0, 65_535 if same else 1) + pieces
    return _box(b"iloc", b"\0\0\0\0" + b"\x44\0" + b"\xff\xff" + item * max(1, size // len(item)))
