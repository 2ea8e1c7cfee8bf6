"""The handwritten digits of scikit-learn, 8 x 8, as 32 x 32 pictures."""

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.datasets import load_digits

from examples.lenet5.layers import Array

SIZE, DRAWN = 32, 28
INK, PAPER = 1.175, -0.1  # of the network's input: the mean is about 0 and the variance about 1


def pictures() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """1,797 digits, uint8 [N, 32, 32], white on black, and the digit that each shows, int64 [N]."""
    found = load_digits()
    margin = (SIZE - DRAWN) // 2
    canvas = np.zeros((len(found.images), SIZE, SIZE), np.uint8)
    for picture, small in zip(canvas, found.images, strict=True):
        drawn = Image.fromarray((small * 255 / 16).astype(np.uint8)).resize((DRAWN, DRAWN), Image.Resampling.BICUBIC)
        picture[margin : margin + DRAWN, margin : margin + DRAWN] = np.asarray(drawn)
    return canvas, found.target.astype(np.int64)


def as_input(canvas: npt.NDArray[np.uint8]) -> Array:
    """Pictures as the network's input, float32 [N, 1, 32, 32]."""
    return (canvas[:, None].astype(np.float32) / 255 * (INK - PAPER) + PAPER).astype(np.float32)
