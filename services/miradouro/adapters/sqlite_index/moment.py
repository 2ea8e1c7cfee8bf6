"""What a question needs to know of a space beside the photos themselves, remembered as long as the database does not change."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import ref

import apsw
import numpy as np

from miradouro.adapters.sqlite_index.catalogue import Catalogue, Collection, StoredSpace
from miradouro.adapters.sqlite_index.connections import Reader
from miradouro.adapters.sqlite_index.rows import array_binding, numbers_of
from miradouro.adapters.sqlite_index.segments import Coverage, Part, Segment, SegmentViews, segments_of
from miradouro.adapters.sqlite_index.vectors.arrays import Bool, Float16, Int64

_VIEW_ATTEMPTS = 3


@dataclass(frozen=True, eq=False)
class Piece:
    """A segment's photos, and which of them are neither replaced nor deleted: bool [n], None for all."""

    part: Part
    living: Bool | None

    @classmethod
    def of(cls, part: Part, replaced: Int64) -> "Piece":
        """`replaced` are the changes of the collection that hold no more, growing."""
        first, end = np.searchsorted(replaced, (part.after_change, part.through_change), "right")
        positions = np.searchsorted(part.changes, gone := replaced[first:end])
        inside = positions < len(part.changes)
        positions, gone = positions[inside], gone[inside]
        positions = positions[part.changes[positions] == gone]
        if not len(positions):
            return cls(part, None)
        living = np.ones(len(part.changes), bool)
        living[positions] = False
        return cls(part, living)

    def positions(self, row_ids: Int64) -> Int64:
        """Where the living photos `row_ids` stand in the part's arrays, int64 [n]; -1 for those that are not among them."""
        found = self.part.positions(row_ids)
        if self.living is not None:
            found[~self.living[found]] = -1
        return found


@dataclass(frozen=True, eq=False)
class Moment:
    """One state of the database, as a space sees it: `held` photos have vectors in the space, those of the `pieces` and, to be
    read from the database, those of the changes in `gaps`, (after, through)."""

    collection: Collection
    space: StoredSpace
    segments: tuple[Segment, ...]
    held: int
    pieces: tuple[Piece, ...]
    gaps: tuple[tuple[int, int], ...]

    def is_whole(self) -> bool:
        """Whether everything is in the segments, and these may still be read."""
        return not self.gaps and all(piece.part.reader.is_whole() for piece in self.pieces)

    def vectors(self, connection: apsw.Connection, row_ids: Int64) -> Float16:
        """The vectors of photos that live at this moment, float16 [n, per photo, d]."""
        space = self.space.space
        found = np.empty((len(row_ids), space.vectors_per_photo, space.dimension), np.float16)
        missing = np.ones(len(row_ids), bool)
        for piece in self.pieces:
            positions = piece.positions(row_ids)
            here = positions >= 0
            if here.all():
                return piece.part.vectors[positions]
            found[here] = piece.part.vectors[positions[here]]
            missing &= ~here
        if missing.any():
            sought = row_ids[missing]
            blobs = dict(
                connection.execute(
                    f"SELECT v.row_id, v.vectors FROM carray(?) c CROSS JOIN vectors_{self.space.space_id:d} v "
                    "ON v.row_id = c.value",
                    (array_binding(sought),),
                )
            )
            joined = b"".join(blobs[row_id] for row_id in sought.tolist())
            found[missing] = np.frombuffer(joined, "<f2").reshape(-1, *found.shape[1:])
        return found


class Moments:
    """The latest moment of every space. Thread-safe.

    In memory it takes 8 bytes for every photo and space, and a ninth in segments with photos that were replaced.
    """

    def __init__(self, catalogue: Catalogue, views: SegmentViews) -> None:
        self._catalogue = catalogue
        self._views = views
        self._latest: dict[int, Moment] = {}  # by space
        self._lock = threading.Lock()

    def begin(self, connection: Reader, name: str, space_name: str) -> Moment:
        """Begins the one transaction that answers a question, and tells what it sees. Raises NotFound (collection),
        InvalidArgument (space)."""
        connection.execute("BEGIN")
        version = _version(connection)
        known = connection.remembered.get((name, space_name))
        moment: Moment | None = known[1]() if known is not None and known[0] == version else None
        if moment is not None and moment.is_whole():
            return moment
        connection.execute("ROLLBACK")
        moment = self._look(connection, name, space_name)
        connection.remembered[name, space_name] = (_version(connection), ref(moment))
        return moment

    def close(self) -> None:
        """Lets go of what is mapped."""
        with self._lock:
            self._latest.clear()

    def _look(self, connection: apsw.Connection, name: str, space_name: str) -> Moment:
        collection = self._catalogue.find(connection, name)
        space = self._catalogue.space(connection, collection, space_name)
        parts: Sequence[Part] = ()
        segments: list[Segment] = []
        # Segments are read before the transaction begins: so they never lack a photo of the moment that the transaction
        # sees. Those that were exchanged in between are read again.
        for _ in range(_VIEW_ATTEMPTS):
            segments = segments_of(connection, space)
            parts = self._views.parts(connection, collection, space, segments)
            connection.execute("BEGIN")
            if segments_of(connection, space) == segments:
                break
            connection.execute("ROLLBACK")
            parts = ()
        else:
            connection.execute("BEGIN")
        collection = self._catalogue.find(connection, name)
        coverage = Coverage.of(parts, collection.last_change)
        latest = self._latest.get(space.space_id)
        if (
            latest is not None
            and (latest.collection, latest.segments, latest.gaps) == (collection, tuple(segments), coverage.gaps)
            and [piece.part for piece in latest.pieces] == list(coverage.parts)
        ):
            return latest
        replaced = numbers_of(
            connection, "SELECT group_concat(change) FROM replaced WHERE collection_id = ?", [collection.collection_id]
        )
        held = int(connection.execute("SELECT photos FROM spaces WHERE space_id = ?", (space.space_id,)).get)
        pieces = tuple(Piece.of(part, replaced) for part in coverage.parts)
        moment = Moment(collection, space, tuple(segments), held, pieces, coverage.gaps)
        with self._lock:
            self._latest[space.space_id] = moment
        return moment


def _version(connection: apsw.Connection) -> int:
    """A number that is another one, on this connection, whenever somebody committed in between."""
    return int(connection.execute("PRAGMA data_version").get)
