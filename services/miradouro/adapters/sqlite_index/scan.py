"""The exact scan: distances of every photo that is asked about, from segments and from the database for what these lack."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import apsw
import numkong
import numpy as np

from miradouro.adapters.sqlite_index.moment import Moment, Piece
from miradouro.adapters.sqlite_index.rows import array_binding, numbers_of
from miradouro.adapters.sqlite_index.segments import vectors_between
from miradouro.adapters.sqlite_index.vectors.arrays import Bool, Float16, Float64, Int64, are_in
from miradouro.core.document import Float32
from miradouro.core.storable import UNIT_TOLERANCE, check_vectors

SCANNED_AT_ONCE_BYTES = 4 << 20
# Error of a scanned distance beyond that of rounding the query to float16: sums are float32, relative error below 1e-5.
_SCAN_ERROR = 4e-5


@dataclass(frozen=True)
class Asked:
    """The vector of a question, float32 [d]."""

    vector: Float32

    @classmethod
    def of(cls, given: Float32, dimension: int) -> "Asked":
        """Raises InvalidArgument for a vector that is not of `dimension` numbers or not of length 1."""
        if given.shape != (dimension,) or given.dtype != np.float32 or not abs(float(given @ given) - 1) < UNIT_TOLERANCE:
            check_vectors(given[None], (1, dimension), field="vector")
        return cls(np.ascontiguousarray(given, np.float32))

    @cached_property
    def rounded(self) -> Float16:
        """float16 [d]: what is scanned with."""
        return self.vector.astype(np.float16)

    @cached_property
    def error(self) -> float:
        """Scanned distances are off by so much at most."""
        lost = self.vector - self.rounded
        return float(np.sqrt(lost @ lost)) + _SCAN_ERROR

    def measure(self, vectors: Float16) -> tuple[Float64, Int64]:
        """Distances float64 [n] of stored vectors [n, per photo, d], and the number of the nearest vector int64 [n].

        A photo's distance is the same bit for bit whatever else is measured with it: pages of one ranking fit together.
        """
        photos, per_photo, dimension = vectors.shape
        # numpy casts halves one by one: twenty times as long as these two steps.
        singles = numkong.astype(vectors.reshape(-1, dimension), "float32")
        difference = np.asarray(numkong.astype(singles, "float64"))
        np.subtract(difference, self.vector, out=difference)
        squares = np.vecdot(difference, difference)
        if per_photo == 1:
            return np.sqrt(squares, out=squares), np.zeros(photos, np.int64)
        squares = squares.reshape(photos, per_photo)
        nearest = squares.argmin(axis=1)
        return np.sqrt(squares[np.arange(photos), nearest]), nearest


@dataclass(frozen=True)
class Scanned:
    """Live photos of a space that pass the conditions: row ids int64 [n], distances float32 [n] within the scan's error."""

    row_ids: Int64
    distances: Float32

    def only(self, kept: Bool) -> "Scanned":
        """Those of which bool [n] says so."""
        return Scanned(self.row_ids[kept], self.distances[kept])

    @classmethod
    def joined(cls, parts: Sequence["Scanned"]) -> "Scanned":
        """One after the other."""
        parts = [part for part in parts if len(part.row_ids)]
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls(np.empty(0, np.int64), np.empty(0, np.float32))
        return cls(np.concatenate([part.row_ids for part in parts]), np.concatenate([part.distances for part in parts]))


@dataclass(frozen=True)
class Measured:
    """Photos at their distances from the stored vectors: row ids int64 [n], distances float64 [n], the number of the nearest
    vector int64 [n]."""

    row_ids: Int64
    distances: Float64
    regions: Int64

    @classmethod
    def joined(cls, parts: Sequence["Measured"]) -> "Measured":
        """One after the other; at least one."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.row_ids for part in parts]),
            np.concatenate([part.distances for part in parts]),
            np.concatenate([part.regions for part in parts]),
        )


@dataclass(frozen=True)
class Scan:
    """One question's way through a space. `wanted` are the row ids that pass the conditions, growing; None for all."""

    connection: apsw.Connection
    moment: Moment
    asked: Asked
    wanted: Int64 | None

    def measure(self, row_ids: Int64) -> Measured:
        """Photos of the moment by their stored vectors, some megabytes at a time."""
        space = self.moment.space.space
        at_once = max(1, SCANNED_AT_ONCE_BYTES // (8 * space.vectors_per_photo * space.dimension))
        parts = []
        for start in range(0, max(1, len(row_ids)), at_once):
            some = row_ids[start : start + at_once]
            parts.append(Measured(some, *self.asked.measure(self.moment.vectors(self.connection, some))))
        return Measured.joined(parts)

    def of_pieces(self, pieces: Sequence[Piece]) -> list[Scanned]:
        """The photos of segments."""
        found = []
        for piece in pieces:
            part = piece.part
            if self.wanted is not None:
                positions = piece.positions(self.wanted)
                positions = positions[positions >= 0]
            elif piece.living is not None:
                positions = np.flatnonzero(piece.living)
            else:
                found.append(Scanned(part.row_ids, _distances(part.vectors, self.asked)))
                continue
            found.append(Scanned(part.row_ids[positions], distances_at(part.vectors, positions, self.asked)))
        return found

    def of_strays(self, pieces: Sequence[Piece]) -> list[Scanned]:
        """The photos of segments that their graphs do not lead to."""
        found = []
        for piece in pieces:
            part = piece.part
            if not len(part.strays):
                continue
            scanned = Scanned(part.row_ids[part.strays], _distances(part.stray_vectors, self.asked))
            if piece.living is not None:
                scanned = scanned.only(piece.living[part.strays])
            if self.wanted is not None:
                scanned = scanned.only(are_in(self.wanted, scanned.row_ids))
            found.append(scanned)
        return found

    def of_gaps(self) -> list[Scanned]:
        """The photos that are in no segment, straight from the database."""
        return [scanned for after, through in self.moment.gaps for scanned in self._of_gap(after, through)]

    def _of_gap(self, after: int, through: int) -> Iterator[Scanned]:
        space = self.moment.space
        per_photo, dimension = space.space.vectors_per_photo, space.space.dimension
        within = (self.moment.collection.collection_id, after, through)
        if self.wanted is None:
            rows = self.connection.execute(vectors_between(space), within)
        else:
            row_ids = numbers_of(
                self.connection,
                "SELECT group_concat(row_id) FROM documents WHERE collection_id = ? AND change > ? AND change <= ?",
                within,
            )
            row_ids = row_ids[are_in(self.wanted, row_ids)]
            if not len(row_ids):
                return
            rows = self.connection.execute(
                f"SELECT 0, v.row_id, v.vectors FROM carray(?) c CROSS JOIN vectors_{space.space_id:d} v ON v.row_id = c.value",
                (array_binding(row_ids),),
            )
        at_once = max(1, SCANNED_AT_ONCE_BYTES // (2 * per_photo * dimension))
        while batch := list(islice(rows, at_once)):
            vectors = np.frombuffer(b"".join(row[2] for row in batch), "<f2").reshape(-1, per_photo, dimension)
            yield Scanned(np.array([row[1] for row in batch], np.int64), _distances(vectors, self.asked))


def distances_at(vectors: Float16, positions: Int64, asked: Asked) -> Float32:
    """Distances of the photos at `positions`, a few megabytes at a time; a dense choice is scanned whole: no copy."""
    if 2 * len(positions) > len(vectors):
        return _distances(vectors, asked)[positions]
    at_once = max(1, SCANNED_AT_ONCE_BYTES // (2 * vectors.shape[1] * vectors.shape[2]))
    if len(positions) <= at_once:
        return _distances(vectors[positions], asked)
    distances = np.empty(len(positions), np.float32)
    for start in range(0, len(positions), at_once):
        distances[start : start + at_once] = _distances(vectors[positions[start : start + at_once]], asked)
    return distances


def _distances(vectors: Float16, asked: Asked) -> Float32:
    """Distances float32 [n] of vectors [n, per photo, d]: the smallest over a photo's vectors."""
    photos, per_photo, dimension = vectors.shape
    flat = vectors.reshape(-1, dimension)
    squares = np.empty((1, len(flat)), np.float32)
    at_once = max(1, SCANNED_AT_ONCE_BYTES // (2 * dimension))  # the library holds the interpreter's lock meanwhile
    for start in range(0, len(flat), at_once):
        part = slice(start, start + at_once)
        numkong.cdist(asked.rounded[None], flat[part], "sqeuclidean", out=squares[:, part])
    nearest: Float32 = squares[0] if per_photo == 1 else squares.reshape(photos, per_photo).min(axis=1)
    np.sqrt(nearest, out=nearest)
    return nearest
