"""Boxes in photos: checked, and turned into pixels."""

import math

from miradouro.core.errors import InvalidArgument
from miradouro.core.spaces import Region

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels; right and bottom are the first ones outside

SWAPS_AXES = frozenset({5, 6, 7, 8})  # EXIF orientations under which width and height change places
_TOLERANCE = 1e-6  # x + width may pass 1 by this: a sum of two fractions is seldom exact


def check_region(region: Region, *, field: str = "region") -> Region:
    """`region` itself when it is a box inside the photo; raises InvalidArgument naming the part otherwise, NaN included."""
    for name, value in (("x", region.x), ("y", region.y), ("width", region.width), ("height", region.height)):
        if 1 + _TOLERANCE < value < math.inf:
            raise InvalidArgument(
                f"{field}.{name}",
                f"{value:g} looks like pixels; expected are fractions of the photo's width and height, 0 to 1",
            )
    for name, value in (("x", region.x), ("y", region.y)):
        if not 0 <= value < 1:
            raise InvalidArgument(f"{field}.{name}", f"{value} is not within 0 (included) to 1 (excluded)")
    for name, value, start in (("width", region.width, region.x), ("height", region.height, region.y)):
        if not (value > 0 and start + value <= 1 + _TOLERANCE):
            raise InvalidArgument(
                f"{field}.{name}", f"{value} from {start} on does not lie in the photo; allowed: more than 0, to {1 - start}"
            )
    return region


def pixel_box(region: Region, width: int, height: int) -> Box:
    """The pixels of `region` in a photo of `width` x `height`: edges go to the nearest pixel; a box has at least one pixel.

    Regions that share an edge share no pixel and leave none out (half way goes to the right and down).
    Raises InvalidArgument as `check_region` does.
    """
    check_region(region)
    left, right = _span(region.x, region.width, width)
    top, bottom = _span(region.y, region.height, height)
    return left, top, right, bottom


def stored_box(box: Box, width: int, height: int, orientation: int) -> Box:
    """Where `box` of the upright photo lies in the pixels as stored, `width` x `height`, under an EXIF orientation (1 to 8)."""
    left, top, right, bottom = box
    if orientation in SWAPS_AXES:
        left, top, right, bottom = top, left, bottom, right
    if orientation in {2, 3, 7, 8}:
        left, right = width - right, width - left
    if orientation in {3, 4, 6, 7}:
        top, bottom = height - bottom, height - top
    return left, top, right, bottom


def _span(start: float, length: float, pixels: int) -> tuple[int, int]:
    first = min(math.floor(start * pixels + 0.5), pixels - 1)
    end = min(math.floor((start + length) * pixels + 0.5), pixels)
    return first, max(end, first + 1)
