"""What is no photo, or too much of one, is refused with its reason."""

import importlib
import io
import struct
import sys

import numpy as np
import pytest
from miradouro.core.decode import DecodeLimits, decode
from miradouro.core.errors import BadPhoto
from miradouro.core.sniff import Format
from miradouro.core.spaces import Region
from PIL import Image

from tests.decoding import SMALL, pixels_of, reason_of, squashed
from tests.pictures import CROP, SQUASH, blocks, encode, jpeg, png_that_claims


def test_zero_bytes_are_empty():
    assert reason_of(b"") == "empty"


@pytest.mark.parametrize("data", [b"just a text", b"%PDF-1.7", b"%!PS-Adobe-3.0 EPSF", b"SIMPLE  =  T", bytes(100), b"\xff"])
def test_other_data_is_reported_as_no_picture(data):
    assert reason_of(data) == "not_a_photo"


@pytest.mark.parametrize(("file_format", "media_type"), [("GIF", "image/gif"), ("BMP", "image/bmp"), ("TIFF", "image/tiff")])
def test_other_formats_are_refused_by_name(file_format, media_type):
    with pytest.raises(BadPhoto, match=f"{media_type}; convert it to JPEG") as caught:
        decode(encode(blocks(60, 40), file_format), [SQUASH])
    assert caught.value.reason == "unsupported_format"


@pytest.mark.parametrize("data", [b"II*\0\x10\0\0\0CR\x02\0", b"\0\0\0\x18ftypcrx ", b"FUJIFILMCCD-RAW 0201", b"IIRO\x08\0\0\0"])
def test_raw_files_are_refused_by_name(data):
    with pytest.raises(BadPhoto, match="raw file of a camera; convert it to JPEG") as caught:
        decode(data, [SQUASH])
    assert caught.value.reason == "unsupported_format"


def test_heif_is_read_where_its_reader_is_installed():
    plugin = importlib.import_module("pillow_heif")  # plain: a machine without it must not pass
    rgb = blocks(256, 192)
    out = io.BytesIO()
    plugin.from_pillow(Image.fromarray(rgb)).save(out, quality=95)

    decoded = decode(out.getvalue(), [SQUASH])

    assert (decoded.width, decoded.height, decoded.media_type) == (256, 192, "image/heic")
    assert np.abs(decoded.tensors[SQUASH].astype(int) - squashed(rgb)).mean() < 6
    assert reason_of(out.getvalue()[:-500]) == "truncated"


def test_an_error_without_heif_support_shows_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(sys.modules, "pillow_heif.as_plugin", raising=False)

    with pytest.raises(BadPhoto, match=r"extra `heif`.*pip install pillow-heif") as caught:
        decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), [SQUASH])
    assert caught.value.reason == "unsupported_format"


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("kept", [0.05, 0.5, 0.95])
def test_cut_short_is_truncated(file_format, kept):
    data = encode(np.random.default_rng(1).integers(0, 256, (200, 300, 3), dtype=np.uint8), file_format)

    assert reason_of(data[: int(len(data) * kept)]) == "truncated"


@pytest.mark.parametrize("signature", [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\0\0\0WEBP", b"RIFF\x10\0\0\0WEBPVP8X"])
def test_a_bare_signature_is_truncated(signature):
    assert reason_of(signature) == "truncated"


def test_more_bytes_than_the_limit_are_refused():
    assert reason_of(jpeg(), limits=DecodeLimits(max_bytes=1_000)) == "too_many_bytes"


def jpeg_that_claims(width: int, height: int) -> bytes:
    data = jpeg(64, 64)
    at = data.index(b"\xff\xc0") + 5  # height and width
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def webp_that_claims(width: int, height: int) -> bytes:
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


@pytest.mark.parametrize(
    "data", [png_that_claims(20_000, 10_000), jpeg_that_claims(20_000, 10_000), webp_that_claims(16_000, 12_500)]
)
def test_a_bomb_is_refused_by_its_header_alone(data):
    assert len(data) < 5_000
    assert reason_of(data) == "too_many_pixels"


@pytest.mark.parametrize(("file_format", "most"), [("JPEG", 100_000_000), ("PNG", 40_000_000), ("WEBP", 40_000_000)])
def test_only_a_jpeg_may_have_100_megapixels(file_format, most):
    claim = {"JPEG": jpeg_that_claims, "PNG": png_that_claims, "WEBP": webp_that_claims}[file_format]
    width = 10_000

    def accepted(_peak_bytes):
        raise TimeoutError  # the header suffices

    with pytest.raises(TimeoutError):
        decode(claim(width, most // width), [SMALL], reserve=accepted)
    assert reason_of(claim(width, most // width + 1)) == "too_many_pixels"


@pytest.mark.parametrize(("allowed", "png"), [(1_000, 1_000), (40_000_000, 40_000_000), (250_000_000, 100_000_000)])
def test_one_setting_moves_both_pixel_limits(allowed, png):
    limits = DecodeLimits(max_pixels=allowed)

    assert (limits.pixels_of(Format.JPEG), limits.pixels_of(Format.PNG)) == (allowed, png)


@pytest.mark.parametrize("size", [(65_536, 2), (2, 65_536)])
def test_a_side_above_65_535_pixels_is_refused(size):
    assert reason_of(png_that_claims(*size)) == "too_many_pixels"


def test_the_pixel_limit_itself_is_allowed():
    data = encode(blocks(200, 100), "PNG")

    assert decode(data, [SMALL], limits=DecodeLimits(max_pixels=20_000)).width == 200
    assert reason_of(data, limits=DecodeLimits(max_pixels=19_999)) == "too_many_pixels"


def test_a_photo_above_pillows_warning_size_is_decoded():
    data = encode(Image.new("1", (9_500, 9_500), 1), "PNG")  # 90 megapixels: Pillow's own limit is 89.5

    limits = DecodeLimits(max_pixels=250_000_000)

    assert pixels_of(data, SMALL, limits=limits).min() == 255
    assert pixels_of(data, SMALL, limits=limits, region=Region(0, 0, 1, 0.999)).min() == 255


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
def test_a_side_of_one_pixel_is_too_small(size):
    assert reason_of(encode(Image.new("RGB", size), "PNG")) == "too_small"


def test_two_pixels_are_enough():
    assert pixels_of(encode(Image.new("RGB", (2, 2), (9, 8, 7)), "PNG"), CROP)[100, 100].tolist() == [9, 8, 7]


def test_an_extreme_shape_is_decoded():
    assert pixels_of(encode(Image.new("L", (60_000, 2), 50), "PNG"), CROP).mean() == 50
