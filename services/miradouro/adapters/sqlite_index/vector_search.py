"""Questions by vector: candidates by an exact scan or by graphs, then distances from the database's own vectors."""

from collections.abc import Sequence
from typing import Any

import apsw
import numpy as np

from miradouro.adapters.sqlite_index.conditions import where
from miradouro.adapters.sqlite_index.graph_search import nearest_by_graph
from miradouro.adapters.sqlite_index.moment import Moment
from miradouro.adapters.sqlite_index.ordering import ordering
from miradouro.adapters.sqlite_index.passing import Passing
from miradouro.adapters.sqlite_index.ranking import NOTHING, Members, Ranked, Ranking
from miradouro.adapters.sqlite_index.rows import array_binding
from miradouro.adapters.sqlite_index.scan import Asked, Measured, Scan, Scanned
from miradouro.adapters.sqlite_index.vectors.arrays import Int64
from miradouro.adapters.sqlite_index.vectors.tuning import Tuning
from miradouro.core.document import Float32
from miradouro.core.errors import ProvenanceMismatch
from miradouro.core.query import MAX_RANKED, Behind, IndexQuery, Order, VectorClause
from miradouro.core.spaces import Region


def by_vector(
    connection: apsw.Connection, moment: Moment, query: IndexQuery, clause: VectorClause, tuning: Tuning, passing: Passing
) -> Ranking:
    """Photos by distance, nearest first; `moment` is what the connection's transaction sees.

    Raises ProvenanceMismatch, and InvalidArgument for a vector that is not of the space.
    """
    if clause.provenance != moment.space.space.provenance:
        raise ProvenanceMismatch(moment.space.space.name, moment.space.space.provenance, clause.provenance)
    asked = Asked.of(np.asarray(clause.vector), moment.space.space.dimension)
    wanted = passing.row_ids(connection, moment.collection, query.conditions) if query.conditions else None
    scan = Scan(connection, moment, asked, wanted)
    by_graph = _by_graph(scan, query, clause, tuning)
    if by_graph is not None:
        measured, start, total = by_graph
        window = _window(scan, measured, start, min(start + query.limit, total))
        return Ranking(window, total, members=_members(scan, query, None) if query.facets else None, exact=False)
    scanned = Scanned.joined([*scan.of_pieces(moment.pieces), *scan.of_gaps()])
    total = len(scanned.row_ids)
    if clause.max_distance is not None:
        scanned, total = _within(scan, scanned, clause.max_distance)
    members = _members(scan, query, None if clause.max_distance is None else scanned.row_ids) if query.facets else None
    if query.order is Order.TAKEN:
        return Ranking(_newest(scan, scanned.row_ids, query), total, members=members)
    start = query.offset
    if query.behind is not None:
        around = np.abs(scanned.distances - query.behind.distance) <= asked.error
        nearer = scanned.distances < query.behind.distance - asked.error
        start = int(nearer.sum()) + _no_farther(scan, scan.measure(scanned.row_ids[around]), query.behind)
    end = min(start + query.limit, MAX_RANKED, total)
    truncated = clause.max_distance is not None and total > MAX_RANKED
    if start >= end:
        return Ranking((), total, truncated, members)
    # Only what may stand inside the window is measured, with all that may equal its edges; the rest surely stands before or
    # behind it, for no distance is off by more than the scan's error.
    kept = scanned.distances <= _nth(scanned.distances, end - 1) + 2 * asked.error
    skipped = 0
    if start:
        before = scanned.distances < _nth(scanned.distances, start) - 2 * asked.error
        skipped = int(before.sum())
        kept &= ~before
    window = _window(scan, scan.measure(scanned.row_ids[kept]), start - skipped, end - skipped)
    return Ranking(window, total, truncated, members)


def _nth(distances: Float32, place: int) -> float:
    return float(np.partition(distances, place)[place])


def _by_graph(scan: Scan, query: IndexQuery, clause: VectorClause, tuning: Tuning) -> tuple[Measured, int, int] | None:
    """Candidates for the window, the place where it starts among them, and the number of photos in the ranking; None when
    everything is to be scanned.

    A radius is answered by a scan alone, and so is an order by time: a graph can't tell that no more photos belong to it.
    """
    if clause.exact or clause.max_distance is not None or query.order is not Order.RELEVANCE:
        return None
    moment = scan.moment
    total = moment.held
    if scan.wanted is not None:
        total = len(scan.wanted)
        if moment.held < moment.collection.photos:
            total = _count_held(scan, scan.wanted)
    if total * moment.space.space.vectors_per_photo <= tuning.exact_vectors or query.offset >= total:
        return None
    start = query.offset
    while (measured := nearest_by_graph(scan, end := min(start + query.limit, total), total / moment.held)) is not None:
        # The candidates of this page may be others than those of the page before, and nearer ones among them.
        start = query.offset if query.behind is None else _no_farther(scan, measured, query.behind)
        if min(start + query.limit, total) <= end:
            return None if start >= total else (measured, start, total)
    return None


def _no_farther(scan: Scan, measured: Measured, behind: Behind) -> int:
    """How many of the photos do not stand behind the end of the page before."""
    equal = _photo_ids(scan, measured.row_ids[measured.distances == behind.distance])
    nearer = int((measured.distances < behind.distance).sum())
    return nearer + sum(photo_id <= behind.photo_id for photo_id in equal.values())


def _count_held(scan: Scan, row_ids: Int64) -> int:
    """How many of the photos have vectors in the space."""
    if not len(row_ids):
        return 0
    found = scan.connection.execute(
        f"SELECT count(*) FROM carray(?) c CROSS JOIN vectors_{scan.moment.space.space_id:d} v ON v.row_id = c.value",
        (array_binding(row_ids),),
    ).get
    return int(found)


def _photo_ids(scan: Scan, row_ids: Int64) -> dict[int, str]:
    """Row id → photo id."""
    if not len(row_ids):
        return {}
    rows: list[Any] = scan.connection.execute(
        "SELECT d.row_id, d.photo_id FROM carray(?) c CROSS JOIN documents d ON d.row_id = c.value", (array_binding(row_ids),)
    ).fetchall()
    return dict(rows)


def _members(scan: Scan, query: IndexQuery, within: Int64 | None) -> Members | None:
    """The photos of the space that pass the conditions, or those of `within`, row ids."""
    if within is not None:
        return Members("SELECT value FROM carray(?)", [array_binding(within)]) if len(within) else NOTHING.members
    has_all = scan.moment.held == scan.moment.collection.photos
    if has_all and not query.conditions:
        return None
    condition, bindings = where(scan.moment.collection.collection_id, query.conditions)
    table = f"vectors_{scan.moment.space.space_id:d}"
    held = "" if has_all else f" AND EXISTS (SELECT 1 FROM {table} v WHERE v.row_id = d.row_id)"
    return Members(f"SELECT d.row_id FROM documents d WHERE {condition}{held}", bindings)


def _newest(scan: Scan, row_ids: Int64, query: IndexQuery) -> list[Ranked]:
    """The asked window of the photos `row_ids`, newest first."""
    if not len(row_ids):
        return []
    order = ordering(query)
    rows: list[Any] = scan.connection.execute(
        "SELECT d.row_id, d.photo_id FROM carray(?) c CROSS JOIN documents d ON d.row_id = c.value "
        f"WHERE {order.begins} ORDER BY {order.by} LIMIT ? OFFSET ?",
        (array_binding(row_ids), *order.bindings, query.limit, query.offset),
    ).fetchall()
    measured = scan.measure(np.array([row_id for row_id, _ in rows], np.int64))
    boxes = scan.moment.space.space.regions
    return [
        _ranked(boxes, row_id, photo_id, distance, region)
        for (row_id, photo_id), distance, region in zip(rows, measured.distances.tolist(), measured.regions.tolist(), strict=True)
    ]


def _ranked(boxes: Sequence[Region], row_id: int, photo_id: str, distance: float, region: int) -> Ranked:
    return Ranked(row_id, photo_id, 1 - distance / 2, distance, boxes[region] if boxes else None)


def _within(scan: Scan, scanned: Scanned, radius: float) -> tuple[Scanned, int]:
    """The photos within the radius, and how many: those at its edge are measured."""
    keep = scanned.distances <= radius + scan.asked.error
    edge = np.flatnonzero(keep & (scanned.distances >= radius - scan.asked.error))
    keep[edge[scan.measure(scanned.row_ids[edge]).distances > radius]] = False
    return Scanned(scanned.row_ids[keep], scanned.distances[keep]), int(keep.sum())


def _window(scan: Scan, measured: Measured, start: int, end: int) -> list[Ranked]:
    """Places `start` to `end` by distance, equal ones by photo id."""
    order = np.argsort(measured.distances, kind="stable")
    distances = measured.distances[order]
    # Whole groups of equals, so that the photo id decides which of them are inside.
    first = int(np.searchsorted(distances, distances[start], "left"))
    last = int(np.searchsorted(distances, distances[end - 1], "right"))
    chosen = order[first:last]
    row_ids = measured.row_ids[chosen]
    photo_ids = _photo_ids(scan, row_ids)
    boxes = scan.moment.space.space.regions
    ranked = [
        _ranked(boxes, row_id, photo_ids[row_id], distance, region)
        for row_id, distance, region in zip(
            row_ids.tolist(), distances[first:last].tolist(), measured.regions[chosen].tolist(), strict=True
        )
    ]
    ranked.sort(key=lambda one: (one.distance, one.photo_id))
    return ranked[start - first : end - first]
