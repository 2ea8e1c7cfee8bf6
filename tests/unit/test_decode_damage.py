"""Damage that costs no pixel does not matter; damage that does is named, with how much was there."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miradouro.core.decode import decode
from miradouro.core.errors import BadPhoto

from tests.decoding import SMALL, pixels_of, reason_of
from tests.hostile_photos import flat_png, png_chunk
from tests.metadata_blocks import tiff, with_segments
from tests.pictures import SQUASH, blocks, encode

JPEGS = {
    "baseline": encode(blocks(300, 200, cell=7), "JPEG", quality=90),
    "progressive": encode(blocks(300, 200, cell=7), "JPEG", quality=90, progressive=True),
    "restarts": encode(blocks(300, 200, cell=7), "JPEG", quality=90, restart_marker_rows=1),
    "grey": encode(blocks(300, 200, cell=7)[:, :, 0], "JPEG", quality=90),
}
PNG = encode(blocks(300, 200, cell=7), "PNG")


@pytest.mark.parametrize("name", JPEGS)
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_may_lack_its_end_marker(name, missing):
    assert np.array_equal(pixels_of(JPEGS[name][:-missing]), pixels_of(JPEGS[name]))


@pytest.mark.parametrize("name", JPEGS)
@pytest.mark.parametrize("missing", [10, 60, 400])
def test_a_jpeg_that_lacks_pixels_is_truncated(name, missing):
    with pytest.raises(BadPhoto, match=r"JPEG data ends after [\d,]+ bytes, (in row \d+ of 200|before its last scan)") as caught:
        decode(JPEGS[name][:-missing], [SQUASH])
    assert caught.value.reason == "truncated"


def test_a_progressive_jpeg_cut_between_scans_is_truncated():
    data = JPEGS["progressive"]

    assert reason_of(data[: data.rindex(b"\xff\xc4")]) == "truncated"  # the tables of the last scan


def before_pixels(*chunks: bytes) -> bytes:
    """PNG with further chunks before its pixels."""
    at = PNG.index(b"IDAT") - 4
    return PNG[:at] + b"".join(chunks) + PNG[at:]


def wrong_checksum(kind: bytes, body: bytes) -> bytes:
    return png_chunk(kind, body)[:-4] + b"\0\0\0\0"


ODD_CHUNKS = {
    "text with a wrong checksum": wrong_checksum(b"tEXt", b"Title\0Lisbon"),
    "packed text of 2 MiB": png_chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(2 * 2**20))),
    "profile that is no profile": png_chunk(b"iCCP", b"x"),
    "physical size cut short": png_chunk(b"pHYs", b"\0"),
    "gamma cut short": png_chunk(b"gAMA", b""),
    "animation without frames": png_chunk(b"acTL", b"\0"),
    "transparency of a wrong size": png_chunk(b"tRNS", b"\0"),
    "transparency with a wrong checksum": wrong_checksum(b"tRNS", b"\0" * 6),
    "exif that is no exif": png_chunk(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff"),
    "unknown": png_chunk(b"abCd", b"\0" * 100),
}


@pytest.mark.parametrize("name", ODD_CHUNKS)
def test_odd_ancillary_png_chunks_do_not_matter(name):
    assert np.array_equal(pixels_of(before_pixels(ODD_CHUNKS[name])), pixels_of(PNG))


@pytest.mark.parametrize("end", [PNG[:-12], PNG[:-14], PNG[:-5], PNG[:-12] + b"garbage"], ids=len)
def test_a_png_may_lack_its_end_marker(end):
    assert np.array_equal(pixels_of(end), pixels_of(PNG))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_png_that_lacks_pixels_is_truncated(interlaced, kept):
    data = flat_png(900, 700, interlaced=interlaced)

    with pytest.raises(BadPhoto, match=r"[\d,]+ bytes that end within its pixels") as caught:
        decode(data[: int(len(data) * kept)], [SQUASH])
    assert caught.value.reason == "truncated"


def test_damaged_metadata_of_a_jpeg_does_not_matter():
    exif = b"Exif\0\0" + tiff(main={0x011A: (5, struct.pack("<II", 72, 1)), 0x010E: (2, b"x" * 200)})[:40]
    odd = [(0xE1, exif), (0xED, b"Photoshop 3.0\x008BIM\xff"), (0xE2, b"ICC_PROFILE\0"), (0xE2, b"MPF\0MM"), (0xE0, b"JFXX")]
    data = with_segments(JPEGS["baseline"], *odd)

    assert np.array_equal(pixels_of(data), pixels_of(JPEGS["baseline"]))


def test_only_the_first_exif_block_turns_a_jpeg():
    turned, other = tiff(main={0x0112: (3, b"\x06\0")}), tiff(main={0x0112: (3, b"\x03\0")})
    data = with_segments(JPEGS["baseline"], (0xE1, b"Exif\0\0" + turned), (0xE1, b"Exif\0\0" + other))

    assert decode(data, [SMALL]).width == 200


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(JPEGS)), kept=st.floats(0, 1))
def test_a_jpeg_cut_anywhere_is_whole_or_refused(name, kept):
    data = JPEGS[name]
    cut = data[: int(len(data) * kept)]
    try:
        pixels = pixels_of(cut)
    except BadPhoto:
        return
    assert np.array_equal(pixels, pixels_of(data))
