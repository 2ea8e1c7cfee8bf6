"""Pictures with smooth grounds, shapes and grain, which networks answer to as they do to photos; integers alone, so that every
machine draws the same pixels."""

import numpy as np


def scene(seed: int, *, size: int = 224) -> np.ndarray:
    """uint8 [size, size, 3]."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    slopes = random.integers(-256, 257, (2, 3))
    picture = random.integers(60, 196, 3) + (x[..., None] * slopes[0] + y[..., None] * slopes[1]) // (2 * size)
    for _ in range(14):
        left, top = random.integers(-20, size, 2)
        width, height = random.integers(12, size // 2, 2)
        if random.integers(2):
            inside = (x >= left) & (x < left + width) & (y >= top) & (y < top + height)
        else:
            inside = ((x - left) * height) ** 2 + ((y - top) * width) ** 2 < (width * height // 2) ** 2
        picture[inside] = random.integers(0, 256, 3) + (random.integers(-64, 65, 3) * (x[inside] - left)[:, None]) // size
    noisy: np.ndarray = np.clip(picture + random.integers(-10, 11, (size, size, 1)), 0, 255).astype(np.uint8)
    return noisy
