"""The vector of a query: measures its distances from stored vectors, in the form of their storage."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numkong
import numpy as np

from miradouro.adapters.sqlite_index.vectors.arrays import Float16, Float64, Int8, Int64, Stored
from miradouro.adapters.sqlite_index.vectors.hnsw import codes
from miradouro.adapters.sqlite_index.vectors.segment_file import Identity
from miradouro.adapters.sqlite_index.vectors.squared_distance import of_codes
from miradouro.core.document import Float32, Vectors
from miradouro.core.spaces import Storage
from miradouro.core.storable import UNIT_TOLERANCE, check_vectors

# The error of an approximate distance beyond that of rounding the query to float16: sums are float32, relative error below 1e-5.
_SCAN_ERROR = 4e-5
_CODE_SCAN_ERROR = 1e-6  # scans of codes are exact but for the rounding to float32


class QueryVector(Protocol):
    """A vector of length 1, or the codes of one."""

    @property
    def codes(self) -> Int8:
        """int8 [d]: graphs compare with these."""
        ...

    @property
    def error(self) -> float:
        """The largest error of a scanned distance."""
        ...

    def scan(self, flat: Stored, *, out: Float32) -> None:
        """Writes the approximate squared distances from stored vectors [n, d] to `out`, [n]."""
        ...

    def measure(self, vectors: Stored) -> tuple[Float64, Int64]:
        """Distances float64 [n] of stored vectors [n, per photo, d], and the number of each photo's nearest vector int64 [n].

        The distance of a photo does not depend on the other photos, to the last bit: pages of one ranking fit together.
        """
        ...


def query_vector(vector: Vectors, identity: Identity) -> QueryVector:
    """`vector` [d] is in the form that the space stores. Raises InvalidArgument for another one."""
    of_floats = vector.shape == (identity.dimension,) and vector.dtype == np.float32 and identity.storage is not Storage.INT8
    if not of_floats or not abs(float(vector @ vector) - 1) < UNIT_TOLERANCE:
        check_vectors(vector[None], (1, identity.dimension), identity.storage, field="vector")
    if identity.storage is Storage.INT8:
        return _Codes(np.ascontiguousarray(vector, np.int8))
    return _Floats(np.ascontiguousarray(vector, np.float32))


@dataclass(frozen=True)
class _Floats:
    """Compares float32 [d] with float16."""

    vector: Float32

    @cached_property
    def codes(self) -> Int8:
        return codes(self.vector)

    @cached_property
    def _rounded(self) -> Float16:
        return self.vector.astype(np.float16)

    @cached_property
    def error(self) -> float:
        lost = self.vector - self._rounded
        return float(np.sqrt(lost @ lost)) + _SCAN_ERROR

    def scan(self, flat: Stored, *, out: Float32) -> None:
        numkong.cdist(self._rounded[None], flat, "sqeuclidean", out=out[None])

    def measure(self, vectors: Stored) -> tuple[Float64, Int64]:
        photos, per_photo, dimension = vectors.shape
        # numpy casts float16 one by one: twenty times as long as these two steps.
        singles = numkong.astype(vectors.reshape(-1, dimension), "float32")
        difference = np.asarray(numkong.astype(singles, "float64"))
        np.subtract(difference, self.vector, out=difference)
        return _nearest(np.vecdot(difference, difference).reshape(photos, per_photo))


@dataclass(frozen=True)
class _Codes:
    """Compares int8 [d] with int8."""

    codes: Int8
    error: float = _CODE_SCAN_ERROR

    def scan(self, flat: Stored, *, out: Float32) -> None:
        out[:] = of_codes(self.codes[None], flat.astype(np.int8, copy=False))[0]

    def measure(self, vectors: Stored) -> tuple[Float64, Int64]:
        photos, per_photo, dimension = vectors.shape
        flat = vectors.reshape(-1, dimension).astype(np.int8, copy=False)
        return _nearest(of_codes(self.codes[None], flat)[0].reshape(photos, per_photo))


def _nearest(squares: Float64) -> tuple[Float64, Int64]:
    """Of squared distances [n, per photo]: distances [n], and the number of the nearest vector [n]."""
    if squares.shape[1] == 1:
        return np.sqrt(squares[:, 0]), np.zeros(len(squares), np.int64)
    nearest = squares.argmin(axis=1)
    return np.sqrt(squares[np.arange(len(squares)), nearest]), nearest
