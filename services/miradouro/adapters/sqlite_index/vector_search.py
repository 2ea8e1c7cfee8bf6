"""Queries by vector: the vector engine ranks, the database filters, orders equal distances and pages."""

from collections.abc import Sequence
from typing import Any

import apsw
import numpy as np

from miradouro.adapters.sqlite_index.conditions import where
from miradouro.adapters.sqlite_index.filter_cache import FilterCache
from miradouro.adapters.sqlite_index.ordering import ordering
from miradouro.adapters.sqlite_index.ranking import NOTHING, Members, Ranked, Ranking
from miradouro.adapters.sqlite_index.rows import array_binding
from miradouro.adapters.sqlite_index.vector_spaces import OpenSpace
from miradouro.adapters.sqlite_index.vectors.arrays import Int64
from miradouro.adapters.sqlite_index.vectors.candidates import Neighbours
from miradouro.adapters.sqlite_index.vectors.search import VectorSearch
from miradouro.adapters.sqlite_index.vectors.tuning import Tuning
from miradouro.core.errors import ProvenanceMismatch
from miradouro.core.query import MAX_RANKED, Behind, IndexQuery, Order, VectorClause
from miradouro.core.spaces import Region


def by_vector(
    connection: apsw.Connection, opened: OpenSpace, query: IndexQuery, clause: VectorClause, tuning: Tuning, filters: FilterCache
) -> Ranking:
    """Photos by distance, nearest first; `opened` is the space in the connection's transaction.

    Raises ProvenanceMismatch, and InvalidArgument for a vector of another dimension or length.
    """
    space = opened.space.space
    if clause.provenance != space.provenance:
        raise ProvenanceMismatch(space.name, space.provenance, clause.provenance)
    allowed = filters.row_ids(connection, opened.collection, query.conditions) if query.conditions else None
    search = opened.index.search(opened.changelog, opened.searcher, clause.vector, allowed)
    return _VectorQuery(connection, opened, query, clause, search).ranking(tuning.exact_vectors)


class _VectorQuery:
    """One query by vector inside its transaction."""

    def __init__(
        self, connection: apsw.Connection, opened: OpenSpace, query: IndexQuery, clause: VectorClause, search: VectorSearch
    ) -> None:
        self._db = connection
        self._opened = opened
        self._query = query
        self._clause = clause
        self._search = search
        self._boxes: Sequence[Region] = opened.space.space.regions

    def ranking(self, exact_vectors: int) -> Ranking:
        """Exact up to `exact_vectors` candidates; approximate beyond, where the query allows it."""
        query, search = self._query, self._search
        if (approximate := self._approximate(exact_vectors)) is not None:
            neighbours, start, total = approximate
            window = self._window(neighbours, start, min(start + query.limit, total))
            return Ranking(window, total, members=self._members(None), exact=False)
        found = search.everything()
        within = None
        if self._clause.max_distance is not None:
            found = search.within(found, self._clause.max_distance)
            within = found.row_ids
        total, members = len(found), self._members(within)
        if query.order is Order.TAKEN:
            return Ranking(self._newest(found.row_ids), total, members=members)
        start = query.offset
        if query.behind is not None:
            nearer, around = search.split(found, query.behind.distance)
            start = nearer + self._count_before(around, query.behind)
        end = min(start + query.limit, MAX_RANKED, total)
        truncated = self._clause.max_distance is not None and total > MAX_RANKED
        if start >= end:
            return Ranking((), total, truncated, members)
        neighbours, skipped = search.window(found, start, end)
        return Ranking(self._window(neighbours, start - skipped, end - skipped), total, truncated, members)

    def _approximate(self, exact_vectors: int) -> tuple[Neighbours, int, int] | None:
        """Candidates, the rank at which the window starts among them, and the total; None to search exactly.

        A radius and an order by time need an exact search: HNSW may miss photos that belong to the answer.
        """
        query, search = self._query, self._search
        if self._clause.exact or self._clause.max_distance is not None or query.order is not Order.RELEVANCE:
            return None
        photos = search.searcher.photos
        total = photos
        if search.allowed is not None:
            total = len(search.allowed) if photos == self._opened.collection.photos else self._count_stored(search.allowed)
        if total * self._opened.space.space.vectors_per_photo <= exact_vectors or query.offset >= total:
            return None
        start = query.offset
        while (found := search.nearest(end := min(start + query.limit, total), total / photos)) is not None:
            # The graphs may give other candidates for this page than for the previous one, and nearer ones among them.
            start = query.offset if query.behind is None else self._count_before(found, query.behind)
            if min(start + query.limit, total) <= end:
                return None if start >= total else (found, start, total)
        return None

    def _count_before(self, neighbours: Neighbours, behind: Behind) -> int:
        """The number of photos that rank up to `behind`, the end of the previous page."""
        equal = self._photo_ids(neighbours.row_ids[neighbours.distances == behind.distance])
        nearer = int((neighbours.distances < behind.distance).sum())
        return nearer + sum(photo_id <= behind.photo_id for photo_id in equal.values())

    def _count_stored(self, row_ids: Int64) -> int:
        """The number of the photos with vectors in the space."""
        if not len(row_ids):
            return 0
        sql = f"SELECT count(*) FROM carray(?) c CROSS JOIN {self._table} v ON v.row_id = c.value"
        return int(self._db.execute(sql, (array_binding(row_ids),)).get)

    def _photo_ids(self, row_ids: Int64) -> dict[int, str]:
        """Row id → photo id."""
        if not len(row_ids):
            return {}
        sql = "SELECT d.row_id, d.photo_id FROM carray(?) c CROSS JOIN documents d ON d.row_id = c.value"
        rows: list[Any] = self._db.execute(sql, (array_binding(row_ids),)).fetchall()
        return dict(rows)

    def _members(self, within: Int64 | None) -> Members | None:
        """For facets: the photos of the space that pass the filter, or the row ids `within` alone."""
        if not self._query.facets:
            return None
        if within is not None:
            return Members("SELECT value FROM carray(?)", [array_binding(within)]) if len(within) else NOTHING.members
        collection = self._opened.collection
        has_all = self._search.searcher.photos == collection.photos
        if has_all and not self._query.conditions:
            return None
        condition, bindings = where(collection.collection_id, self._query.conditions)
        stored = "" if has_all else f" AND EXISTS (SELECT 1 FROM {self._table} v WHERE v.row_id = d.row_id)"
        return Members(f"SELECT d.row_id FROM documents d WHERE {condition}{stored}", bindings)

    def _newest(self, row_ids: Int64) -> list[Ranked]:
        """The window of the photos, newest first."""
        if not len(row_ids):
            return []
        order = ordering(self._query)
        rows: list[Any] = self._db.execute(
            "SELECT d.row_id, d.photo_id FROM carray(?) c CROSS JOIN documents d ON d.row_id = c.value "
            f"WHERE {order.begins} ORDER BY {order.by} LIMIT ? OFFSET ?",
            (array_binding(row_ids), *order.bindings, self._query.limit, self._query.offset),
        ).fetchall()
        found = self._search.measure(np.array([row_id for row_id, _ in rows], np.int64))
        return [
            self._ranked(row_id, photo_id, distance, nearest)
            for (row_id, photo_id), distance, nearest in zip(rows, found.distances.tolist(), found.nearest.tolist(), strict=True)
        ]

    def _window(self, neighbours: Neighbours, start: int, end: int) -> list[Ranked]:
        """Ranks `start` to `end` by distance, equal distances by photo id."""
        order = np.argsort(neighbours.distances, kind="stable")
        distances = neighbours.distances[order]
        # Read whole groups of equal distances: the photo id decides which of them are inside the window.
        first = int(np.searchsorted(distances, distances[start], "left"))
        last = int(np.searchsorted(distances, distances[end - 1], "right"))
        chosen = order[first:last]
        row_ids = neighbours.row_ids[chosen]
        photo_ids = self._photo_ids(row_ids)
        ranked = [
            self._ranked(row_id, photo_ids[row_id], distance, nearest)
            for row_id, distance, nearest in zip(
                row_ids.tolist(), distances[first:last].tolist(), neighbours.nearest[chosen].tolist(), strict=True
            )
        ]
        ranked.sort(key=lambda one: (one.distance, one.photo_id))
        return ranked[start - first : end - first]

    def _ranked(self, row_id: int, photo_id: str, distance: float, nearest: int) -> Ranked:
        return Ranked(row_id, photo_id, 1 - distance / 2, distance, self._boxes[nearest] if self._boxes else None)

    @property
    def _table(self) -> str:
        return f"vectors_{self._opened.space.space_id:d}"
