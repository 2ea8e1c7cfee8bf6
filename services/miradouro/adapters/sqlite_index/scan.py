"""The exact scan: distances of every photo that is asked about, from segments and from the database for what these lack."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import apsw
import numkong
import numpy as np
import numpy.typing as npt

from miradouro.adapters.sqlite_index.catalogue import Collection, StoredSpace
from miradouro.adapters.sqlite_index.conditions import Bindings
from miradouro.adapters.sqlite_index.rows import array_binding
from miradouro.adapters.sqlite_index.segment_graph import Float16, Int64
from miradouro.adapters.sqlite_index.segments import Part, vectors_between
from miradouro.core.document import Float32

SCANNED_AT_ONCE_BYTES = 4 << 20
# Error of a scanned distance beyond that of rounding the query to float16: sums are float32, relative error below 1e-5.
SCAN_ERROR = 4e-5

Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Scanned:
    """Live photos of a space that pass the conditions: row ids int64 [n], distances float32 [n] within the scan's error."""

    row_ids: Int64
    distances: Float32

    @classmethod
    def joined(cls, parts: Sequence["Scanned"]) -> "Scanned":
        """One after the other."""
        if not parts:
            return cls(np.empty(0, np.int64), np.empty(0, np.float32))
        return cls(np.concatenate([part.row_ids for part in parts]), np.concatenate([part.distances for part in parts]))


@dataclass(frozen=True)
class Scan:
    """One question's way through a space. `wanted` are the changes that pass the conditions, growing; None for all."""

    connection: apsw.Connection
    collection: Collection
    space: StoredSpace
    asked: Float16
    wanted: Int64 | None

    def of_parts(self, parts: Sequence[Part], *, only_strays: bool = False) -> list[Scanned]:
        """The photos of segments; or those alone that their graphs do not lead to."""
        replaced: Int64 | None = None
        found = []
        for part in parts:
            if not len(part.changes) or (only_strays and not len(part.strays)):
                continue
            if self.wanted is not None:
                positions = _positions(part.changes, self.wanted)
            else:
                if replaced is None:
                    replaced = _replaced(self.connection, self.collection)
                alive = np.ones(len(part.changes), bool)
                alive[_positions(part.changes, replaced)] = False
                positions = np.flatnonzero(alive)
            if only_strays:
                positions = np.intersect1d(positions, part.strays, assume_unique=True)
            found.append(Scanned(part.row_ids[positions], _segment_distances(part.vectors, positions, self.asked)))
        return found

    def of_gaps(self, gaps: Sequence[tuple[int, int]]) -> list[Scanned]:
        """The photos of the changes after one and up to another, straight from the database."""
        return [scanned for after, through in gaps for scanned in self._of_gap(after, through)]

    def _of_gap(self, after: int, through: int) -> Iterator[Scanned]:
        if self.wanted is None:
            rows = self.connection.execute(vectors_between(self.space), (self.collection.collection_id, after, through))
        else:
            changes = self.wanted[np.searchsorted(self.wanted, after, "right") : np.searchsorted(self.wanted, through, "right")]
            if not len(changes):
                return
            rows = self.connection.execute(
                "SELECT d.change, d.row_id, v.vectors FROM carray(?) c "
                "CROSS JOIN documents d ON d.collection_id = ? AND d.change = c.value "
                f"CROSS JOIN vectors_{self.space.space_id:d} v ON v.row_id = d.row_id",
                (array_binding(changes), self.collection.collection_id),
            )
        per_photo, dimension = self.space.space.vectors_per_photo, self.space.space.dimension
        at_once = max(1, SCANNED_AT_ONCE_BYTES // (2 * per_photo * dimension))
        while batch := list(islice(rows, at_once)):
            vectors = np.frombuffer(b"".join(row[2] for row in batch), "<f2").reshape(-1, per_photo, dimension)
            yield Scanned(np.array([row[1] for row in batch], np.int64), _distances(vectors, self.asked))


def are_in(sorted_numbers: Int64, numbers: Int64) -> Bool:
    """Which of `numbers` are among `sorted_numbers`, which grow."""
    if not len(sorted_numbers):
        return np.zeros(len(numbers), bool)
    places = np.minimum(np.searchsorted(sorted_numbers, numbers), len(sorted_numbers) - 1)
    found: Bool = sorted_numbers[places] == numbers
    return found


def _replaced(connection: apsw.Connection, collection: Collection) -> Int64:
    return numbers_of(connection, "SELECT group_concat(change) FROM replaced WHERE collection_id = ?", [collection.collection_id])


def numbers_of(connection: apsw.Connection, sql: str, bindings: Bindings) -> Int64:
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
    at_once = max(1, SCANNED_AT_ONCE_BYTES // (2 * vectors.shape[1] * vectors.shape[2]))
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
