"""Questions by vector: candidates by an exact scan or by graphs, then distances from the database's own vectors."""

from typing import Any

import apsw
import numpy as np
import numpy.typing as npt

from miradouro.adapters.sqlite_index.catalogue import Collection, StoredSpace
from miradouro.adapters.sqlite_index.conditions import where
from miradouro.adapters.sqlite_index.graph_search import count_held, nearest_by_graph
from miradouro.adapters.sqlite_index.ordering import ordering
from miradouro.adapters.sqlite_index.passing import Passing
from miradouro.adapters.sqlite_index.ranking import NOTHING, Members, Ranked, Ranking
from miradouro.adapters.sqlite_index.rows import array_binding
from miradouro.adapters.sqlite_index.scan import SCAN_ERROR, SCANNED_AT_ONCE_BYTES, Scan, Scanned
from miradouro.adapters.sqlite_index.segment_graph import Int64
from miradouro.adapters.sqlite_index.segments import Coverage
from miradouro.adapters.sqlite_index.tuning import Tuning
from miradouro.core.document import Float32
from miradouro.core.errors import ProvenanceMismatch
from miradouro.core.query import MAX_RANKED, IndexQuery, Order, VectorClause

Float64 = npt.NDArray[np.float64]


def by_vector(
    connection: apsw.Connection,
    collection: Collection,
    space: StoredSpace,
    coverage: Coverage,
    query: IndexQuery,
    clause: VectorClause,
    tuning: Tuning,
    passing: Passing,
) -> Ranking:
    """Photos by distance, nearest first; the parts of `coverage` were taken before the connection's transaction began."""
    if clause.provenance != space.space.provenance:
        raise ProvenanceMismatch(space.space.name, space.space.provenance, clause.provenance)
    asked = np.ascontiguousarray(clause.vector, np.float32)
    rounded = asked.astype(np.float16)
    error = float(np.linalg.norm(asked - rounded.astype(np.float32))) + SCAN_ERROR
    wanted = passing.changes(connection, collection, query.conditions) if query.conditions else None
    scan = Scan(connection, collection, space, rounded, wanted)
    by_graph = _by_graph(scan, coverage, query, clause, tuning, error)
    if by_graph is None:
        scanned = Scanned.joined([*scan.of_parts(coverage.parts), *scan.of_gaps(coverage.gaps)])
        total = len(scanned.row_ids)
    else:
        scanned, total = by_graph
    if clause.max_distance is not None:
        scanned, total = _within(connection, space, scanned, asked, clause.max_distance, error)
    members = _members(connection, collection, space, query, None if clause.max_distance is None else scanned.row_ids)
    if query.order is Order.TAKEN:
        return Ranking(_newest(connection, space, scanned.row_ids, asked, query), total, members=members)
    end = min(query.offset + query.limit, MAX_RANKED, total)
    truncated = clause.max_distance is not None and total > MAX_RANKED
    if query.offset >= end:
        return Ranking((), total, truncated, members)
    # Only what may stand inside the window is measured, with all that may equal its edges; the rest surely stands before or
    # behind it, for no distance is off by more than `error`.
    edges = np.partition(scanned.distances, (query.offset, end - 1))[[query.offset, end - 1]]
    before = scanned.distances < edges[0] - 2 * error
    row_ids = scanned.row_ids[~before & (scanned.distances <= edges[1] + 2 * error)]
    skipped = int(before.sum())
    distances, regions = _measure(connection, space, row_ids, asked)
    window = _window(connection, space, row_ids, distances, regions, query.offset - skipped, end - skipped)
    return Ranking(window, total, truncated, members, exact=by_graph is None)


def _by_graph(
    scan: Scan, coverage: Coverage, query: IndexQuery, clause: VectorClause, tuning: Tuning, error: float
) -> tuple[Scanned, int] | None:
    """Candidates for the window and the number of photos in the ranking; None when everything is to be scanned.

    A radius is answered by a scan alone, and so is an order by time: a graph can't tell that no more photos belong to it.
    """
    if clause.exact or clause.max_distance is not None or query.order is not Order.RELEVANCE:
        return None
    collection, space = scan.collection, scan.space
    held = int(scan.connection.execute("SELECT photos FROM spaces WHERE space_id = ?", (space.space_id,)).get)
    total = held
    if scan.wanted is not None:
        total = len(scan.wanted)
        if held < collection.photos:
            total = count_held(scan.connection, space, collection.collection_id, scan.wanted)
    if total * space.space.vectors_per_photo <= tuning.exact_vectors or query.offset >= total:
        return None
    scanned = nearest_by_graph(scan, coverage, min(query.offset + query.limit, total), total / held, error)
    return None if scanned is None else (scanned, total)


def _members(
    connection: apsw.Connection, collection: Collection, space: StoredSpace, query: IndexQuery, within: Int64 | None
) -> Members | None:
    """The photos of the space that pass the conditions, or those of `within`, row ids."""
    if within is not None:
        return Members("SELECT value FROM carray(?)", [array_binding(within)]) if len(within) else NOTHING.members
    has_all = connection.execute("SELECT photos FROM spaces WHERE space_id = ?", (space.space_id,)).get == collection.photos
    if has_all and not query.conditions:
        return None
    condition, bindings = where(collection.collection_id, query.conditions)
    held = "" if has_all else f" AND EXISTS (SELECT 1 FROM vectors_{space.space_id:d} v WHERE v.row_id = d.row_id)"
    return Members(f"SELECT d.row_id FROM documents d WHERE {condition}{held}", bindings)


def _newest(connection: apsw.Connection, space: StoredSpace, row_ids: Int64, asked: Float32, query: IndexQuery) -> list[Ranked]:
    """The asked window of the photos `row_ids`, newest first."""
    if not len(row_ids):
        return []
    order = ordering(query)
    rows: list[Any] = connection.execute(
        "SELECT d.row_id, d.photo_id FROM carray(?) c CROSS JOIN documents d ON d.row_id = c.value "
        f"WHERE {order.begins} ORDER BY {order.by} LIMIT ? OFFSET ?",
        (array_binding(row_ids), *order.bindings, query.limit, query.offset),
    ).fetchall()
    distances, regions = _measure(connection, space, np.array([row_id for row_id, _ in rows], np.int64), asked)
    return [
        _ranked(space, row_id, photo_id, distance, region)
        for (row_id, photo_id), distance, region in zip(rows, distances.tolist(), regions.tolist(), strict=True)
    ]


def _ranked(space: StoredSpace, row_id: int, photo_id: str, distance: float, region: int) -> Ranked:
    boxes = space.space.regions
    return Ranked(row_id, photo_id, 1 - distance / 2, distance, boxes[region] if boxes else None)


def _within(
    connection: apsw.Connection, space: StoredSpace, scanned: Scanned, asked: Float32, radius: float, error: float
) -> tuple[Scanned, int]:
    """The photos within the radius, and how many: those at its edge are measured."""
    keep = scanned.distances <= radius + error
    edge = np.flatnonzero(keep & (scanned.distances >= radius - error))
    distances, _ = _measure(connection, space, scanned.row_ids[edge], asked)
    keep[edge[distances > radius]] = False
    return Scanned(scanned.row_ids[keep], scanned.distances[keep]), int(keep.sum())


def _measure(connection: apsw.Connection, space: StoredSpace, row_ids: Int64, asked: Float32) -> tuple[Float64, Int64]:
    """Distances float64 [n] and the number of the nearest vector int64 [n], from the database.

    A photo's distance is the same bit for bit whatever else is measured with it: pages of one ranking fit together.
    """
    per_photo, dimension = space.space.vectors_per_photo, space.space.dimension
    distances, regions = np.empty(len(row_ids), np.float64), np.empty(len(row_ids), np.int64)
    at_once = max(1, SCANNED_AT_ONCE_BYTES // (8 * per_photo * dimension))
    for start in range(0, len(row_ids), at_once):
        part = row_ids[start : start + at_once]
        blobs = dict(
            connection.execute(
                f"SELECT v.row_id, v.vectors FROM carray(?) c CROSS JOIN vectors_{space.space_id:d} v ON v.row_id = c.value",
                (array_binding(part),),
            )
        )
        vectors = np.frombuffer(b"".join(blobs[row_id] for row_id in part.tolist()), "<f2").reshape(-1, per_photo, dimension)
        difference = vectors.astype(np.float64) - asked
        squares = np.square(difference, out=difference).sum(axis=2)
        regions[start : start + at_once] = squares.argmin(axis=1)
        distances[start : start + at_once] = np.sqrt(squares.min(axis=1))
    return distances, regions


def _window(
    connection: apsw.Connection,
    space: StoredSpace,
    row_ids: Int64,
    distances: Float64,
    regions: Int64,
    start: int,
    end: int,
) -> list[Ranked]:
    """Places `start` to `end` by distance, equal ones by photo id."""
    order = np.argsort(distances, kind="stable")
    sorted_distances = distances[order]
    # Whole groups of equals, so that the photo id decides which of them are inside.
    first = int(np.searchsorted(sorted_distances, sorted_distances[start], "left"))
    last = int(np.searchsorted(sorted_distances, sorted_distances[end - 1], "right"))
    chosen = order[first:last]
    photo_ids = dict(
        connection.execute(
            "SELECT d.row_id, d.photo_id FROM carray(?) c CROSS JOIN documents d ON d.row_id = c.value",
            (array_binding(row_ids[chosen]),),
        )
    )
    ranked = [
        _ranked(space, row_id, photo_ids[row_id], distance, region)
        for row_id, distance, region in zip(
            row_ids[chosen].tolist(), distances[chosen].tolist(), regions[chosen].tolist(), strict=True
        )
    ]
    ranked.sort(key=lambda one: (one.distance, one.photo_id))
    return ranked[start - first : end - first]
