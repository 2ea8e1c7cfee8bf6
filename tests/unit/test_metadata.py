"""Metadata is read from every format, and damage costs only the damaged fields."""

import importlib
import io
import struct
import tracemalloc
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miradouro.core.document import GeoPoint, TakenAt
from miradouro.core.event import MAX_TAGS, MAX_TITLE_CHARS
from miradouro.core.metadata import PhotoMetadata, read_metadata
from miradouro.core.metadata.bounds import MAX_XMP_BYTES
from PIL import Image, PngImagePlugin

from tests.metadata_blocks import (
    ASCII,
    BYTE,
    PLAIN,
    UTF8_MARKER,
    gps,
    iim,
    photoshop,
    tiff,
    with_segments,
    xmp,
)
from tests.pictures import blocks, encode

LISBON = GeoPoint(38.70775, -9.136592)


def pillow_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = "Tram on a hill"
    exif[0x010F], exif[0x0110] = "LEICA CAMERA AG", "LEICA Q3"
    exif.get_ifd(0x8769).update({0x9003: "2024:05:01 18:30:15", 0x9011: "+01:00", 0x9291: "250"})
    exif.get_ifd(0x8825).update({1: "N", 2: (38.0, 42.0, 27.9), 3: "W", 4: (9.0, 8.0, 11.7312)})
    return exif


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_every_format_yields_time_place_camera_and_words(file_format):
    packet = xmp({"x-default": "Eléctrico"}, {"x-default": "Nas colinas"}, ["tram", "Lisboa"])
    options = {"exif": pillow_exif(), "xmp": packet}
    if file_format == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", packet.decode())
        options = {"exif": pillow_exif(), "pnginfo": texts}

    found = read_metadata(encode(blocks(64, 48), file_format, **options))

    assert found.title == "Eléctrico"
    assert found.caption == "Nas colinas"
    assert found.tags == ("tram", "Lisboa")
    assert found.camera == "LEICA Q3"
    assert found.taken_at == TakenAt(datetime(2024, 5, 1, 17, 30, 15, 250_000, tzinfo=UTC), 60)
    assert (found.place.latitude, found.place.longitude) == pytest.approx((LISBON.latitude, LISBON.longitude), abs=1e-9)
    assert found.unread == ()


def test_heif_is_read_where_its_reader_is_installed():
    plugin = importlib.import_module("pillow_heif")  # plain: a machine without it must not pass
    out = io.BytesIO()
    plugin.from_pillow(Image.fromarray(blocks(64, 48))).save(out, exif=pillow_exif().tobytes(), xmp=xmp(subject=["tram"]))

    found = read_metadata(out.getvalue())

    assert (found.camera, found.tags, found.caption) == ("LEICA Q3", ("tram",), "Tram on a hill")


def test_a_compressed_packet_in_a_png_is_read():
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", xmp(subject=["tram"]).decode(), zip=True)

    assert read_metadata(encode(blocks(64, 48), "PNG", pnginfo=texts)).tags == ("tram",)


def test_a_decompression_bomb_is_skipped_without_using_memory():
    body = b"XML:com.adobe.xmp\0\x01\0\0\0" + zlib.compress(b"<a>" + b" " * 50_000_000)
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))
    png = encode(blocks(64, 48), "PNG")
    swelling = png[:33] + chunk + png[33:]

    tracemalloc.start()
    found = read_metadata(swelling)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found.unread == ("xmp",)
    assert peak_bytes < 5 * MAX_XMP_BYTES


def test_a_damaged_compressed_packet_is_skipped_and_named():
    body = b"XML:com.adobe.xmp\0\x01\0\0\0not compressed"
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))
    png = encode(blocks(64, 48), "PNG", exif=pillow_exif())
    found = read_metadata(png[:33] + chunk + png[33:])

    assert (found.camera, found.unread) == ("LEICA Q3", ("xmp",))


def test_a_packet_is_read_up_to_its_limit():
    packet = xmp(subject=["tram"])
    fits = encode(blocks(64, 48), "WEBP", xmp=packet + b" " * (MAX_XMP_BYTES - len(packet)))
    too_large = encode(blocks(64, 48), "WEBP", xmp=packet + b" " * (MAX_XMP_BYTES - len(packet) + 1))

    assert read_metadata(fits).tags == ("tram",)
    assert read_metadata(too_large) == PhotoMetadata(tags=("tram",), rating=4, unread=("xmp",))


def test_a_block_of_odd_length_keeps_the_next():
    exif = b"Exif\0\0" + tiff(main={0x0110: (ASCII, b"DC-S5")})
    webp = [encode(blocks(64, 48), "WEBP", exif=exif + bytes(more), xmp=xmp(subject=["tram"])) for more in (0, 1)]

    assert {read_metadata(data).tags for data in webp} == {("tram",)}


def test_fill_bytes_between_segments_are_passed_over():
    data = with_segments(PLAIN, (0xED, photoshop(iim((2, 25, b"tram")))))

    assert read_metadata(data[:2] + b"\xff\xff\xff" + data[2:]).tags == ("tram",)


def test_bytes_after_the_scan_starts_are_not_metadata():
    press = (0xED, photoshop(iim((2, 25, b"tram"))))

    assert read_metadata(with_segments(PLAIN, (0xDA, b"scan"), press)) == PhotoMetadata()
    assert read_metadata(with_segments(PLAIN, (0xFE, b"note"), press)).tags == ("tram",)


def test_a_photo_without_metadata_has_empty_fields():
    assert read_metadata(PLAIN) == PhotoMetadata()
    assert read_metadata(b"") == PhotoMetadata()
    assert read_metadata(b"GIF89a and more") == PhotoMetadata()


def test_exif_across_several_segments_is_joined():
    block = tiff(main={0x010E: (ASCII, b"x" * 70_000), 0x0110: (ASCII, b"DC-S5")})
    segments = [(0xE1, b"Exif\0\0" + block[:65_000]), (0xE1, b"Exif\0\0" + block[65_000:])]

    assert read_metadata(with_segments(PLAIN, *segments)).camera == "DC-S5"


def test_each_field_comes_from_its_best_source():
    exif = tiff(main={0x010E: (ASCII, b"exif caption"), 0x9C9B: (BYTE, "exif title".encode("utf-16-le")), 0x0110: (ASCII, b"Q3")})
    press = photoshop(iim((2, 5, b"iptc title"), (2, 25, b"iptc tag")))
    packet = xmp(subject=["xmp tag"])
    segments = [(0xE1, b"Exif\0\0" + exif), (0xED, press), (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)]

    found = read_metadata(with_segments(PLAIN, *segments))

    assert found == PhotoMetadata(title="iptc title", caption="exif caption", tags=("xmp tag",), camera="Q3", rating=4)


def test_xmp_goes_before_iptc_and_iptc_before_exif():
    windows = {0x9C9B: (BYTE, "exif".encode("utf-16-le")), 0x9C9E: (BYTE, "exif".encode("utf-16-le"))}
    exif = (0xE1, b"Exif\0\0" + tiff(main={0x010E: (ASCII, b"exif"), **windows}))
    press = (0xED, photoshop(iim((2, 5, b"iptc"), (2, 120, b"iptc"), (2, 25, b"iptc"))))
    packet = (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp({"x-default": "xmp"}, {"x-default": "xmp"}, ["xmp"]))

    for segments, source in (((exif,), "exif"), ((exif, press), "iptc"), ((press, packet, exif), "xmp")):
        found = read_metadata(with_segments(PLAIN, *segments))
        assert (found.title, found.caption, found.tags) == (source, source, (source,))


def test_damage_in_one_block_spares_the_others():
    segments = [(0xE1, b"Exif\0\0damaged"), (0xED, photoshop(iim((2, 25, b"tram")))), (0xE1, b"http://ns.adobe.com/xap/1.0/\0<a")]

    assert read_metadata(with_segments(PLAIN, *segments)) == PhotoMetadata(tags=("tram",), unread=("exif", "xmp"))


FULL = with_segments(
    PLAIN,
    (0xE1, b"Exif\0\0" + tiff(main={0x010E: (ASCII, b"Tram on a hill"), 0x0110: (ASCII, b"Q3")}, exif={}, gps=gps())),
    (0xED, photoshop(iim(UTF8_MARKER, (2, 5, b"Tram"), (2, 25, b"one"), (2, 25, b"two")))),
    (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp({"x-default": "T"}, None, ["x"])),
)
HEAD = len(FULL) - len(PLAIN)
FILES = [
    FULL,
    encode(blocks(64, 48), "WEBP", exif=pillow_exif(), xmp=xmp(subject=["x"])),
    encode(blocks(64, 48), "PNG", exif=pillow_exif()),
]


@settings(deadline=None)
@given(st.sampled_from(FILES), st.lists(st.tuples(st.integers(0, HEAD + 20), st.integers(0, 255)), min_size=1, max_size=30))
def test_no_damage_raises(file, changes):
    damaged = bytearray(file)
    for at, value in changes:
        damaged[at % len(file)] = value

    found = read_metadata(bytes(damaged))

    assert len(found.tags) <= MAX_TAGS
    assert len(found.title) <= MAX_TITLE_CHARS


@settings(deadline=None)
@given(st.sampled_from(FILES), st.integers(0, 5_000))
def test_no_cut_raises(file, kept):
    found = read_metadata(file[:kept])

    assert kept < len(file) or found == read_metadata(file)


@settings(deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b""]))
def test_no_tiff_raises(body, header):
    found = read_metadata(with_segments(PLAIN, (0xE1, b"Exif\0\0" + header + body)))

    assert found.taken_at is None or found.taken_at.instant.tzinfo is UTC
