"""Squared Euclidean distances between stored vectors; those of int8 codes are between the directions of length 1."""

import numkong
import numpy as np

from miradouro.adapters.sqlite_index.vectors.arrays import Float64, Int8, Stored
from miradouro.core.document import Float32


def squared_distances(queries: Stored, vectors: Stored) -> Float32:
    """float32 [q, n] from queries [q, d] to vectors [n, d], both of the same storage."""
    if queries.dtype == np.int8:
        return of_codes(queries.astype(np.int8, copy=False), vectors.astype(np.int8, copy=False)).astype(np.float32)
    return np.array(numkong.cdist(queries, vectors, "sqeuclidean"), np.float32)


def of_codes(queries: Int8, codes: Int8) -> Float64:
    """2 - 2 cosine, float64 [q, n], from queries [q, d] to codes [n, d]; none of them is all 0.

    Sums of integers are exact: equal codes have distance 0, and a distance does not depend on what else is measured. The lengths
    of the codes follow from |a - b|^2 = |a|^2 + |b|^2 - 2 ab: two fast scans instead of a slow one.
    """
    if not len(codes):
        return np.empty((len(queries), 0))  # the library refuses empty arrays
    dots, squares = (np.asarray(numkong.cdist(queries, codes, metric), np.float64) for metric in ("dot", "sqeuclidean"))
    wide = queries.astype(np.float64)
    own = np.vecdot(wide, wide)[:, None]
    squares += 2 * dots
    squares -= own
    squares *= own
    np.sqrt(squares, out=squares)
    dots /= squares
    dots *= -2
    dots += 2
    return np.maximum(dots, 0, out=dots)
