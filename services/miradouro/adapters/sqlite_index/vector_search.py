"""Questions by vector: an exact scan of segments and of what is newer, then distances from the database's own vectors."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import apsw
import numkong
import numpy as np
import numpy.typing as npt

from miradouro.adapters.sqlite_index.catalogue import Collection, StoredSpace
from miradouro.adapters.sqlite_index.conditions import Bindings, where
from miradouro.adapters.sqlite_index.ordering import ordering
from miradouro.adapters.sqlite_index.ranking import NOTHING, Members, Ranked, Ranking
from miradouro.adapters.sqlite_index.rows import array_binding
from miradouro.adapters.sqlite_index.segment_file import Float16, Int64, View
from miradouro.adapters.sqlite_index.segments import newer_vectors
from miradouro.core.document import Float32
from miradouro.core.errors import ProvenanceMismatch
from miradouro.core.query import MAX_RANKED, IndexQuery, Order, VectorClause

_SCANNED_AT_ONCE_BYTES = 4 << 20
# Error of a scanned distance beyond that of rounding the query to float16: sums are float32, relative error below 1e-5.
_SCAN_ERROR = 4e-5

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Scanned:
    """Live photos of a space that pass the conditions: row ids int64 [n], distances float32 [n] within the scan's error."""

    row_ids: Int64
    distances: Float32


def by_vector(
    connection: apsw.Connection,
    collection: Collection,
    space: StoredSpace,
    view: View | None,
    query: IndexQuery,
    clause: VectorClause,
) -> Ranking:
    """Photos by distance, nearest first; `view` was taken before the connection's transaction began."""
    if clause.provenance != space.space.provenance:
        raise ProvenanceMismatch(space.space.name, space.space.provenance, clause.provenance)
    asked = np.ascontiguousarray(clause.vector, np.float32)
    rounded = asked.astype(np.float16)
    error = float(np.linalg.norm(asked - rounded.astype(np.float32))) + _SCAN_ERROR
    scanned = _scan(connection, collection, space, view, query, rounded)
    total = len(scanned.row_ids)
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
    return Ranking(window, total, truncated, members)


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


def _scan(
    connection: apsw.Connection,
    collection: Collection,
    space: StoredSpace,
    view: View | None,
    query: IndexQuery,
    asked: Float16,
) -> _Scanned:
    """Every live photo of the space that passes the conditions, from the segment as far as it reaches, else from the blobs."""
    covered = view.through_change if view is not None else 0
    wanted = _passing(connection, collection, query) if query.conditions else None
    parts = []
    if view is not None and len(view.keys):
        if wanted is not None:
            positions = _positions(view.changes, wanted[: np.searchsorted(wanted, covered, "right")])
        else:
            alive = np.ones(len(view.keys), bool)
            alive[_positions(view.changes, _replaced(connection, collection))] = False
            positions = np.flatnonzero(alive)
        parts.append(_Scanned(view.row_ids[positions], _segment_distances(view.vectors, positions, asked)))
    if covered < collection.last_change:
        newer = None if wanted is None else wanted[np.searchsorted(wanted, covered, "right") :]
        parts += _scan_blobs(connection, collection, space, covered, newer, asked)
    if not parts:
        return _Scanned(np.empty(0, np.int64), np.empty(0, np.float32))
    return _Scanned(np.concatenate([part.row_ids for part in parts]), np.concatenate([part.distances for part in parts]))


def _passing(connection: apsw.Connection, collection: Collection, query: IndexQuery) -> Int64:
    """Changes of the live photos that pass the conditions, growing."""
    condition, bindings = where(collection.collection_id, query.conditions)
    return _numbers(connection, f"SELECT group_concat(d.change) FROM documents d WHERE {condition}", bindings)


def _replaced(connection: apsw.Connection, collection: Collection) -> Int64:
    return _numbers(connection, "SELECT group_concat(change) FROM replaced WHERE collection_id = ?", [collection.collection_id])


def _numbers(connection: apsw.Connection, sql: str, bindings: Bindings) -> Int64:
    """The whole numbers that `sql` gives as one text, sorted: less than half the time of as many rows."""
    text = str(connection.execute(sql, bindings).get or "")
    return np.sort(np.fromstring(text, np.int64, sep=","))


def _positions(changes: Int64, wanted: Int64) -> Int64:
    """Where in `changes`, which grow, those of `wanted` stand that are there."""
    positions: Int64 = np.searchsorted(changes, wanted)
    inside = positions < len(changes)
    positions, wanted = positions[inside], wanted[inside]
    found: Int64 = positions[changes[positions] == wanted]
    return found


def _segment_distances(vectors: Float16, positions: Int64, asked: Float16) -> Float32:
    """Distances of the photos at `positions`, a few megabytes at a time; a dense choice is scanned whole: no copy."""
    at_once = max(1, _SCANNED_AT_ONCE_BYTES // (2 * vectors.shape[1] * vectors.shape[2]))
    is_dense = 2 * len(positions) > len(vectors)
    count = len(vectors) if is_dense else len(positions)
    distances = np.empty(count, np.float32)
    for start in range(0, count, at_once):
        stop = start + at_once
        distances[start:stop] = _distances(vectors[start:stop] if is_dense else vectors[positions[start:stop]], asked)
    return distances[positions] if is_dense else distances


def _distances(vectors: Float16, asked: Float16) -> Float32:
    """Distances float32 [n] of vectors [n, per photo, d]: the smallest over a photo's vectors."""
    photos, per_photo, dimension = vectors.shape
    squares = np.asarray(numkong.cdist(asked[None], vectors.reshape(-1, dimension), "sqeuclidean"), np.float32)
    nearest: Float32 = np.sqrt(squares.reshape(photos, per_photo).min(axis=1))
    return nearest


def _scan_blobs(
    connection: apsw.Connection,
    collection: Collection,
    space: StoredSpace,
    after: int,
    changes: Int64 | None,
    asked: Float16,
) -> Iterator[_Scanned]:
    """Photos written after the change `after`, or those of `changes`, straight from the database."""
    if changes is None:
        rows = connection.execute(newer_vectors(space), (collection.collection_id, after))
    elif len(changes):
        rows = connection.execute(
            "SELECT d.change, d.row_id, v.vectors FROM carray(?) c "
            "CROSS JOIN documents d ON d.collection_id = ? AND d.change = c.value "
            f"CROSS JOIN vectors_{space.space_id:d} v ON v.row_id = d.row_id",
            (array_binding(changes), collection.collection_id),
        )
    else:
        return
    per_photo, dimension = space.space.vectors_per_photo, space.space.dimension
    at_once = max(1, _SCANNED_AT_ONCE_BYTES // (2 * per_photo * dimension))
    while batch := list(islice(rows, at_once)):
        vectors = np.frombuffer(b"".join(row[2] for row in batch), "<f2").reshape(-1, per_photo, dimension)
        yield _Scanned(np.array([row[1] for row in batch], np.int64), _distances(vectors, asked))


def _within(
    connection: apsw.Connection, space: StoredSpace, scanned: _Scanned, asked: Float32, radius: float, error: float
) -> tuple[_Scanned, int]:
    """The photos within the radius, and how many: those at its edge are measured."""
    keep = scanned.distances <= radius + error
    edge = np.flatnonzero(keep & (scanned.distances >= radius - error))
    distances, _ = _measure(connection, space, scanned.row_ids[edge], asked)
    keep[edge[distances > radius]] = False
    return _Scanned(scanned.row_ids[keep], scanned.distances[keep]), int(keep.sum())


def _measure(connection: apsw.Connection, space: StoredSpace, row_ids: Int64, asked: Float32) -> tuple[Float64, Int64]:
    """Distances float64 [n] and the number of the nearest vector int64 [n], from the database.

    A photo's distance is the same bit for bit whatever else is measured with it: pages of one ranking fit together.
    """
    per_photo, dimension = space.space.vectors_per_photo, space.space.dimension
    distances, regions = np.empty(len(row_ids), np.float64), np.empty(len(row_ids), np.int64)
    at_once = max(1, _SCANNED_AT_ONCE_BYTES // (8 * per_photo * dimension))
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
