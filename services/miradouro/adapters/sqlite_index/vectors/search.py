"""One query over one state of a space."""

import numpy as np

from miradouro.adapters.sqlite_index.vectors.candidates import Candidates, Neighbours
from miradouro.adapters.sqlite_index.vectors.exact_search import ExactSearch
from miradouro.adapters.sqlite_index.vectors.hnsw_search import nearest_by_hnsw


class VectorSearch(ExactSearch):
    """The photos that pass a filter, by their distance from a query vector: exactly, or by HNSW."""

    def nearest(self, count: int, share: float) -> Neighbours | None:
        """Approximate search: see `nearest_by_hnsw`."""
        return nearest_by_hnsw(self, count, share)

    def within(self, candidates: Candidates, radius: float) -> Candidates:
        """The candidates at a distance of at most `radius`; those near the edge are measured."""
        kept = candidates.distances <= radius + self.query.error
        edge = np.flatnonzero(kept & (candidates.distances >= radius - self.query.error))
        kept[edge[self.measure(candidates.row_ids[edge]).distances > radius]] = False
        return candidates.only(kept)

    def split(self, candidates: Candidates, distance: float) -> tuple[int, Neighbours]:
        """The number of candidates that are certainly nearer than `distance`, and those that may be at it, measured."""
        around = np.abs(candidates.distances - distance) <= self.query.error
        nearer = candidates.distances < distance - self.query.error
        return int(nearer.sum()), self.measure(candidates.row_ids[around])

    def window(self, candidates: Candidates, start: int, end: int) -> tuple[Neighbours, int]:
        """The candidates that may rank from `start` to `end`, measured, and the number of those that rank before them.

        Approximate distances suffice for the others: they are off by at most the query's error.
        """
        kept = candidates.distances <= _nth(candidates, end - 1) + 2 * self.query.error
        skipped = 0
        if start:
            before = candidates.distances < _nth(candidates, start) - 2 * self.query.error
            skipped = int(before.sum())
            kept &= ~before
        return self.measure(candidates.row_ids[kept]), skipped


def _nth(candidates: Candidates, rank: int) -> float:
    return float(np.partition(candidates.distances, rank)[rank])
