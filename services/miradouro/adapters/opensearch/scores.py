"""OpenSearch's scores of vectors, and the Euclidean distances d between vectors of length 1 that they stand for.

Floats have the space type `l2`, whose score is 1 / (1 + d^2). Codes have `cosinesimil`, because their lengths differ: its score
is (1 + cosine) / 2 = 1 - d^2 / 4 in a k-NN query, and 1 + cosine = 2 - d^2 / 2 in the script `knn_score`. Scores are float32: a
distance between codes is wrong by up to 4e-4 near 0, and by less than 1e-5 from 0.01 on.
"""

import math

from miradouro.core.spaces import Space, Storage

_SCORE_ERROR = 2.4e-7  # two steps of float32 below 1


def space_type(space: Space) -> str:
    """The distance that the field of a space is indexed for, and that a script takes."""
    return "cosinesimil" if space.storage is Storage.INT8 else "l2"


def distance_of(score: float, space: Space, *, scripted: bool) -> float:
    """The distance, 0 to 2, that a score stands for; `scripted`: the score is a script's, not a k-NN query's."""
    if space.storage is not Storage.INT8:
        return math.sqrt(max(0.0, 1 / score - 1)) if score > 0 else 2.0
    return 2 * math.sqrt(max(0.0, 1 - (score / 2 if scripted else score)))


def least_score(distance: float, space: Space, *, scripted: bool) -> float:
    """The score of vectors at `distance`, a little less because scores are rounded; above 0."""
    if space.storage is not Storage.INT8:
        score = 1 / (1 + distance * distance)
    else:
        score = (1 - distance * distance / 4) * (2 if scripted else 1)
    return max(score * (1 - _SCORE_ERROR), 1e-9)
