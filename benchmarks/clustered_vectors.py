"""Vectors to search among: clusters, as photos have them; uniform noise has no neighbours to find."""

import numpy as np

DIMENSION, CLUSTERS, SPREAD = 512, 500, 0.7


def clustered(count: int, seed: int) -> "np.ndarray":
    """float32 [count, DIMENSION], length 1, around centres that are the same for every seed."""
    centres = np.random.default_rng(0).standard_normal((CLUSTERS, DIMENSION), dtype=np.float32)
    draw = np.random.default_rng(seed)
    rows = centres[draw.integers(0, CLUSTERS, count)] + SPREAD * draw.standard_normal((count, DIMENSION), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
