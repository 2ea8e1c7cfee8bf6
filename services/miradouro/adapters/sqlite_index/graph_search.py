"""The nearest photos by graphs: candidates are fetched, checked against the database, and more are fetched until it is enough.

Nothing is concluded from what a graph did not give: whoever needs to know how many there are counts them.
"""

import apsw
import numpy as np

from miradouro.adapters.sqlite_index.catalogue import StoredSpace
from miradouro.adapters.sqlite_index.rows import array_binding
from miradouro.adapters.sqlite_index.scan import Scan, Scanned, are_in
from miradouro.adapters.sqlite_index.segment_graph import Graph, Int64
from miradouro.adapters.sqlite_index.segments import Coverage, Part
from miradouro.core.document import Float32

# Places of a ranking that a graph may fill, and the vectors fetched for them. Pages within one step come from the same
# candidates, so that they fit together; deeper ones are scanned.
_STEPS = ((32, 64), (128, 256))
_GROWTH = 4
_MOST_FETCHED = 4_096  # a graph search for more takes as long as a scan


def nearest_by_graph(scan: Scan, coverage: Coverage, end: int, share: float, error: float) -> Scanned | None:
    """Candidates for places 0 to `end` of the ranking, all that may stand there as far as the graphs know; None when graphs
    are of no use for this question and everything has to be scanned.

    `share` is the part of the photos that pass the conditions; a scanned distance is off by `error` at most.
    """
    fetched = next((count for places, count in _STEPS if end <= places), None)
    graphs = [(part, part.view.graph) for part in coverage.parts if part.view.graph is not None]
    if fetched is None or not graphs or not share:
        return None
    per_photo = scan.space.space.vectors_per_photo
    fetched = int(fetched / share * (_GROWTH if per_photo > 1 else 1))
    if fetched > _MOST_FETCHED:
        return None
    without = [part for part in coverage.parts if part.view.graph is None]
    with_graph = [part for part, _ in graphs]
    scanned = Scanned.joined(
        [*scan.of_parts(without), *scan.of_parts(with_graph, only_strays=True), *scan.of_gaps(coverage.gaps)]
    )
    searches = [_GraphSearch(scan, part, graph) for part, graph in graphs]
    growing = searches
    while True:
        for search in growing:
            search.fetch(fetched)
        found = Scanned.joined([scanned, *(search.living(end, error) for search in searches)])
        edge = float(np.partition(found.distances, end - 1)[end - 1]) if len(found.distances) >= end else np.inf
        growing = [search for search in searches if search.frontier <= edge + 2 * error]
        if not growing:
            once = _once(found)
            return once if len(once.row_ids) >= end else None
        fetched *= _GROWTH
        if fetched > _MOST_FETCHED:
            return None


class _GraphSearch:
    """What one graph gave so far: photos, each at its nearest vector, nearest first."""

    def __init__(self, scan: Scan, part: Part, graph: Graph) -> None:
        self._scan, self._part, self._graph = scan, part, graph
        self._row_ids: Int64 = np.empty(0, np.int64)
        self._distances: Float32 = np.empty(0, np.float32)
        self.frontier = 0.0  # everything nearer than this was given

    def fetch(self, count: int) -> None:
        """Takes the nearest `count` vectors."""
        row_ids, _, distances = self._graph.nearest(self._scan.asked, count)
        self.frontier = float(distances[-1]) if len(row_ids) == count < len(self._graph) else np.inf
        _, firsts = np.unique(row_ids, return_index=True)  # a photo's first vector is its nearest
        firsts.sort()
        self._row_ids, self._distances = row_ids[firsts], distances[firsts]

    def living(self, end: int, error: float) -> Scanned:
        """The nearest `end` of them that live and pass the conditions, and those as near as the last one."""
        kept = np.zeros(len(self._row_ids), bool)
        checked, wanted = 0, 2 * end
        while checked < len(kept):
            stop = min(checked + wanted, len(kept))
            kept[checked:stop] = self._live(self._row_ids[checked:stop])
            checked = stop
            alive = np.flatnonzero(kept)
            if len(alive) >= end and (
                checked == len(kept) or self._distances[checked] > self._distances[alive[end - 1]] + 2 * error
            ):
                break
        return Scanned(self._row_ids[kept], self._distances[kept])

    def _live(self, row_ids: Int64) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """Which are live, unchanged since the segment was made, and pass the conditions."""
        changes = changes_of(self._scan.connection, row_ids)
        alive = (changes > self._part.after_change) & (changes <= self._part.through_change)
        return alive if self._scan.wanted is None else alive & are_in(self._scan.wanted, changes)


def changes_of(connection: apsw.Connection, row_ids: Int64) -> Int64:
    """The change that wrote each photo, int64 [n]; 0 where it was deleted."""
    known = dict(
        connection.execute(
            "SELECT d.row_id, d.change FROM carray(?) c CROSS JOIN documents d ON d.row_id = c.value WHERE d.deleted = 0",
            (array_binding(row_ids),),
        )
    )
    return np.array([known.get(row_id, 0) for row_id in row_ids.tolist()], np.int64)


def count_held(connection: apsw.Connection, space: StoredSpace, collection_id: int, changes: Int64) -> int:
    """How many of the photos of these changes have vectors in the space."""
    if not len(changes):
        return 0
    found = connection.execute(
        "SELECT count(*) FROM carray(?) c CROSS JOIN documents d ON d.collection_id = ? AND d.change = c.value "
        f"CROSS JOIN vectors_{space.space_id:d} v ON v.row_id = d.row_id",
        (array_binding(changes), collection_id),
    ).get
    return int(found)


def _once(found: Scanned) -> Scanned:
    """Every photo once, at its smallest distance: strays may be found by a graph as well."""
    order = np.argsort(found.distances, kind="stable")
    _, firsts = np.unique(found.row_ids[order], return_index=True)
    kept = order[firsts]
    return Scanned(found.row_ids[kept], found.distances[kept])
