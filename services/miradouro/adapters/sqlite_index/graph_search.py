"""The nearest photos by graphs: candidates are fetched, checked and measured, and more are fetched until it is enough.

Nothing is concluded from what a graph did not give: whoever needs to know how many there are counts them.
"""

import numpy as np

from miradouro.adapters.sqlite_index.moment import Piece
from miradouro.adapters.sqlite_index.scan import Measured, Scan, Scanned
from miradouro.adapters.sqlite_index.vectors.arrays import are_in
from miradouro.adapters.sqlite_index.vectors.hnsw import Graph

# Places of a ranking that a graph may fill, and the vectors fetched for them at least; for the first ones those that its
# searches keep anyway; deeper ones are scanned. Pages come from other candidates, and fit together by the query's `behind`.
_STEPS = ((10, 0), (32, 64), (128, 256))
_GROWTH = 4
_MOST_FETCHED = 4_096  # a graph search for more takes as long as a scan


def nearest_by_graph(scan: Scan, end: int, share: float) -> Measured | None:
    """Candidates for places 0 to `end` of the ranking, all that may stand there as far as the graphs know; None when graphs
    are of no use for this question and everything has to be scanned.

    `share` is the part of the photos that pass the conditions.
    """
    fetched = next((count for places, count in _STEPS if end <= places), None)
    searches = [
        _GraphSearch(scan, piece, piece.part.view.graph) for piece in scan.moment.pieces if piece.part.view.graph is not None
    ]
    if fetched is None or not searches or not share:
        return None
    fetched = max(fetched, *(search.graph.expansion for search in searches))
    per_photo = scan.moment.space.space.vectors_per_photo
    fetched = int(fetched / share * (_GROWTH if per_photo > 1 else 1))
    if fetched > _MOST_FETCHED:
        return None
    without = [piece for piece in scan.moment.pieces if piece.part.view.graph is None]
    scanned = Scanned.joined([*scan.of_pieces(without), *scan.of_strays([search.piece for search in searches]), *scan.of_gaps()])
    growing = searches
    while True:
        for search in growing:
            search.fetch(fetched)
        found = Measured.joined([search.found for search in searches])
        if len(scanned.row_ids) and (near := scanned.distances <= _edge(found, end) + scan.asked.error).any():
            found = _once(Measured.joined([found, scan.measure(scanned.row_ids[near])]))
        edge = _edge(found, end)
        growing = [search for search in searches if search.frontier <= edge]
        if not growing:
            return found if len(found.row_ids) >= end else None
        fetched *= _GROWTH
        if fetched > _MOST_FETCHED:
            return None


def _edge(found: Measured, end: int) -> float:
    """The distance at the last of `end` places; infinite where there are fewer."""
    return float(np.partition(found.distances, end - 1)[end - 1]) if len(found.distances) >= end else np.inf


class _GraphSearch:
    """What one graph gave so far: photos that live and pass the conditions, each once, measured."""

    def __init__(self, scan: Scan, piece: Piece, graph: Graph) -> None:
        self._scan, self.piece, self.graph = scan, piece, graph
        self.found: Measured
        self.frontier = 0.0  # everything nearer than this was given

    def fetch(self, count: int) -> None:
        """Takes the nearest `count` vectors."""
        row_ids, told = self.graph.nearest(self._scan.asked.vector, count)
        last = float(told[-1]) if len(row_ids) == count < len(self.graph) else np.inf
        if self._scan.moment.space.space.vectors_per_photo > 1:
            row_ids, firsts = np.unique(row_ids, return_index=True)  # a photo's first vector is its nearest
            told = told[firsts]
        # As the photo's place in the segment: a photo that was written anew since lives in another one.
        positions = self.piece.positions(row_ids)
        kept = positions >= 0
        if self._scan.wanted is not None:
            kept &= are_in(self._scan.wanted, row_ids)
        if not kept.all():
            row_ids, told, positions = row_ids[kept], told[kept], positions[kept]
        self.found = Measured(row_ids, *self._scan.asked.measure(self.piece.part.vectors[positions]))
        # What was not given may be as much nearer than the graph believes as what was given is.
        self.frontier = last - float((told - self.found.distances).max(initial=0))


def _once(found: Measured) -> Measured:
    """Every photo once, at its smallest distance: strays may be found by a graph as well."""
    order = np.argsort(found.distances, kind="stable")
    _, firsts = np.unique(found.row_ids[order], return_index=True)
    kept = order[firsts]
    return Measured(found.row_ids[kept], found.distances[kept], found.regions[kept])
