"""Hand-made convolution kernels, float32 [kernels, 1, height, width]. ONNX correlates: a kernel is not turned around."""

import math

import numpy as np

from miradouro.core.document import Float32

GAUSSIAN_SIZES = (3, 5, 7, 9)
WAVELENGTHS = (4, 8, 16, 32)  # of the Gabor kernels, in pixels
ORIENTATIONS = 6
DCT_SIZE = 8
# Standard deviation of a Gabor kernel's envelope, in wavelengths: half its peak response at one octave between the two
# frequencies, sqrt(ln 2 / 2) / pi * (2 + 1) / (2 - 1) (Kruizinga & Petkov, IEEE Trans. Image Processing 8(10), 1999).
_DEVIATION = math.sqrt(math.log(2) / 2) / math.pi * 3


def gaussian(size: int) -> Float32:
    """Low-pass along the width [1, 1, 1, size], size odd; the weights sum to 1. Its transpose smooths along the height.

    A row of Pascal's triangle: the binomial approximation of a Gaussian whose variance is (size - 1) / 4 pixels. Rows and columns
    by size 3 are [1 2 1; 2 4 2; 1 2 1] / 16.
    """
    return _kernels([np.array([[math.comb(size - 1, place) / 2 ** (size - 1) for place in range(size)]])])


def horizontal() -> Float32:
    """High-pass [1, 1, 3, 3] that responds to horizontal edges, bright above dark (Prewitt, 1970)."""
    return _kernels([np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]])])


def vertical() -> Float32:
    """High-pass [1, 1, 3, 3] that responds to vertical edges, bright left of dark (Prewitt, 1970)."""
    return _kernels([np.array([[1, 0, -1]] * 3)])


def gabor(wavelength: int) -> Float32:
    """Band-pass [6, 1, size, size]: waves of `wavelength` pixels, kernel k at k * 30 degrees.

    g(x, y) = exp(-(x^2 + y^2) / (2 s^2)) * (cos(2 pi u / wavelength) - c), u = x cos(t) + y sin(t), s = 0.56 wavelengths, cut off
    at 2 s (Daugman, J. Opt. Soc. Am. A 2(7), 1985). c makes the sum 0: an even area has no response. The positive weights sum to
    1, so that pixels of 0 to 255 give -255 to 255.
    """
    deviation = _DEVIATION * wavelength
    radius = math.ceil(2 * deviation)
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    envelope = np.exp(-(x**2 + y**2) / (2 * deviation**2))
    found = []
    for number in range(ORIENTATIONS):
        angle = number * math.pi / ORIENTATIONS
        wave = np.cos(2 * math.pi * (x * math.cos(angle) + y * math.sin(angle)) / wavelength)
        kernel = envelope * (wave - (envelope * wave).sum() / envelope.sum())
        found.append(kernel / kernel.clip(min=0).sum())
    return _kernels(found)


def haar() -> Float32:
    """The Haar wavelet [4, 1, 2, 2]: mean, horizontal, vertical and diagonal detail (Haar, Math. Annalen 69, 1910).

    Divided by 4 in place of 2, so that the mean of pixels stays within 0 to 255 at every level.
    """
    rows = [[[1, 1], [1, 1]], [[1, 1], [-1, -1]], [[1, -1], [1, -1]], [[1, -1], [-1, 1]]]
    return _kernels([np.array(each) / 4 for each in rows])


def dct() -> Float32:
    """The basis of the DCT of 8 x 8 pixels [64, 1, 8, 8], kernel 8 v + u of the frequencies u across and v down.

    c(u) c(v) cos((2 x + 1) u pi / 16) cos((2 y + 1) v pi / 16), c(0) = sqrt(1/8), else 1/2 (Ahmed, Natarajan & Rao, IEEE Trans.
    Computers C-23(1), 1974): an orthonormal basis.
    """
    place = np.arange(DCT_SIZE)
    waves = np.cos((2 * place[np.newaxis] + 1) * place[:, np.newaxis] * math.pi / (2 * DCT_SIZE))  # [frequency, place]
    waves *= np.where(place == 0, math.sqrt(1 / DCT_SIZE), math.sqrt(2 / DCT_SIZE))[:, np.newaxis]
    return _kernels([np.outer(waves[v], waves[u]) for v in place for u in place])


def dct_frequencies() -> Float32:
    """sqrt(u^2 + v^2) of each kernel of `dct`, [64]."""
    frequencies = np.arange(DCT_SIZE)
    return np.asarray(np.hypot(frequencies, frequencies[:, np.newaxis]).ravel(), np.float32)


def _kernels(found: "list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]]") -> Float32:
    return np.stack(found)[:, np.newaxis].astype(np.float32)
