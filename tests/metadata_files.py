"""Photos with metadata of every kind, as cameras and programs write them: name of the file → its bytes."""

import io
import zlib

import pillow_heif
from PIL import Image

from tests.metadata_blocks import (
    ASCII,
    BYTE,
    RATIONAL,
    SHORT,
    SLONG,
    UNDEFINED,
    UTF8_MARKER,
    gps,
    iim,
    packet,
    photoshop,
    rationals,
    raw_profile,
    tiff,
    with_chunks,
    with_segments,
    xmp,
)
from tests.pictures import blocks, encode

_PICTURE = Image.fromarray(blocks(64, 48))
_JPEG, _PNG = encode(blocks(64, 48), "JPEG"), encode(blocks(64, 48), "PNG")
_TIME = b"2024:05:01 18:30:15\0"
_WORDS = xmp({"x-default": "Eléctrico"}, {"x-default": "Nas colinas"}, ["tram", "Lisboa"])
_CAMERA = {0x010F: (ASCII, b"LEICA CAMERA AG\0"), 0x0110: (ASCII, b"LEICA Q3\0")}
_SETTINGS = {0x9003: (ASCII, _TIME), 0x9011: (ASCII, b"+01:00\0"), 0x9291: (ASCII, b"250\0")}
_UPRIGHT = {"main": _CAMERA, "exif": _SETTINGS}
_TURNED = {"main": {**_CAMERA, 0x0112: (SHORT, b"\6\0")}, "exif": _SETTINGS}


def _exif(order: str = "<", **directories) -> bytes:
    return with_segments(_JPEG, (0xE1, b"Exif\0\0" + tiff(order, **directories)))


def _iptc(*datasets) -> bytes:
    return with_segments(_JPEG, (0xED, photoshop(iim(*datasets))))


def _xmp(block: bytes) -> bytes:
    return with_segments(_JPEG, (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + block))


def _text(keyword: bytes, text: bytes, kind: bytes = b"tEXt") -> tuple[bytes, bytes]:
    return (kind, keyword + b"\0\0" + zlib.compress(text)) if kind == b"zTXt" else (kind, keyword + b"\0" + text)


def _profile(name: bytes, body: bytes, kind: bytes = b"zTXt") -> bytes:
    return with_chunks(_PNG, _text(b"Raw profile type " + name, raw_profile(name, body), kind))


def _heic() -> bytes:
    out = io.BytesIO()
    pillow_heif.from_pillow(_PICTURE).save(out, exif=b"Exif\0\0" + tiff(gps=gps(), **_UPRIGHT), xmp=_WORDS)
    return out.getvalue()


def _avif() -> bytes:
    return encode(_PICTURE, "AVIF", exif=tiff(gps=gps(), **_UPRIGHT), xmp=_WORDS)


FILES = {
    "plain.jpg": _JPEG,
    "all.jpg": with_segments(
        _JPEG,
        (0xE1, b"Exif\0\0" + tiff(gps=gps(), **_TURNED)),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + _WORDS),
        (0xED, photoshop(iim(UTF8_MARKER, (2, 5, b"Other"), (2, 25, b"other"), (2, 55, b"20230101")))),
        (0xFE, b"A comment"),
    ),
    "all.png": with_chunks(_PNG, (b"eXIf", tiff(gps=gps(), **_TURNED)), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + _WORDS)),
    "all.webp": encode(_PICTURE, "WEBP", exif=b"Exif\0\0" + tiff(gps=gps(), **_TURNED), xmp=_WORDS),
    "all.heic": _heic(),
    "all.avif": _avif(),
    **{f"turned{n}.jpg": _exif(main={0x0112: (SHORT, bytes([n, 0]))}) for n in range(1, 10)},
    "big.jpg": _exif(">", main={0x0112: (SHORT, b"\0\6"), 0x0110: (ASCII, b"D850")}, exif={0x9003: (ASCII, _TIME)}, gps=gps(">")),
    "south.jpg": _exif(gps=gps(north=b"S\0", east=b"E\0")),
    "minutes.jpg": _exif(gps=gps(latitude=((38, 1), (42465, 1000)), longitude=((9136592, 1_000_000),))),
    "slong.jpg": _exif(gps=gps(), pointer_type=SLONG),
    "nowhere.jpg": _exif(gps={1: (ASCII, b"N\0"), 3: (ASCII, b"W\0")}),
    "windows.jpg": _exif(
        main={
            tag: (BYTE, (text + "\0").encode("utf-16-le"))
            for tag, text in {0x9C9B: "Título", 0x9C9C: "Comentário", 0x9C9E: "tram;Lisboa"}.items()
        }
    ),
    "described.jpg": _exif(main={0x010E: (ASCII, "Um eléctrico\0".encode())}),
    "comment.jpg": _exif(exif={0x9286: (UNDEFINED, b"ASCII\0\0\0A tram\0\0")}),
    "unicode.jpg": _exif(exif={0x9286: (UNDEFINED, b"UNICODE\0" + "Eléctrico".encode("utf-16-le"))}),
    "camera_words.jpg": _exif(
        main={0x010E: (ASCII, b"OLYMPUS DIGITAL CAMERA         \0")}, exif={0x9286: (UNDEFINED, b"ASCII\0\0\0By hand")}
    ),
    "stars.jpg": _exif(main={0x4746: (SHORT, b"\4\0"), 0x4749: (SHORT, b"\x4b\0")}),
    "minute.jpg": _exif(exif={0x9003: (ASCII, b"2024:05:01 18:30\0")}),
    "inside.jpg": _exif(exif={0x9003: (ASCII, b"2024:05:01 18:30:15+02:00\0")}),
    "digitized.jpg": _exif(exif={0x9004: (ASCII, _TIME), 0x9012: (ASCII, b"-03:00\0")}),
    "unset.jpg": _exif(exif={0x9003: (ASCII, b"0000:00:00 00:00:00\0"), 0x9004: (ASCII, _TIME)}),
    "satellites.jpg": _exif(gps={29: (ASCII, b"2024:05:01\0"), 7: (RATIONAL, rationals("<", (18, 1), (30, 1), (155, 10)))}),
    "modified.jpg": _exif(main={0x0132: (ASCII, _TIME)}),
    "press.jpg": _iptc(
        UTF8_MARKER,
        (2, 5, "Eléctrico".encode()),
        (2, 25, b"tram"),
        (2, 25, b"Lisboa"),
        (2, 55, b"20240501"),
        (2, 60, b"183015+0100"),
        (2, 120, b"Nas colinas"),
    ),
    "headline.jpg": _iptc((2, 105, b"Headline"), (2, 120, "“Nas colinas”".encode("cp1252"))),
    "languages.jpg": _xmp(xmp({"pt-PT": "Eléctrico"}, {"x-default": " ", "pt-PT": "Nas colinas"})),
    "attributes.jpg": _xmp(packet("", attributes='dc:title="T" photoshop:DateCreated="2024-05-01T18:30" xmp:Rating="3"')),
    "plain.xmp.jpg": _xmp(packet("<dc:title>T</dc:title><dc:description>D</dc:description>")),
    "place.xmp.jpg": _xmp(packet("", attributes='exif:GPSLatitude="38,42.465N" exif:GPSLongitude="9,8.1955W"')),
    "camera.xmp.jpg": _xmp(packet("", attributes='tiff:Make="Leitz" tiff:Model="M3" xmp:CreateDate="2024-05-01T18:30:15Z"')),
    "profile_exif.png": _profile(b"exif", b"Exif\0\0" + tiff(**_UPRIGHT)),
    "profile_app1.png": _profile(b"APP1", b"Exif\0\0" + tiff(**_UPRIGHT), b"tEXt"),
    "profile_iptc.png": _profile(b"iptc", photoshop(iim((2, 25, b"tram"))).removeprefix(b"Photoshop 3.0\0")),
    "profile_of_exiftool.png": with_chunks(
        _PNG, _text(b"Raw profile type iptc", raw_profile(b"IPTC profile", photoshop(iim((2, 25, b"tram")))[14:]), b"zTXt")
    ),
    "profile_xmp.png": _profile(b"xmp", _WORDS),
    "texts.png": with_chunks(
        _PNG, _text(b"Title", b"Tram"), _text(b"Description", b"On a hill", b"zTXt"), _text(b"Comment", b"A comment")
    ),
    "creation.png": with_chunks(_PNG, _text(b"Creation Time", b"2019:01:02 10:11:12")),
    "creation_mail.png": with_chunks(_PNG, _text(b"Creation Time", b"Wed, 02 Jan 2019 10:11:12 +0100")),
    "modified.png": with_chunks(_PNG, (b"tIME", b"\x07\xe3\1\2\x0a\x0b\x0c")),
    "comment_segment.jpg": with_segments(_JPEG, (0xFE, b"A tram on a hill")),
}

# XMP files beside photos, as Lightroom, darktable and digiKam write them.
XMP_SIDECARS = [
    packet(
        "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Eléctrico</rdf:li></rdf:Alt></dc:title>"
        "<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>Nas colinas</rdf:li></rdf:Alt></dc:description>"
        "<dc:subject><rdf:Bag><rdf:li>tram</rdf:li><rdf:li>Lisboa</rdf:li></rdf:Bag></dc:subject>",
        attributes='xmp:Rating="4" exif:DateTimeOriginal="2024-05-01T18:30:15.25+01:00" tiff:Make="LEICA" tiff:Model="Q3" '
        'exif:GPSLatitude="38,42.465N" exif:GPSLongitude="9,8.1955W"',
    ),
    packet(
        "<dc:title>Tram</dc:title><lr:hierarchicalSubject><rdf:Bag><rdf:li>Places|Lisboa</rdf:li></rdf:Bag></lr:hierarchicalSubject>",
        attributes='exif:DateTimeOriginal="2024:05:01 18:30:15"',
    ),
    packet("<dc:title>Tram</dc:title>", attributes='photoshop:DateCreated="2024-05-01T18:30"'),
]
