"""Photos are seen in sRGB, whichever colours their files are in; what a profile holds never fails a photo."""

import io
from collections.abc import Callable

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miradouro.core.colour.conversion import conversion_to_srgb
from miradouro.core.colour.icc import MAX_PROFILE_BYTES, power_curve
from miradouro.core.decode import decode
from miradouro.core.spaces import Fit, Geometry, Region, Resample
from miradouro.core.thumbnail import thumbnail
from PIL import Image, ImageCms

from tests.colours import (
    ADOBE_RGB,
    DARK_SRGB,
    DISPLAY_P3,
    LINEAR_P3,
    PROPHOTO,
    SRGB,
    Space,
    chrm,
    cicp,
    gama,
    grey_profile,
    icc_parts,
    iccp,
    ink_profile,
    jpeg_with,
    png_with,
)
from tests.decoding import pixels_of
from tests.pictures import blocks, encode
from tests.scenes import scene

PICTURE = scene(3)
PLAIN = pixels_of(encode(PICTURE, "PNG"))
SIDE = 224


def error(data: bytes, expected: np.ndarray = PLAIN) -> float:
    """Mean difference of a photo's pixels to the expected ones, in levels of 255."""
    return float(np.abs(pixels_of(data) - expected).mean())


def heif(pixels: np.ndarray, profile: bytes = b"") -> bytes:
    out = io.BytesIO()
    image = Image.fromarray(pixels)
    image.info["icc_profile"] = profile or None
    pillow_heif.from_pillow(image).save(out, quality=100, chroma=444)
    return out.getvalue()


def renumbered(data: bytes, primaries: int) -> bytes:
    """A HEIF or AVIF file with other colour primaries in its nclx box."""
    at = data.index(b"colrnclx") + 8
    return data[:at] + primaries.to_bytes(2, "big") + data[at + 2 :]


FILES: dict[str, Callable[[np.ndarray, Space], bytes]] = {
    "png": lambda pixels, space: encode(pixels, "PNG", icc_profile=space.profile),
    "jpeg": lambda pixels, space: encode(pixels, "JPEG", quality=100, subsampling=0, icc_profile=space.profile),
    "jpeg, in parts": lambda pixels, space: jpeg_with(
        encode(pixels, "JPEG", quality=100, subsampling=0), *reversed(icc_parts(space.profile, size=100))
    ),
    "webp": lambda pixels, space: encode(pixels, "WEBP", lossless=True, icc_profile=space.profile),
    "avif": lambda pixels, space: encode(pixels, "AVIF", quality=100, subsampling="4:4:4", speed=10, icc_profile=space.profile),
    "heif": lambda pixels, space: heif(pixels, space.profile),
    "avif, nclx": lambda pixels, _: renumbered(encode(pixels, "AVIF", quality=100, subsampling="4:4:4", speed=10), 12),
    "heif, nclx": lambda pixels, _: renumbered(heif(pixels), 12),
    "png, cICP": lambda pixels, _: png_with(pixels, cicp(12, 13)),
    "png, cHRM": lambda pixels, space: png_with(pixels, chrm(space.primaries)),
}


@pytest.mark.parametrize("name", FILES)
def test_colours_are_read_in_every_format(name: str) -> None:
    wide = DISPLAY_P3.samples(PICTURE)
    assert error(encode(wide, "PNG")) > 4
    assert error(FILES[name](wide, DISPLAY_P3)) < (0.6 if "png" in name or "webp" in name else 1.3)


@pytest.mark.parametrize("space", [ADOBE_RGB, PROPHOTO, DARK_SRGB, LINEAR_P3], ids=["adobe", "prophoto", "dark", "linear"])
def test_every_space_becomes_srgb(space: Space) -> None:
    pixels = space.samples(PICTURE)
    assert error(encode(pixels, "PNG")) > 4
    assert error(encode(pixels, "PNG", icc_profile=space.profile)) < 1


@pytest.mark.parametrize(
    ("gamma", "space"), [(1 / 1.4, DARK_SRGB), (1.0, LINEAR_P3), (1 / 2.2, ADOBE_RGB)], ids=["dark", "linear", "adobe"]
)
def test_gamma_and_chromaticities_of_png(gamma: float, space: Space) -> None:
    assert error(png_with(space.samples(PICTURE), gama(gamma), chrm(space.primaries))) < 1


@pytest.mark.parametrize(
    ("chunks", "space"),
    [
        ([iccp(ADOBE_RGB.profile), cicp(12, 13), (b"sRGB", b"\0"), gama(1)], DISPLAY_P3),
        ([iccp(ADOBE_RGB.profile), (b"sRGB", b"\0"), gama(1)], ADOBE_RGB),
        ([(b"sRGB", b"\0"), gama(1), chrm(DISPLAY_P3.primaries)], SRGB),
        ([gama(1 / 1.4)], DARK_SRGB),
        ([gama(1 / 2.2)], SRGB),
        ([cicp(1, 13)], SRGB),
        ([cicp(1, 13), iccp(ADOBE_RGB.profile)], SRGB),
        # What makes no sense is passed over.
        ([cicp(200, 13), iccp(ADOBE_RGB.profile)], ADOBE_RGB),
        ([cicp(12, 13, matrix=1), iccp(ADOBE_RGB.profile)], ADOBE_RGB),
        ([(b"iCCP", b"broken\0\0\1\2"), gama(1 / 1.4)], DARK_SRGB),
        ([iccp(b"no profile"), gama(1 / 1.4)], DARK_SRGB),
        ([iccp(bytes(MAX_PROFILE_BYTES + 1)), gama(1 / 1.4)], DARK_SRGB),
        ([gama(0)], SRGB),
        ([(b"gAMA", b"\0")], SRGB),
        ([(b"cHRM", bytes(32))], SRGB),
    ],
)
def test_png_trusts_chunks_in_order(chunks: list[tuple[bytes, bytes]], space: Space) -> None:
    assert error(png_with(space.samples(PICTURE), *chunks)) < 1


def test_high_dynamic_range_keeps_white_and_middle_grey() -> None:
    """203 nits are white: PQ .5807 and HLG .75 (ITU-R BT.2408, table 1)."""
    for transfer, white in ((16, 0.5807), (18, 0.75)):
        levels = np.array([[0, round(white * 255), 255]], np.uint8)
        pixels = np.repeat(np.repeat(levels, 40, axis=0)[..., None], 3, axis=2)
        shown = pixels_of(png_with(pixels, cicp(9, transfer)), Geometry(Fit.SQUASH, 3, 3, 0, Resample.BILINEAR))
        assert shown[0, 0].max() <= 10
        assert shown[0, 2].min() == 255
        centre = conversion_to_srgb([cicp_profile(9, transfer)], "RGB")
        assert centre is not None
        assert min(centre(Image.fromarray(pixels)).getpixel((1, 0))) >= 250


def cicp_profile(primaries: int, transfer: int) -> bytes:
    from miradouro.core.colour.coding import profile_of_numbers

    found = profile_of_numbers(primaries, transfer)
    assert found is not None
    return found


@pytest.mark.parametrize("profile", [ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), SRGB.profile])
def test_srgb_by_another_name_changes_no_pixel(profile: bytes) -> None:
    for file_format in ("PNG", "JPEG"):
        plain, named = encode(PICTURE, file_format), encode(PICTURE, file_format, icc_profile=profile)
        assert np.array_equal(pixels_of(named), pixels_of(plain))


GREY = np.tile(np.arange(SIDE, dtype=np.uint8), (SIDE, 1))


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
@pytest.mark.parametrize("profile", [grey_profile(power_curve(1)), LINEAR_P3.profile], ids=["grey", "rgb"])
def test_grey_is_converted_by_either_profile(mode: str, profile: bytes) -> None:
    expected = np.round(SRGB.encoded(GREY / 255) * 255)[..., None]
    image = Image.fromarray(GREY.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(GREY).convert(mode)
    assert error(encode(image, "PNG", icc_profile=profile), expected) < 0.6


def test_transparent_pixels_lie_on_srgb_white() -> None:
    pixels = np.dstack((LINEAR_P3.samples(PICTURE), np.full((SIDE, SIDE), 255, np.uint8)))
    pixels[:112, :, 3] = 0
    shown = pixels_of(encode(pixels, "PNG", icc_profile=LINEAR_P3.profile))
    assert (shown[:110] == 255).all()
    assert np.abs(shown[114:] - PLAIN[114:]).mean() < 2


CYAN, MAGENTA, PAPER = (62.0, -31.0, -48.0), (52.0, 74.0, -3.0), (95.0, 0.0, 0.0)


def test_inks_are_those_of_the_profile() -> None:
    """Cyan and magenta have changed places in the profile's press."""

    def lab(inks: tuple[int, ...]) -> tuple[float, float, float]:
        return {(1, 0, 0, 0): MAGENTA, (0, 1, 0, 0): CYAN, (0, 0, 0, 0): PAPER}.get(inks, (20.0, 0.0, 0.0))

    def shown(inks: tuple[int, ...], **options: bytes) -> np.ndarray:
        return pixels_of(encode(Image.new("CMYK", (64, 64), inks), "JPEG", quality=100, **options))[100, 100]

    profile = ink_profile(lab)
    red, green, blue = shown((255, 0, 0, 0), icc_profile=profile)
    assert red > 180 > green < blue
    red, green, blue = shown((0, 255, 0, 0), icc_profile=profile)
    assert blue > green > red
    assert shown((255, 0, 0, 0))[0] < 20, "without a profile cyan stays cyan"
    assert np.array_equal(shown((255, 0, 0, 0), icc_profile=DISPLAY_P3.profile), shown((255, 0, 0, 0))), "of other channels"


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_large_photos_and_regions_are_converted(file_format: str) -> None:
    rgb = blocks(2_000, 1_600, cell=200)
    options = {"quality": 95} if file_format == "JPEG" else {"compress_level": 1}
    data = encode(ADOBE_RGB.samples(rgb), file_format, icc_profile=ADOBE_RGB.profile, **options)
    plain = encode(rgb, file_format, **options)
    region = Region(0.25, 0.5, 0.5, 0.5)
    assert np.abs(pixels_of(data) - pixels_of(plain)).mean() < 2
    assert np.abs(pixels_of(data, region=region) - pixels_of(plain, region=region)).mean() < 2


def test_thumbnails_are_srgb() -> None:
    def thumb(data: bytes) -> Image.Image:
        return Image.open(io.BytesIO(thumbnail(data, width=SIDE, height=SIDE, longest_side=SIDE, file_format="png")))

    found = thumb(encode(DISPLAY_P3.samples(PICTURE), "PNG", icc_profile=DISPLAY_P3.profile))
    assert "icc_profile" not in found.info
    assert np.abs(np.asarray(found).astype(int) - PICTURE).mean() < 0.6


@pytest.mark.parametrize(
    "segments",
    [
        icc_parts(DISPLAY_P3.profile, size=100)[:-1],
        [part[:13] + b"\xff" + part[14:] for part in icc_parts(DISPLAY_P3.profile, size=100)],
        [b"ICC_PROFILE\0"],
        icc_parts(bytes(MAX_PROFILE_BYTES + 1)),
        icc_parts(DISPLAY_P3.profile[:200]),
        icc_parts(b"\0" * 36 + b"acsp" + b"\xff" * 400),
    ],
    ids=["a part is missing", "another count", "no part", "too large", "cut", "numbers"],
)
def test_damaged_profile_counts_as_none(segments: list[bytes]) -> None:
    plain = encode(PICTURE, "JPEG", quality=95)
    assert np.array_equal(pixels_of(jpeg_with(plain, *segments)), pixels_of(plain))


SEEDS = [DISPLAY_P3.profile, grey_profile(power_curve(1)), ink_profile(lambda _: PAPER, grid=3)]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=8),
    kept=st.floats(0.5, 1),
    mode=st.sampled_from(["L", "RGB", "CMYK"]),
)
def test_no_profile_fails_a_photo(seed: bytes, edits: list[tuple[float, int]], kept: float, mode: str) -> None:
    profile = bytearray(seed)
    for place, value in edits:
        profile[int(place * len(profile))] = value
    data = encode(Image.new(mode, (32, 24), 77), "JPEG", icc_profile=bytes(profile[: int(kept * len(profile))]))
    assert decode(data, [Geometry(Fit.SQUASH, 8, 8, 0, Resample.BILINEAR)]).width == 32


BODIES = st.binary(max_size=40) | st.lists(st.integers(0, 255), min_size=4, max_size=4).map(bytes)
CHUNKS = st.tuples(
    st.sampled_from([b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"]),
    BODIES | BODIES.map(lambda body: iccp(body)[1]) | st.binary(min_size=32, max_size=32),
)


@settings(deadline=None)
@given(st.lists(CHUNKS | st.builds(cicp, st.integers(0, 24), st.integers(0, 20)), max_size=5))
def test_no_chunk_fails_a_photo(chunks: list[tuple[bytes, bytes]]) -> None:
    data = png_with(np.full((24, 32, 3), 77, np.uint8), *chunks)
    assert decode(data, [Geometry(Fit.SQUASH, 8, 8, 0, Resample.BILINEAR)]).width == 32
