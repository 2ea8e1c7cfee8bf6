"""One state of a space, ready to be searched."""

from dataclasses import dataclass

import numpy as np

from miradouro.adapters.sqlite_index.vectors.arrays import Bool, Int64, Stored
from miradouro.adapters.sqlite_index.vectors.changelog import Changelog, SegmentInfo
from miradouro.adapters.sqlite_index.vectors.open_segments import Segment
from miradouro.adapters.sqlite_index.vectors.segment_file import Identity


@dataclass(frozen=True, eq=False)
class SegmentReader:
    """A segment and its alive bitset: bool [n], False for superseded changes; None where all are alive."""

    segment: Segment
    alive: Bool | None

    @classmethod
    def of(cls, segment: Segment, superseded: Int64) -> "SegmentReader":
        """`superseded`: as `Changelog.superseded` returns them."""
        first, end = np.searchsorted(superseded, (segment.after_change, segment.through_change), "right")
        positions = np.searchsorted(segment.changes, dead := superseded[first:end])
        inside = positions < len(segment.changes)
        positions, dead = positions[inside], dead[inside]
        positions = positions[segment.changes[positions] == dead]
        if not len(positions):
            return cls(segment, None)
        alive = np.ones(len(segment.changes), bool)
        alive[positions] = False
        return cls(segment, alive)

    def positions(self, row_ids: Int64) -> Int64:
        """The position of each photo in the segment's arrays, int64 [n]; -1 for one that is not alive in this segment."""
        found = self.segment.positions(row_ids)
        if self.alive is not None:
            found[~self.alive[found]] = -1
        return found


@dataclass(frozen=True, eq=False)
class Searcher:
    """One state of the changelog: `photos` have vectors, in `segments` or, for the changes in `gaps`, in the database alone."""

    identity: Identity
    last_change: int
    infos: tuple[SegmentInfo, ...]
    photos: int
    segments: tuple[SegmentReader, ...]
    gaps: tuple[tuple[int, int], ...]

    def is_complete(self) -> bool:
        """Whether the segments hold every photo, and their files are as they were."""
        return not self.gaps and all(reader.segment.files.are_intact() for reader in self.segments)

    def vectors(self, changelog: Changelog, row_ids: Int64) -> Stored:
        """The vectors of live photos, [n, per photo, d]; `changelog` sees the state of this searcher."""
        found = self.identity.vectors_in(bytes(len(row_ids) * self.identity.photo_bytes)).copy()
        missing = np.ones(len(row_ids), bool)
        for reader in self.segments:
            positions = reader.positions(row_ids)
            here = positions >= 0
            if here.all():
                return reader.segment.vectors[positions]
            found[here] = reader.segment.vectors[positions[here]]
            missing &= ~here
        if missing.any():
            blobs = dict(changelog.vectors_of(row_ids[missing]))
            joined = b"".join(blobs[row_id] for row_id in row_ids[missing].tolist())
            found[missing] = self.identity.vectors_in(joined)
        return found
