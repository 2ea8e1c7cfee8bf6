"""Exact search: the distance of every photo that passes the filter, from segments and, for the gaps, from the database."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from miradouro.adapters.sqlite_index.vectors.arrays import Int64, Stored, are_in
from miradouro.adapters.sqlite_index.vectors.candidates import Candidates, Neighbours
from miradouro.adapters.sqlite_index.vectors.changelog import Changelog
from miradouro.adapters.sqlite_index.vectors.query_vector import QueryVector
from miradouro.adapters.sqlite_index.vectors.searcher import Searcher, SegmentReader
from miradouro.core.document import Float32

_SCANNED_AT_ONCE_BYTES = 4 << 20


@dataclass(frozen=True)
class ExactSearch:
    """One query over a searcher. `allowed`: the row ids that pass the filter, ascending, int64 [n]; None without a filter."""

    changelog: Changelog
    searcher: Searcher
    query: QueryVector
    allowed: Int64 | None

    def everything(self) -> Candidates:
        """Every photo."""
        return Candidates.joined([*self.in_segments(self.searcher.segments), *self.in_gaps()])

    def measure(self, row_ids: Int64) -> Neighbours:
        """The exact distances of live photos, some megabytes at a time."""
        at_once = max(1, _SCANNED_AT_ONCE_BYTES // (4 * self.searcher.identity.photo_bytes))  # as float64
        parts = []
        for start in range(0, max(1, len(row_ids)), at_once):
            some = row_ids[start : start + at_once]
            parts.append(Neighbours(some, *self.query.measure(self.searcher.vectors(self.changelog, some))))
        return Neighbours.joined(parts)

    def in_segments(self, readers: Sequence[SegmentReader]) -> list[Candidates]:
        """The photos of segments."""
        found = []
        for reader in readers:
            segment = reader.segment
            if self.allowed is not None:
                positions = reader.positions(self.allowed)
                positions = positions[positions >= 0]
            elif reader.alive is not None:
                positions = np.flatnonzero(reader.alive)
            else:
                found.append(Candidates(segment.row_ids, _distances(segment.vectors, self.query)))
                continue
            found.append(Candidates(segment.row_ids[positions], distances_at(segment.vectors, positions, self.query)))
        return found

    def unreachable(self, readers: Sequence[SegmentReader]) -> list[Candidates]:
        """The photos of segments that their graphs do not reach."""
        found = []
        for reader in readers:
            segment = reader.segment
            if not len(segment.unreachable):
                continue
            candidates = Candidates(segment.row_ids[segment.unreachable], _distances(segment.unreachable_vectors, self.query))
            if reader.alive is not None:
                candidates = candidates.only(reader.alive[segment.unreachable])
            if self.allowed is not None:
                candidates = candidates.only(are_in(self.allowed, candidates.row_ids))
            found.append(candidates)
        return found

    def in_gaps(self) -> list[Candidates]:
        """The photos outside the segments, from the database."""
        return [candidates for after, through in self.searcher.gaps for candidates in self._in_gap(after, through)]

    def _in_gap(self, after: int, through: int) -> Iterator[Candidates]:
        identity = self.searcher.identity
        rows: Iterator[tuple[int, bytes]]
        if self.allowed is None:
            rows = ((change.row_id, change.vectors) for change in self.changelog.changes_between(after, through))
        else:
            row_ids = self.changelog.row_ids_between(after, through)
            row_ids = row_ids[are_in(self.allowed, row_ids)]
            if not len(row_ids):
                return
            rows = self.changelog.vectors_of(row_ids)
        at_once = max(1, _SCANNED_AT_ONCE_BYTES // identity.photo_bytes)
        while batch := list(islice(rows, at_once)):
            vectors = identity.vectors_in(b"".join(blob for _, blob in batch))
            yield Candidates(np.array([row_id for row_id, _ in batch], np.int64), _distances(vectors, self.query))


def distances_at(vectors: Stored, positions: Int64, query: QueryVector) -> Float32:
    """Approximate distances of the photos at `positions`, some megabytes at a time.

    Where `positions` are more than half of the photos, all are scanned: that saves the copy.
    """
    if 2 * len(positions) > len(vectors):
        return _distances(vectors, query)[positions]
    at_once = max(1, _SCANNED_AT_ONCE_BYTES // (vectors.itemsize * vectors.shape[1] * vectors.shape[2]))
    if len(positions) <= at_once:
        return _distances(vectors[positions], query)
    distances = np.empty(len(positions), np.float32)
    for start in range(0, len(positions), at_once):
        distances[start : start + at_once] = _distances(vectors[positions[start : start + at_once]], query)
    return distances


def _distances(vectors: Stored, query: QueryVector) -> Float32:
    """Approximate distances float32 [n] of vectors [n, per photo, d]: the smallest over a photo's vectors."""
    photos, per_photo, dimension = vectors.shape
    flat = vectors.reshape(-1, dimension)
    squares = np.empty(len(flat), np.float32)
    at_once = max(1, _SCANNED_AT_ONCE_BYTES // (flat.itemsize * dimension))  # the library holds the interpreter's lock meanwhile
    for start in range(0, len(flat), at_once):
        part = slice(start, start + at_once)
        query.scan(flat[part], out=squares[part])
    nearest: Float32 = squares if per_photo == 1 else squares.reshape(photos, per_photo).min(axis=1)
    np.sqrt(nearest, out=nearest)
    return nearest
