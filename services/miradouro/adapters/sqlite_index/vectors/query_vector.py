"""The vector of a query."""

from dataclasses import dataclass
from functools import cached_property

import numkong
import numpy as np

from miradouro.adapters.sqlite_index.vectors.arrays import Float16, Float64, Int64
from miradouro.core.document import Float32
from miradouro.core.storable import UNIT_TOLERANCE, check_vectors

# The error of an approximate distance beyond that of rounding the query to float16: sums are float32, relative error below 1e-5.
_SCAN_ERROR = 4e-5


@dataclass(frozen=True)
class QueryVector:
    """A vector of length 1, float32 [d]."""

    vector: Float32

    @classmethod
    def of(cls, vector: Float32, dimension: int) -> "QueryVector":
        """Raises InvalidArgument for another dimension or length."""
        if vector.shape != (dimension,) or vector.dtype != np.float32 or not abs(float(vector @ vector) - 1) < UNIT_TOLERANCE:
            check_vectors(vector[None], (1, dimension), field="vector")
        return cls(np.ascontiguousarray(vector, np.float32))

    @cached_property
    def rounded(self) -> Float16:
        """float16 [d]: scans compare with this one."""
        return self.vector.astype(np.float16)

    @cached_property
    def error(self) -> float:
        """The largest error of an approximate distance."""
        lost = self.vector - self.rounded
        return float(np.sqrt(lost @ lost)) + _SCAN_ERROR

    def measure(self, vectors: Float16) -> tuple[Float64, Int64]:
        """Distances float64 [n] of stored vectors [n, per photo, d], and the number of each photo's nearest vector int64 [n].

        The distance of a photo does not depend on the other photos, to the last bit: pages of one ranking fit together.
        """
        photos, per_photo, dimension = vectors.shape
        # numpy casts float16 one by one: twenty times as long as these two steps.
        singles = numkong.astype(vectors.reshape(-1, dimension), "float32")
        difference = np.asarray(numkong.astype(singles, "float64"))
        np.subtract(difference, self.vector, out=difference)
        squares = np.vecdot(difference, difference)
        if per_photo == 1:
            return np.sqrt(squares, out=squares), np.zeros(photos, np.int64)
        squares = squares.reshape(photos, per_photo)
        nearest = squares.argmin(axis=1)
        return np.sqrt(squares[np.arange(photos), nearest]), nearest
