"""Photos that cost far more than their bytes are refused before they cost it."""

import time

import numpy as np
import pytest
from miradouro.core.decode import DecodeLimits, decode
from miradouro.core.errors import BadPhoto
from miradouro.core.spaces import Region
from miradouro.core.thumbnail import thumbnail
from PIL import Image

from tests.decoding import SMALL, pixels_of, reason_of
from tests.hostile_photos import (
    flat_png,
    jpeg_of_segments,
    jpeg_with_fill,
    png_bomb_16bit_trns,
    png_of_many_chunks,
    progressive_bomb,
    webp_bomb,
)
from tests.pictures import SQUASH, blocks, encode, jpeg


@pytest.mark.parametrize(("scans", "width", "height"), [(501, 64, 48), (1_000, 4_096, 4_096), (84, 10_000, 10_000)])
def test_too_many_scans_are_refused_before_decoding(scans, width, height):
    data = progressive_bomb(scans, width, height)
    began = time.process_time()

    with pytest.raises(BadPhoto, match=r"more than \d+ scans") as caught:
        decode(data, [SQUASH], reserve=lambda _: pytest.fail("nothing is decoded"))
    assert caught.value.reason == "too_expensive"
    assert time.process_time() - began < 2, "decoding takes minutes"


def test_500_scans_are_decoded():
    assert pixels_of(progressive_bomb(500, 64, 48)).min() == 128


def test_scan_markers_in_metadata_are_no_scans():
    exif = b"Exif\0\0" + b"\xff\xda" * 2_000
    data = encode(blocks(64, 48), "JPEG", progressive=True, exif=exif)
    trailer = data + b"\xff\xda" * 2_000  # what follows the end marker is no part of the photo

    assert np.array_equal(pixels_of(trailer), pixels_of(data))


@pytest.mark.parametrize(
    "data", [jpeg_of_segments(5_000), jpeg_of_segments(5_000, marker=0xE1), png_of_many_chunks(100_001)], ids=len
)
def test_too_many_segments_are_refused(data):
    assert reason_of(data) == "too_expensive"


def test_fill_bytes_cost_little_time():
    data = jpeg_with_fill(8 * 2**20)
    began = time.process_time()

    assert pixels_of(data).shape == (224, 224, 3)
    assert time.process_time() - began < 3  # Pillow alone takes several times as long


@pytest.mark.parametrize("make", [webp_bomb, lambda: png_bomb_16bit_trns(2, 70_000)], ids=["webp", "tall png"])
def test_large_pictures_of_few_bytes_are_refused(make):
    assert reason_of(make()) == "too_many_pixels"


def test_a_photo_above_the_memory_budget_is_refused():
    limits = DecodeLimits()
    wide = flat_png(6_300, 6_300, colour_type=6)
    peaks = []

    def too_large(peak_bytes):
        peaks.append(peak_bytes)
        raise MemoryError

    with pytest.raises(MemoryError):  # what `reserve` raises is the caller's own
        decode(wide, [SMALL], reserve=too_large)
    assert 160 * 2**20 < peaks[0] < limits.max_decode_bytes
    with pytest.raises(BadPhoto, match=r"bytes of memory; allowed: 536,870,912") as caught:
        thumbnail(wide, width=6_300, height=6_300, longest_side=6_300)
    assert caught.value.reason == "too_expensive"


def test_a_second_frame_of_another_size_is_refused():
    data = jpeg(64, 48)
    at = data.index(b"\xff\xc0")
    frame = data[at : at + 19]
    second = frame[:5] + b"\xff\xff\xff\xff" + frame[9:]

    assert reason_of(data[:at] + frame + second + data[at + 19 :]) == "truncated"


def test_a_huge_jpegs_region_is_decoded_more_coarsely():
    data = encode(Image.new("RGB", (9_900, 9_900), (90, 90, 90)), "JPEG", progressive=True)
    peaks = []

    def reserve(peak_bytes):
        peaks.append(peak_bytes)
        raise TimeoutError  # the estimate is what counts

    with pytest.raises(TimeoutError):
        decode(data, [SMALL], region=Region(0.5, 0.5, 0.005, 0.005), reserve=reserve)
    assert peaks[0] < DecodeLimits().max_decode_bytes
