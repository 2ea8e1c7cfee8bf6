"""Boxes become pixels without gaps, without overlap and never outside the photo."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.errors import InvalidArgument
from miradouro.core.region import SWAPS_AXES, check_region, pixel_box, stored_box
from miradouro.core.spaces import Region
from PIL import Image, ImageOps

sizes = st.integers(1, 5_000)


@given(width=sizes, height=sizes, edges=st.tuples(*[st.floats(0, 1)] * 4))
def test_a_box_has_pixels_and_lies_inside(width, height, edges):
    (x, right), (y, bottom) = sorted(edges[:2]), sorted(edges[2:])
    if x == right or y == bottom or x >= 1 or y >= 1:
        return
    left, top, end, low = pixel_box(Region(x, y, right - x, bottom - y), width, height)

    assert 0 <= left < end <= width
    assert 0 <= top < low <= height


@given(width=sizes, cut=st.floats(0.01, 0.99))
def test_neighbours_share_no_pixel_and_leave_none_out(width, cut):
    left = pixel_box(Region(0, 0, cut, 1), width, 10)
    right = pixel_box(Region(cut, 0, 1 - cut, 1), width, 10)

    assert right[2] == width
    assert left[2] == right[0] or left[2] == right[0] + 1 == 1 or right[0] == width - 1


def test_the_whole_photo_is_the_whole_photo():
    assert pixel_box(Region(0, 0, 1, 1), 300, 200) == (0, 0, 300, 200)


@pytest.mark.parametrize("region", [Region(0.2, 0.7, 0.1, 0.30000000001), Region(1 / 3, 0, 2 / 3, 1)])
def test_a_sum_above_one_by_rounding_is_allowed(region):
    assert check_region(region) is region


@pytest.mark.parametrize(
    ("region", "named"),
    [
        (Region(-0.1, 0, 1, 1), "region.x"),
        (Region(0, 1, 1, 1), "region.y"),
        (Region(0, 0, 0, 1), "region.width"),
        (Region(0.5, 0, 0.51, 1), "region.width"),
        (Region(0, 0, 1, -1), "region.height"),
        (Region(math.nan, 0, 1, 1), "region.x"),
        (Region(0, 0, 1, math.nan), "region.height"),
        (Region(0, 0, math.inf, 1), "region.width"),
    ],
)
def test_an_invalid_box_is_refused_by_its_part(region, named):
    with pytest.raises(InvalidArgument) as caught:
        check_region(region)
    assert caught.value.field == named


@given(orientation=st.integers(1, 8), box=st.tuples(st.integers(0, 8), st.integers(0, 5), st.integers(1, 4), st.integers(1, 3)))
def test_a_box_finds_the_same_pixels_before_turning(orientation, box):
    stored = Image.fromarray(np.arange(12 * 8, dtype=np.uint8).reshape(8, 12))
    stored.getexif()[0x0112] = orientation
    upright = ImageOps.exif_transpose(stored)
    if orientation in SWAPS_AXES:
        box = (box[1], box[0], box[3], box[2])
    wanted = (box[0], box[1], box[0] + box[2], box[1] + box[3])

    found = stored.crop(stored_box(wanted, 12, 8, orientation))

    assert sorted(found.tobytes()) == sorted(upright.crop(wanted).tobytes())
