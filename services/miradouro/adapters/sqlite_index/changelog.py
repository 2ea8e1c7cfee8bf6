"""The database as the vector engine sees it: `vectors.changelog.Changelog` of one space, in SQL."""

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from miradouro.adapters.sqlite_index.connections import Connections
from miradouro.adapters.sqlite_index.rows import array_binding, numbers_of
from miradouro.adapters.sqlite_index.vectors.arrays import Int64
from miradouro.adapters.sqlite_index.vectors.changelog import Change, SegmentInfo, Transactions

_ALL = -1  # LIMIT


class SpaceChangelog:
    """A `Changelog` over one connection. The caller begins and ends the transaction."""

    def __init__(self, connection: apsw.Connection, collection_id: int, space_id: int) -> None:
        self._db = connection
        self._collection_id = collection_id
        self._space_id = space_id

    def last_change(self) -> int:
        """See `Changelog.last_change`."""
        return int(self._db.execute("SELECT last_change FROM collections WHERE collection_id = ?", (self._collection_id,)).get)

    def photos(self) -> int:
        """See `Changelog.photos`."""
        return int(self._db.execute("SELECT photos FROM spaces WHERE space_id = ?", (self._space_id,)).get)

    def changes_between(self, after: int, through: int, *, most: int | None = None) -> Iterator[Change]:
        """See `Changelog.changes_between`."""
        rows = self._db.execute(
            f"SELECT d.change, d.row_id, v.vectors {self._between} ORDER BY d.change LIMIT ?",
            (self._collection_id, after, through, _ALL if most is None else most),
        )
        return map(Change._make, rows)

    def count_between(self, after: int, through: int) -> int:
        """See `Changelog.count_between`."""
        return int(self._db.execute(f"SELECT count(*) {self._between}", (self._collection_id, after, through)).get)

    def row_ids_between(self, after: int, through: int) -> Int64:
        """See `Changelog.row_ids_between`."""
        return numbers_of(
            self._db,
            "SELECT group_concat(row_id) FROM documents WHERE collection_id = ? AND change > ? AND change <= ?",
            (self._collection_id, after, through),
        )

    def vectors_of(self, row_ids: Int64) -> Iterator[tuple[int, bytes]]:
        """See `Changelog.vectors_of`; at least one row id."""
        return self._db.execute(
            f"SELECT v.row_id, v.vectors FROM carray(?) c CROSS JOIN vectors_{self._space_id:d} v ON v.row_id = c.value",
            (array_binding(row_ids),),
        )

    def superseded(self) -> Int64:
        """See `Changelog.superseded`."""
        sql = "SELECT group_concat(change) FROM replaced WHERE collection_id = ?"
        return numbers_of(self._db, sql, (self._collection_id,))

    def count_superseded(self, segment: SegmentInfo) -> int:
        """See `Changelog.count_superseded`."""
        return int(
            self._db.execute(
                "SELECT count(*) FROM replaced WHERE collection_id = ? AND change > ? AND change <= coalesce(?, change) "
                "AND by_change > ?",
                (self._collection_id, segment.after_change, segment.through_change, segment.made_at),
            ).get
        )

    def segments(self) -> list[SegmentInfo]:
        """See `Changelog.segments`."""
        rows = self._db.execute(
            "SELECT segment_id, after_change, through_change, made_at, photos, stamp FROM segments WHERE space_id = ? "
            "ORDER BY through_change IS NULL, after_change",
            (self._space_id,),
        )
        return [SegmentInfo(*row) for row in rows]

    def add_segment(self, *, after_change: int, through_change: int | None = None, made_at: int = 0, photos: int = 0) -> int:
        """See `Changelog.add_segment`."""
        self._db.execute(
            "INSERT INTO segments(space_id, after_change, through_change, made_at, photos) VALUES (?, ?, ?, ?, ?)",
            (self._space_id, after_change, through_change, made_at, photos),
        )
        return self._db.last_insert_rowid()

    def update_segment(self, segment: SegmentInfo) -> None:
        """See `Changelog.update_segment`."""
        self._db.execute(
            "UPDATE segments SET after_change = ?, through_change = ?, made_at = ?, photos = ?, stamp = ? WHERE segment_id = ?",
            (
                segment.after_change, segment.through_change, segment.made_at, segment.photos, segment.stamp, segment.segment_id
            ),
        )  # fmt: skip

    def remove_segment(self, segment_id: int) -> None:
        """See `Changelog.remove_segment`."""
        self._db.execute("DELETE FROM segments WHERE segment_id = ?", (segment_id,))

    def forget_superseded(self) -> None:
        """See `Changelog.forget_superseded`; of the segments of all spaces of the collection."""
        self._db.execute(
            "DELETE FROM replaced WHERE collection_id = ?1 AND NOT EXISTS ("
            "SELECT 1 FROM segments JOIN spaces USING (space_id) WHERE spaces.collection_id = ?1 "
            "AND replaced.change > after_change AND replaced.change <= coalesce(through_change, replaced.change) "
            "AND replaced.by_change > made_at)",
            (self._collection_id,),
        )

    @property
    def _between(self) -> str:
        return (
            f"FROM documents d CROSS JOIN vectors_{self._space_id:d} v ON v.row_id = d.row_id "
            "WHERE d.collection_id = ? AND d.change > ? AND d.change <= ?"
        )


def transactions_of(connections: Connections, collection_id: int, space_id: int) -> Transactions:
    """Transactions of their own over one space."""

    @contextmanager
    def reading() -> Iterator[SpaceChangelog]:
        with connections.reading() as connection:
            connection.execute("BEGIN")  # `connections` ends it
            yield SpaceChangelog(connection, collection_id, space_id)

    @contextmanager
    def writing() -> Iterator[SpaceChangelog]:
        with connections.writing() as connection:
            yield SpaceChangelog(connection, collection_id, space_id)

    return Transactions(reading, writing)
