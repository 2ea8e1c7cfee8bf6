"""More of this kind: the example mixed with its first hits."""

from collections.abc import Sequence

import numpy as np

from miradouro.core.document import Float32

MIXED_IN = 3  # hits; more of them would displace a kind with few photos
_POWER = 3


def mixed(example: Float32, hits: Sequence[Float32]) -> Float32:
    """The example plus each hit weighted by cosine^3, of length 1: weighted query expansion with alpha = 3.

    All are float32 [dimension] of length 1; a hit without a positive cosine has no weight. Source: Radenovic, Tolias and Chum,
    "Fine-tuning CNN Image Retrieval with No Human Annotation" (arXiv 1711.02512).
    """
    total = example.astype(np.float64)
    for hit in hits:
        total = total + max(float(example @ hit), 0.0) ** _POWER * hit
    return np.asarray(total / np.linalg.norm(total), np.float32)
