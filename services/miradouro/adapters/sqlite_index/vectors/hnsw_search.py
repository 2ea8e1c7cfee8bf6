"""Approximate search by HNSW: graphs give candidates, which are filtered and measured; more are fetched until it is enough.

A graph may miss neighbours: never derive a count from its results.
"""

import numpy as np

from miradouro.adapters.sqlite_index.vectors.arrays import are_in
from miradouro.adapters.sqlite_index.vectors.candidates import Candidates, Neighbours
from miradouro.adapters.sqlite_index.vectors.exact_search import ExactSearch
from miradouro.adapters.sqlite_index.vectors.hnsw import HnswGraph
from miradouro.adapters.sqlite_index.vectors.searcher import SegmentReader

# (top k, the least number of vectors to fetch): 0 where the candidates that a search keeps anyway suffice. Deeper rankings are
# scanned. Pages may come from other candidates; the query's `behind` makes them fit together.
_STEPS = ((10, 0), (32, 64), (128, 256))
_GROWTH = 4
_MOST_FETCHED = 4_096  # a graph search for more takes as long as a scan


def nearest_by_hnsw(exact: ExactSearch, count: int, share: float) -> Neighbours | None:
    """Candidates for the top `count`: every photo that belongs there as far as the graphs know, and others.

    `share` is the part of the photos that pass the filter. None where graphs are of no use: search exactly.
    """
    fetched = next((least for most, least in _STEPS if count <= most), None)
    readers = exact.searcher.segments
    searches = [_GraphSearch(exact, reader, graph) for reader in readers if (graph := reader.segment.mapped.graph) is not None]
    if fetched is None or not searches or not share:
        return None
    fetched = max(fetched, *(search.graph.expansion for search in searches))
    fetched = int(fetched / share * (_GROWTH if exact.searcher.identity.vectors_per_photo > 1 else 1))
    if fetched > _MOST_FETCHED:
        return None
    without = [reader for reader in readers if reader.segment.mapped.graph is None]
    scanned = Candidates.joined(
        [*exact.in_segments(without), *exact.unreachable([search.reader for search in searches]), *exact.in_gaps()]
    )
    unfinished = searches
    while True:
        for search in unfinished:
            search.fetch(fetched)
        found = Neighbours.joined([search.found for search in searches])
        if len(scanned) and (near := scanned.distances <= _edge(found, count) + exact.query.error).any():
            # A graph may find a photo that counts as unreachable: keep it once.
            found = Neighbours.joined([found, exact.measure(scanned.row_ids[near])]).each_once()
        edge = _edge(found, count)
        unfinished = [search for search in searches if search.frontier <= edge]
        if not unfinished:
            return found if len(found.row_ids) >= count else None
        fetched *= _GROWTH
        if fetched > _MOST_FETCHED:
            return None


def _edge(found: Neighbours, count: int) -> float:
    """The distance of the last of the top `count`; infinite where there are fewer."""
    return float(np.partition(found.distances, count - 1)[count - 1]) if len(found.distances) >= count else np.inf


class _GraphSearch:
    """The results of one graph so far: live photos that pass the filter, each once, measured."""

    def __init__(self, exact: ExactSearch, reader: SegmentReader, graph: HnswGraph) -> None:
        self._exact, self.reader, self.graph = exact, reader, graph
        self.found: Neighbours
        self.frontier = 0.0  # the graph has returned everything nearer than this

    def fetch(self, count: int) -> None:
        """Searches for the nearest `count` vectors."""
        row_ids, distances = self.graph.nearest(self._exact.query.codes, count)
        last = float(distances[-1]) if len(row_ids) == count < len(self.graph) else np.inf
        if self._exact.searcher.identity.vectors_per_photo > 1:
            row_ids, firsts = np.unique(row_ids, return_index=True)  # a photo's first vector is its nearest
            distances = distances[firsts]
        # By position in this segment: the latest change of a replaced photo may be in another one.
        positions = self.reader.positions(row_ids)
        kept = positions >= 0
        if self._exact.allowed is not None:
            kept &= are_in(self._exact.allowed, row_ids)
        if not kept.all():
            row_ids, distances, positions = row_ids[kept], distances[kept], positions[kept]
        self.found = Neighbours(row_ids, *self._exact.query.measure(self.reader.segment.vectors[positions]))
        # The graph's distances are off by up to this much for what it returned: assume the same for what it did not return.
        self.frontier = last - float((distances - self.found.distances).max(initial=0))
