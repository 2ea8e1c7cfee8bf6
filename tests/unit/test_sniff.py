"""Pictures are recognised by their first bytes or by their name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.sniff import SNIFF_BYTES, Format, avif_sample_bytes, is_picture_name, sniff, webp_exif, webp_size
from PIL import Image

from tests.pictures import blocks, encode

WRITTEN = {
    "JPEG": Format.JPEG,
    "PNG": Format.PNG,
    "WEBP": Format.WEBP,
    "GIF": Format.GIF,
    "BMP": Format.BMP,
    "TIFF": Format.TIFF,
    "AVIF": Format.AVIF,
    "JPEG2000": Format.JPEG_2000,
}


@pytest.mark.parametrize("file_format", WRITTEN)
def test_real_files_are_recognised_by_their_first_bytes(file_format):
    assert sniff(encode(blocks(60, 40), file_format)[:SNIFF_BYTES]) is WRITTEN[file_format]


def test_heif_and_avif_differ_though_both_name_mif1():
    assert sniff(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic") is Format.HEIF
    assert sniff(b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif") is Format.AVIF


@pytest.mark.parametrize("data", [b"", b"BM is how this text begins", b"RIFF....WAVE", b"GIF", b"\0\0\0\x18ftypmp42"])
def test_other_bytes_are_no_picture(data):
    assert sniff(data) is None


@given(st.binary(max_size=64))
def test_any_bytes_have_an_answer(data):
    assert sniff(data) is None or isinstance(sniff(data), Format)
    webp_size(data)
    webp_exif(b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x08" + data)
    assert 1 <= avif_sample_bytes(data + b"av1C" + data, has_alpha=True) <= 8


def test_the_first_exif_of_a_webp_is_found():
    data = encode(blocks(123, 45), "WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0")

    assert webp_exif(data).endswith(b"II*\0\x08\0\0\0\0\0")
    assert webp_exif(encode(blocks(123, 45), "WEBP")) == b""


@pytest.mark.parametrize(("subsampling", "plane_bytes"), [("4:2:0", 2), ("4:2:2", 2), ("4:4:4", 3), ("4:0:0", 1)])
def test_the_planes_of_an_avif_are_counted(subsampling, plane_bytes):
    data = encode(blocks(64, 48), "AVIF", subsampling=subsampling, speed=10)

    assert avif_sample_bytes(data, has_alpha=False) == plane_bytes


@pytest.mark.parametrize(("name", "expected"), [("a.jpg", True), ("A.JPEG", True), ("x.y.WebP", True), ("b.gif", True)])
def test_picture_names(name, expected):
    assert is_picture_name(name) is expected


@pytest.mark.parametrize("name", ["jpg", ".jpg", "a.txt", "a.jpg.txt", "a", "a.", "a.json"])
def test_other_names(name):
    assert not is_picture_name(name)


@pytest.mark.parametrize("options", [{"lossless": True}, {"lossless": False}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}])
def test_a_webp_has_the_size_in_its_header(options):
    assert webp_size(encode(blocks(123, 45), "WEBP", **options)) == (123, 45)


def test_an_animated_webp_has_its_canvas_size():
    frames = [Image.new("RGB", (64, 48), colour) for colour in ((255, 0, 0), (0, 255, 0))]

    assert webp_size(encode(frames[0], "WEBP", save_all=True, append_images=frames[1:])) == (64, 48)
