"""Metadata written byte by byte, for tests of what is read from it."""

import struct
import zlib
from xml.sax.saxutils import escape, quoteattr

from miradouro.core.metadata import PhotoMetadata, read_metadata

from tests.pictures import jpeg

PLAIN = jpeg(32, 24)
NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
}

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SLONG = 1, 2, 3, 4, 5, 7, 9
SIZES = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, UNDEFINED: 1, SLONG: 4}
CODES = {BYTE: "B", SHORT: "H", LONG: "I", SLONG: "i"}
UTF8_MARKER = (1, 90, b"\x1b%G")


def rationals(order: str, *pairs: tuple[int, int]) -> bytes:
    """Fractions as TIFF stores them."""
    return struct.pack(f"{order}{2 * len(pairs)}I", *(number for pair in pairs for number in pair))


def tiff(order: str = "<", main=None, exif=None, gps=None, pointer_type: int = LONG) -> bytes:
    """A TIFF structure with up to three directories: tag → (type, bytes). Pointers between them are of `pointer_type`."""
    directories = {None: dict(main or {}), 0x8769: exif, 0x8825: gps}
    for pointer in (0x8769, 0x8825):
        if directories[pointer] is not None:
            directories[None][pointer] = (pointer_type, bytes(SIZES[pointer_type]))
    out = bytearray((b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8))
    pointers = {}
    for pointer, directory in directories.items():
        if directory is None:
            continue
        if pointer is not None:
            struct.pack_into(f"{order}{CODES[pointer_type]}", out, pointers[pointer], len(out))
        at, values = len(out), len(out) + 2 + 12 * len(directory) + 4
        out += bytes(values - at)
        struct.pack_into(f"{order}H", out, at, len(directory))
        for number, (tag, (kind, raw)) in enumerate(sorted(directory.items())):
            entry = at + 2 + 12 * number
            struct.pack_into(f"{order}HHI", out, entry, tag, kind, len(raw) // SIZES[kind])
            pointers[tag] = entry + 8
            if len(raw) <= 4:
                out[entry + 8 : entry + 12] = raw.ljust(4, b"\0")
            else:
                struct.pack_into(f"{order}I", out, entry + 8, len(out))
                out += raw
    return bytes(out)


def iim(*datasets: tuple[int, int, bytes]) -> bytes:
    """IPTC-IIM datasets: record, number, value."""
    return b"".join(struct.pack(">BBBH", 0x1C, record, number, len(value)) + value for record, number, value in datasets)


def photoshop(block: bytes, name: bytes = b"") -> bytes:
    """Image resources as Photoshop keeps them: a resolution, the IPTC block, a caption digest."""
    resources = ((0x03ED, bytes(15)), (0x0404, block), (0x0425, bytes(16)))
    pascal = bytes([len(name)]) + name
    pascal += bytes(len(pascal) % 2)
    return b"Photoshop 3.0\0" + b"".join(
        b"8BIM" + struct.pack(">H", kind) + pascal + struct.pack(">I", len(body)) + body + bytes(len(body) % 2)
        for kind, body in resources
    )


def with_segments(jpeg: bytes, *segments: tuple[int, bytes]) -> bytes:
    """`jpeg` with these segments, marker and content, right after its start."""
    return jpeg[:2] + b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments) + jpeg[2:]


def xmp(title=None, description=None, subject=(), *, before: str = "") -> bytes:
    """An XMP packet. Texts are given as language → text."""

    def alternatives(name: str, texts: dict[str, str] | None) -> str:
        items = "".join(
            f"<rdf:li xml:lang={quoteattr(language)}>{escape(text)}</rdf:li>" for language, text in (texts or {}).items()
        )
        return f"<dc:{name}><rdf:Alt>{items}</rdf:Alt></dc:{name}>" if texts else ""

    keywords = "".join(f"<rdf:li>{escape(word)}</rdf:li>" for word in subject)
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{before}
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4">
<dc:creator><rdf:Seq><rdf:li>Somebody Else</rdf:li></rdf:Seq></dc:creator>
{alternatives("title", title)}{alternatives("description", description)}<dc:subject><rdf:Bag>{keywords}</rdf:Bag></dc:subject>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()


def packet(properties: str, *, attributes: str = "", before: str = "") -> bytes:
    """An XMP packet with these properties, and these attributes of their description, under the customary prefixes."""
    names = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{before}<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""{names} {attributes}>
{properties}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG: its length, kind, content and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(png: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """`png` with these chunks, kind and content, right after its header."""
    return png[:33] + b"".join(png_chunk(kind, body) for kind, body in chunks) + png[33:]


def raw_profile(name: bytes, body: bytes) -> bytes:
    """A profile as ImageMagick and others put it into a text: its name, its length, hexadecimal digits in lines of 72."""
    digits = body.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return b"\n" + name + f"\n{len(body):8}\n{lines}\n".encode()


def said_by_exif(order="<", **directories) -> PhotoMetadata:
    """What is read from a JPEG with these TIFF directories."""
    return read_metadata(with_segments(PLAIN, (0xE1, b"Exif\0\0" + tiff(order, **directories))))


def said_by_iptc(*datasets) -> PhotoMetadata:
    """What is read from a JPEG with these IPTC datasets."""
    return read_metadata(with_segments(PLAIN, (0xED, photoshop(iim(*datasets)))))


def said_by_xmp(packet: bytes) -> PhotoMetadata:
    """What is read from a JPEG with this XMP packet."""
    return read_metadata(with_segments(PLAIN, (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)))


def gps(
    order="<", latitude=((38, 1), (42, 1), (279, 10)), longitude=((9, 1), (8, 1), (117_312, 10_000)), north=b"N\0", east=b"W\0"
):
    """A GPS directory, of a place in Lisbon by default."""
    return {
        1: (ASCII, north),
        2: (RATIONAL, rationals(order, *latitude)),
        3: (ASCII, east),
        4: (RATIONAL, rationals(order, *longitude)),
    }
