"""The segments of a space that this process has open."""

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from miradouro.adapters.sqlite_index.vectors.arrays import Int64, Stored
from miradouro.adapters.sqlite_index.vectors.changelog import SegmentInfo
from miradouro.adapters.sqlite_index.vectors.segment_file import Identity, MappedSegment, SegmentFiles, Unusable

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Segment:
    """The photos of a segment with a change in (after_change, through_change]: positions `first` to `end` of the mapped files."""

    after_change: int
    through_change: int
    first: int
    end: int
    mapped: MappedSegment
    files: SegmentFiles

    @classmethod
    def of(cls, info: SegmentInfo, files: SegmentFiles, mapped: MappedSegment) -> "Segment":
        """The files may cover more than their entry in the list: the entry decides."""
        after, through = max(info.after_change, mapped.after_change), mapped.through_change
        if info.through_change is not None:
            through = min(through, info.through_change)
        first, end = np.searchsorted(mapped.changes, (after, through), "right").tolist()
        return cls(after, through, first, end, mapped, files)

    @cached_property
    def changes(self) -> Int64:
        """int64 [n], ascending."""
        return self.mapped.changes[self.first : self.end]

    @cached_property
    def row_ids(self) -> Int64:
        """int64 [n]; a replaced photo occurs once per change, the latest last."""
        return self.mapped.row_ids[self.first : self.end]

    @cached_property
    def vectors(self) -> Stored:
        """[n, per photo, d]."""
        return self.mapped.vectors[self.first : self.end]

    @cached_property
    def _by_row_id(self) -> tuple[Int64, Int64 | None]:
        """The row ids, ascending, and their positions; None where the positions are 0 to n: no photo was replaced."""
        row_ids = np.ascontiguousarray(self.row_ids)
        if (row_ids[1:] > row_ids[:-1]).all():
            return row_ids, None
        order = np.argsort(row_ids, kind="stable")
        return row_ids[order], order

    def positions(self, row_ids: Int64) -> Int64:
        """The last position of each photo in these arrays, int64 [n]; -1 for a photo outside the segment."""
        known, order = self._by_row_id
        if not len(known):
            return np.full(len(row_ids), -1, np.int64)
        positions = np.searchsorted(known, row_ids, "right") - 1
        found = known[positions] == row_ids
        if order is not None:
            positions = order[positions]
        return np.where(found, positions, -1)

    @cached_property
    def unreachable(self) -> Int64:
        """Positions in these arrays of the photos that the graph does not reach."""
        mapped = self.mapped.unreachable
        return mapped[(mapped >= self.first) & (mapped < self.end)] - self.first

    @cached_property
    def unreachable_vectors(self) -> Stored:
        """Their vectors. A copy: they are few, and every query reads them."""
        return self.vectors[self.unreachable]


@dataclass(frozen=True)
class Coverage:
    """All changes of a space: those in segments, and the gaps, (after, through], that the database has to answer."""

    segments: tuple[Segment, ...]
    gaps: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, segments: Iterable[Segment], last_change: int) -> "Coverage":
        """Covers the changes 1 to `last_change`; leaves out segments that overlap an earlier one."""
        kept, gaps, reached = [], [], 0
        for segment in sorted(segments, key=lambda one: one.after_change):
            if reached <= segment.after_change < segment.through_change:
                gaps.append((reached, min(segment.after_change, last_change)))
                kept.append(segment)
                reached = segment.through_change
        if reached < last_change:
            gaps.append((reached, last_change))
        return cls(tuple(kept), tuple(gap for gap in gaps if gap[0] < gap[1]))


class OpenSegments:
    """The segments that this process has mapped. Thread-safe."""

    def __init__(self, folder: Path, identity: Identity) -> None:
        self._folder = folder
        self._identity = identity
        self._lock = threading.Lock()
        self._open: dict[int, tuple[SegmentInfo, Segment]] = {}  # by segment id

    def refresh(self, infos: Sequence[SegmentInfo]) -> list[Segment]:
        """Maps the files as they are now, closes the segments that are not in `infos`, and returns those that are usable."""
        with self._lock:
            before = self._open
        now: dict[int, tuple[SegmentInfo, Segment]] = {}
        for info in infos:
            try:
                now[info.segment_id] = (info, self._mapped(info, before.get(info.segment_id)))
            except (Unusable, OSError) as exc:
                _log.debug("segment %d of %s is read from the database: %s", info.segment_id, self._identity.space, exc)
        with self._lock:
            self._open = now
        return [segment for _, segment in now.values()]

    def close(self) -> None:
        """Releases every map."""
        with self._lock:
            self._open = {}

    def _mapped(self, info: SegmentInfo, known: tuple[SegmentInfo, Segment] | None) -> Segment:
        if known is None:
            files = SegmentFiles(self._folder, info.segment_id, self._identity, stamp=info.stamp)
            return Segment.of(info, files, files.mapped())
        known_info, segment = known
        mapped = segment.files.mapped()
        return segment if known_info == info and segment.mapped is mapped else Segment.of(info, segment.files, mapped)
