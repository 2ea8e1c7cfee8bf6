"""Photos and their distances from a query vector."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from miradouro.adapters.sqlite_index.vectors.arrays import Bool, Float64, Int64
from miradouro.core.document import Float32


@dataclass(frozen=True)
class Candidates:
    """Live photos at approximate distances: row ids int64 [n], distances float32 [n], off by at most `QueryVector.error`."""

    row_ids: Int64
    distances: Float32

    def __len__(self) -> int:
        return len(self.row_ids)

    def only(self, kept: Bool) -> "Candidates":
        """Those where `kept`, bool [n], is True."""
        return Candidates(self.row_ids[kept], self.distances[kept])

    @classmethod
    def joined(cls, parts: Sequence["Candidates"]) -> "Candidates":
        """The parts, one after the other."""
        parts = [part for part in parts if len(part)]
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls(np.empty(0, np.int64), np.empty(0, np.float32))
        return cls(np.concatenate([part.row_ids for part in parts]), np.concatenate([part.distances for part in parts]))


@dataclass(frozen=True)
class Neighbours:
    """Live photos at the exact distances of their stored vectors: row ids int64 [n], distances float64 [n], and the number of
    each photo's nearest vector int64 [n]."""

    row_ids: Int64
    distances: Float64
    nearest: Int64

    @classmethod
    def joined(cls, parts: Sequence["Neighbours"]) -> "Neighbours":
        """The parts, at least one, one after the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.row_ids for part in parts]),
            np.concatenate([part.distances for part in parts]),
            np.concatenate([part.nearest for part in parts]),
        )

    def each_once(self) -> "Neighbours":
        """Every photo once, at its smallest distance."""
        order = np.argsort(self.distances, kind="stable")
        _, firsts = np.unique(self.row_ids[order], return_index=True)
        kept = order[firsts]
        return Neighbours(self.row_ids[kept], self.distances[kept], self.nearest[kept])
