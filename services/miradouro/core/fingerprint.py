"""Two hashes that identify copies of a photo: one of the same bytes, one of nearly the same pixels."""

import hashlib

import numpy as np

from miradouro.core.embedding import Tensor
from miradouro.core.spaces import Fit, Geometry, Resample

_SIDE = 32
GEOMETRY = Geometry(Fit.SQUASH, _SIDE, _SIDE, 0, Resample.BILINEAR)  # the input of perceptual_hash
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
# Rows 1 to 8 of the orthonormal DCT-II matrix of order 32; row 0, the mean, carries no shape.
_COSINES = np.sqrt(2 / _SIDE) * np.cos(np.pi * np.outer(np.arange(1, 9), 2 * np.arange(_SIDE) + 1) / (2 * _SIDE))


def sha256(data: bytes) -> str:
    """64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def perceptual_hash(pixels: Tensor) -> str:
    """16 hexadecimal digits of a uint8 [32, 32, 3] RGB tensor in GEOMETRY; copies differ in few of the 64 bits.

    The DCT hash of C. Zauner, "Implementation and benchmarking of perceptual image hash functions" (2010), section 3.2.1:
    bit i is set when the i-th of the 8 x 8 lowest frequencies, without the mean, lies above their median.
    """
    frequencies = _COSINES @ (pixels @ _LUMA) @ _COSINES.T
    rounded = np.round(frequencies, 3).ravel()  # so that the rounding noise of a flat picture sets no bits
    return np.packbits(rounded > np.median(rounded)).tobytes().hex()


def distance(left: str, right: str) -> int:
    """Bits, 0 to 64, in which two perceptual hashes differ."""
    return (int(left, 16) ^ int(right, 16)).bit_count()
