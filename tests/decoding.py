"""Decoding as its tests look at it: pixels as numbers, or the reason why there are none."""

import numpy as np
import pytest
from miradouro.core.decode import DEFAULT_LIMITS, DecodeLimits, decode
from miradouro.core.errors import BadPhoto
from miradouro.core.spaces import Fit, Geometry, Resample
from PIL import Image

from tests.pictures import SQUASH

SMALL = Geometry(Fit.SQUASH, 32, 24, 0, Resample.BILINEAR)


def pixels_of(data: bytes, geometry: Geometry = SQUASH, **options: object) -> np.ndarray:
    return decode(data, [geometry], **options).tensors[geometry].astype(int)


def reason_of(data: bytes, *, limits: DecodeLimits = DEFAULT_LIMITS) -> str:
    with pytest.raises(BadPhoto) as caught:
        decode(data, [SQUASH], limits=limits)
    return caught.value.reason


def squashed(rgb: np.ndarray) -> np.ndarray:
    """The plain way to the same tensor, without any of the short cuts."""
    return np.asarray(Image.fromarray(rgb).resize((224, 224), Image.Resampling.BILINEAR)).astype(int)
