"""Every kind of photo has one answer: a tensor of the right look, or a reason."""

import concurrent.futures
import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miradouro.core.decode import decode
from miradouro.core.errors import BadPhoto, InvalidArgument
from miradouro.core.fit import source_box
from miradouro.core.pillow import read_by_pillow
from miradouro.core.sniff import Format
from miradouro.core.spaces import Fit, Geometry, Region, Resample
from miradouro.core.thumbnail import thumbnail
from PIL import Image

from tests.decoding import SMALL, pixels_of, squashed
from tests.pictures import CROP, SQUASH, blocks, encode, jpeg, png_that_claims


def test_one_decode_gives_each_distinct_geometry_once():
    decoded = decode(jpeg(640, 480), [SQUASH, CROP, SQUASH, SMALL])

    assert (decoded.width, decoded.height, decoded.media_type) == (640, 480, "image/jpeg")
    assert {g: t.shape for g, t in decoded.tensors.items()} == {SQUASH: (224, 224, 3), CROP: (224, 224, 3), SMALL: (24, 32, 3)}
    assert all(tensor.dtype == np.uint8 for tensor in decoded.tensors.values())


@pytest.mark.parametrize(
    ("file_format", "media_type"), [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("WEBP", "image/webp"), ("AVIF", "image/avif")]
)
def test_formats_are_recognised_by_their_bytes(file_format, media_type):
    rgb = blocks(500, 400)
    decoded = decode(encode(rgb, file_format, quality=95), [SQUASH])

    assert decoded.media_type == media_type
    assert np.abs(decoded.tensors[SQUASH].astype(int) - squashed(rgb)).mean() < 4


def test_squash_resizes_the_whole_photo_with_antialiasing():
    rgb = blocks(500, 400, cell=7)

    assert np.array_equal(pixels_of(encode(rgb, "PNG")), squashed(rgb))


def test_crop_resizes_the_short_side_then_centres():
    rgb = blocks(512, 768, cell=32)
    resized = Image.fromarray(rgb).resize((256, 384), Image.Resampling.BICUBIC)
    expected = np.asarray(resized.crop((16, 80, 240, 304))).astype(int)

    assert np.abs(pixels_of(encode(rgb, "PNG"), CROP) - expected).max() <= 1


def test_strips_and_draft_keep_a_transposed_photos_shape():
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb = blocks(4_233, 4_117, cell=300)
    upright = Image.fromarray(rgb).transpose(Image.Transpose.ROTATE_270)
    expected = np.asarray(upright.resize((32, 24), Image.Resampling.BILINEAR)).astype(int)

    for data in (encode(rgb, "JPEG", exif=exif, quality=95), encode(rgb, "PNG", exif=exif, compress_level=1)):
        assert np.abs(pixels_of(data, SMALL) - expected).mean() < 3


def test_a_small_photo_is_enlarged():
    assert pixels_of(encode(blocks(8, 6, cell=2), "PNG")).shape == (224, 224, 3)


def test_draft_scaling_changes_little_and_keeps_the_size():
    rgb = blocks(3_600, 2_700, cell=150)
    decoded = decode(encode(rgb, "JPEG", quality=95), [SQUASH])

    assert (decoded.width, decoded.height) == (3_600, 2_700)
    assert np.abs(decoded.tensors[SQUASH].astype(int) - squashed(rgb)).mean() < 2


def test_a_region_keeps_its_detail_despite_draft():
    detail = blocks(448, 336, cell=2)
    rgb = np.zeros((2_688, 3_584, 3), np.uint8)
    rgb[336:672, 448:896] = detail

    found = pixels_of(encode(rgb, "JPEG", quality=100, subsampling=0), region=Region(448 / 3_584, 336 / 2_688, 1 / 8, 1 / 8))

    assert np.abs(found - squashed(detail)).mean() < 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_exif_orientation_turns_the_photo_and_its_regions(orientation, file_format):
    upright = Image.fromarray(blocks(600, 400, cell=50))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that, undone on reading, gives the upright photo
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(stored, file_format, exif=exif, quality=100, **({"lossless": True} if file_format == "WEBP" else {}))
    region = Region(0.1, 0.25, 0.4, 0.5)

    decoded = decode(data, [CROP, SMALL])
    part = pixels_of(data, SMALL, region=region)

    expected = decode(encode(upright, "PNG"), [CROP, SMALL])
    assert (decoded.width, decoded.height) == (600, 400)
    for geometry in (CROP, SMALL):
        assert np.abs(decoded.tensors[geometry].astype(int) - expected.tensors[geometry]).mean() < 3
    cut = np.asarray(upright.crop((60, 100, 300, 300)).resize((32, 24), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(part - cut).mean() < 3


def test_a_damaged_exif_block_counts_as_none():
    data = encode(blocks(300, 200), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12broken")

    assert decode(data, [SMALL]).width == 300


def test_an_orientation_out_of_range_counts_as_none():
    exif = Image.Exif()
    exif[0x0112] = 99

    assert decode(encode(blocks(300, 200), "JPEG", exif=exif), [SMALL]).width == 300


def test_cmyk_is_read_as_adobe_writes_it():
    data = encode(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), "JPEG", quality=95)

    assert b"Adobe" in data[:200]
    assert np.abs(pixels_of(data)[100, 100] - [255, 0, 0]).max() < 8


def test_ycck_is_read_as_adobe_writes_it():
    data = encode(Image.new("CMYK", (64, 64), (255, 255, 0, 0)), "JPEG", quality=95)
    at = data.index(b"Adobe") + 11
    inked = data[:at] + b"\x02" + data[at + 1 :]  # the same samples, now said to be YCCK: Y 0, Cb 0, Cr 255, no black

    assert np.abs(pixels_of(inked)[100, 100] - pixels_of(data)[100, 100]).max() > 50
    assert pixels_of(inked)[100, 100].max() <= 255


@pytest.mark.parametrize("level", [0, 1_000, 32_896, 65_535])
def test_16_bit_grey_is_scaled_not_clipped(level):
    data = encode(Image.fromarray(np.full((40, 60), level, np.uint16)), "PNG")

    assert np.abs(pixels_of(data) - level / 257).max() <= 1


def sixteen_bit_png(colour_type: int, *samples: int) -> bytes:
    """A 4 x 4 PNG of one colour with 16 bits per sample."""
    import zlib

    body = (b"\0" + struct.pack(f">{len(samples)}H", *samples) * 4) * 4
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, colour_type, 0, 0, 0)), (b"IDAT", zlib.compress(body)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


@pytest.mark.parametrize(
    ("colour_type", "samples", "rgb"),
    [
        (2, (65_535, 32_896, 0), (255, 128, 0)),
        (6, (65_535, 32_896, 0, 65_535), (255, 128, 0)),
        (6, (0, 0, 0, 32_896), (127, 127, 127)),
        (4, (0, 32_896), (127, 127, 127)),
    ],
)
def test_16_bit_colour_and_alpha_are_scaled(colour_type, samples, rgb):
    assert np.abs(pixels_of(sixteen_bit_png(colour_type, *samples))[100, 100] - rgb).max() <= 1


def test_a_palette_is_looked_up():
    rgb = np.full((60, 60, 3), (200, 100, 0), np.uint8)

    assert np.abs(pixels_of(encode(rgb, "PNG", "P"))[100, 100] - [200, 100, 0]).max() < 30
    assert np.array_equal(pixels_of(encode(Image.fromarray(rgb).quantize(4), "PNG"))[100, 100], [200, 100, 0])


def transparent(mode: str) -> bytes:
    if mode == "P":
        image = Image.new("P", (40, 40), 0)
        image.putpalette([10, 20, 30, 200, 0, 0])
        return encode(image, "PNG", transparency=0)
    if mode in {"L", "I;16"}:
        return encode(Image.new(mode, (40, 40), 7), "PNG", transparency=7)
    if mode == "RGB":
        return encode(Image.new("RGB", (40, 40), (7, 8, 9)), "PNG", transparency=(7, 8, 9))
    return encode(Image.new(mode, (40, 40), 0), "PNG")


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "LA", "RGBA", "I;16"])
def test_transparent_pixels_lie_on_white(mode):
    assert pixels_of(transparent(mode)).min() == 255


def test_half_transparent_pixels_are_mixed_with_white():
    data = encode(Image.new("RGBA", (40, 40), (255, 0, 0, 128)), "PNG")

    assert np.abs(pixels_of(data)[100, 100] - [255, 127, 127]).max() <= 1


@pytest.mark.parametrize(("mode", "value"), [("L", 77), ("LA", (77, 255)), ("1", 1)])
def test_grey_has_three_equal_channels(mode, value):
    expected = 255 if mode == "1" else 77

    assert (pixels_of(encode(Image.new(mode, (50, 40), value), "PNG")) == expected).all()


@pytest.mark.parametrize("file_format", ["WEBP", "PNG", "AVIF"])
def test_the_first_frame_of_an_animation_counts(file_format):
    frames = [Image.new("RGB", (64, 48), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    options = {} if file_format == "AVIF" else {"lossless": True}
    data = encode(frames[0], file_format, save_all=True, append_images=frames[1:], duration=100, **options)

    assert np.abs(pixels_of(data)[100, 100] - [255, 0, 0]).max() < 3


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "I;16", "CMYK"])
def test_shrinking_in_strips_equals_resizing_at_once(mode):
    rgb = blocks(4_200, 4_100, cell=300)
    grey = rgb[:, :, 0]
    if mode == "I;16":
        data, expected = encode(grey.astype(np.uint16) * 257, "PNG", compress_level=1), np.stack([grey] * 3, axis=2)
    elif mode == "L":
        data, expected = encode(grey, "PNG", compress_level=1), np.stack([grey] * 3, axis=2)
    elif mode == "CMYK":
        data, expected = encode(rgb, "JPEG", "CMYK", quality=95), rgb
    else:
        data, expected = encode(rgb, "PNG", mode, compress_level=1), rgb
    whole = pixels_of(data, SMALL)
    part = pixels_of(data, SMALL, region=Region(0.25, 0.5, 0.5, 0.5))

    full = Image.fromarray(expected)
    assert np.abs(whole - np.asarray(full.resize((32, 24), Image.Resampling.BILINEAR))).mean() < 3
    cut = full.crop((1_050, 2_050, 3_150, 4_100)).resize((32, 24), Image.Resampling.BILINEAR)
    assert np.abs(part - np.asarray(cut)).mean() < 3


def test_decoding_is_the_same_on_every_thread():
    photos = [jpeg(900, 700, seed=seed) for seed in range(4)] * 8
    alone = [pixels_of(data, CROP) for data in photos]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: pixels_of(data, CROP), photos))

    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


READERS = {
    "decode": lambda data, **options: decode(data, [SQUASH, CROP], **options),
    "thumbnail": lambda data, **options: thumbnail(data, width=640, height=480, longest_side=640, **options),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_memory_is_reserved_once_while_pixels_are_held(file_format, reader):
    calls = []

    @contextlib.contextmanager
    def reserve(peak_bytes):
        calls.append(peak_bytes)
        yield
        calls.append("freed")

    READERS[reader](encode(blocks(640, 480), file_format), reserve=reserve)

    assert calls[0] >= 640 * 480 * 4
    assert calls[1:] == ["freed"]


def test_internal_errors_are_not_reported_as_damage():
    with pytest.raises(TypeError):
        read_by_pillow(Format.PNG, lambda: len(5), encoded="1 byte")
    with pytest.raises(AttributeError):
        read_by_pillow(Format.PNG, lambda: Image.no_such_function(), encoded="1 byte")


def test_pillows_own_limit_stays_as_it_was():
    before = Image.MAX_IMAGE_PIXELS
    decode(jpeg(), [SQUASH])

    assert before == Image.MAX_IMAGE_PIXELS
    with pytest.raises(BadPhoto):
        decode(png_that_claims(20_000, 10_000), [SQUASH])
    assert before == Image.MAX_IMAGE_PIXELS


def test_a_crop_beyond_the_short_side_is_refused():
    with pytest.raises(InvalidArgument, match="does not fit a short side of 100"):
        decode(jpeg(), [Geometry(Fit.SHORT_SIDE_CENTER_CROP, 224, 224, 100, Resample.BILINEAR)])


def test_a_region_outside_the_photo_is_refused():
    with pytest.raises(InvalidArgument, match=r"region\.width"):
        decode(jpeg(), [SQUASH], region=Region(0.5, 0, 0.6, 1))


@given(
    width=st.integers(2, 20_000),
    height=st.integers(2, 20_000),
    short_side=st.integers(1, 600),
    shares=st.tuples(st.floats(0.1, 1), st.floats(0.1, 1)),
)
def test_the_shown_box_is_centred_and_keeps_shape(width, height, short_side, shares):
    size = [max(1, int(share * short_side)) for share in shares]
    geometry = Geometry(Fit.SHORT_SIDE_CENTER_CROP, size[0], size[1], short_side, Resample.BICUBIC)

    left, top, right, bottom = source_box(geometry, width, height)

    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert left + right == pytest.approx(width)
    assert top + bottom == pytest.approx(height)
    assert (right - left) * size[1] == pytest.approx((bottom - top) * size[0], rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(), width=st.integers(2, 300), height=st.integers(2, 300), file_format=st.sampled_from(["JPEG", "PNG", "WEBP"])
)
def test_any_size_and_region_give_the_requested_shape(data, width, height, file_format):
    x, y = data.draw(st.floats(0, 0.99)), data.draw(st.floats(0, 0.99))
    region = Region(x, y, data.draw(st.floats(0.001, 1)) * (1 - x), data.draw(st.floats(0.001, 1)) * (1 - y))
    decoded = decode(encode(Image.new("RGB", (width, height), (200, 10, 10)), file_format), [CROP, SMALL], region=region)

    assert (decoded.width, decoded.height) == (width, height)
    assert decoded.tensors[CROP].shape == (224, 224, 3)
    assert np.abs(decoded.tensors[SMALL].astype(int) - [200, 10, 10]).max() < 12


@settings(max_examples=150, deadline=None)
@given(
    file_format=st.sampled_from(["JPEG", "PNG", "WEBP", "AVIF"]),
    edits=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=12),
    kept=st.floats(0.02, 1),
)
def test_damage_anywhere_gives_a_tensor_or_a_reason(file_format, edits, kept):
    data = bytearray(encode(blocks(64, 48, cell=4), file_format))
    for place, value in edits:
        data[int(place * len(data))] = value
    try:
        shape = decode(bytes(data[: int(kept * len(data))]), [SMALL]).tensors[SMALL].shape
    except BadPhoto:
        return
    assert shape == (24, 32, 3)
