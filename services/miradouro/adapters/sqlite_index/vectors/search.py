"""One query over one state of a space."""

import numpy as np

from miradouro.adapters.sqlite_index.vectors.arrays import Int64
from miradouro.adapters.sqlite_index.vectors.candidates import Candidates, Neighbours
from miradouro.adapters.sqlite_index.vectors.changelog import Changelog
from miradouro.adapters.sqlite_index.vectors.exact_search import ExactSearch
from miradouro.adapters.sqlite_index.vectors.hnsw_search import nearest_by_hnsw
from miradouro.adapters.sqlite_index.vectors.query_vector import QueryVector
from miradouro.adapters.sqlite_index.vectors.searcher import Searcher


class VectorSearch:
    """The photos that pass a filter, by their distance from a query vector."""

    def __init__(self, changelog: Changelog, searcher: Searcher, query: QueryVector, allowed: Int64 | None) -> None:
        """`changelog` sees the state of the searcher. `allowed`: row ids, ascending, int64 [n]; None without a filter."""
        self.searcher = searcher
        self.allowed = allowed
        self._error = query.error
        self._exact = ExactSearch(changelog, searcher, query, allowed)

    def everything(self) -> Candidates:
        """Exact search: all photos with vectors in the space that pass the filter."""
        return self._exact.everything()

    def nearest(self, count: int, share: float) -> Neighbours | None:
        """Approximate search: see `nearest_by_hnsw`."""
        return nearest_by_hnsw(self._exact, count, share)

    def measure(self, row_ids: Int64) -> Neighbours:
        """Photos with vectors in the space at their exact distances."""
        return self._exact.measure(row_ids)

    def within(self, candidates: Candidates, radius: float) -> Candidates:
        """The candidates at a distance of at most `radius`; those near the edge are measured."""
        kept = candidates.distances <= radius + self._error
        edge = np.flatnonzero(kept & (candidates.distances >= radius - self._error))
        kept[edge[self.measure(candidates.row_ids[edge]).distances > radius]] = False
        return candidates.only(kept)

    def split(self, candidates: Candidates, distance: float) -> tuple[int, Neighbours]:
        """The number of candidates that are certainly nearer than `distance`, and those that may be at it, measured."""
        around = np.abs(candidates.distances - distance) <= self._error
        nearer = candidates.distances < distance - self._error
        return int(nearer.sum()), self.measure(candidates.row_ids[around])

    def window(self, candidates: Candidates, start: int, end: int) -> tuple[Neighbours, int]:
        """The candidates that may rank from `start` to `end`, measured, and the number of those that rank before them.

        Approximate distances suffice for the others: they are off by at most the query's error.
        """
        kept = candidates.distances <= _nth(candidates, end - 1) + 2 * self._error
        skipped = 0
        if start:
            before = candidates.distances < _nth(candidates, start) - 2 * self._error
            skipped = int(before.sum())
            kept &= ~before
        return self.measure(candidates.row_ids[kept]), skipped


def _nth(candidates: Candidates, rank: int) -> float:
    return float(np.partition(candidates.distances, rank)[rank])
