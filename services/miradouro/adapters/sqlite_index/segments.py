"""The segments of every space, as the database lists them and as whoever searches sees them."""

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import apsw
import numpy as np

from miradouro.adapters.sqlite_index.catalogue import Catalogue, Collection, StoredSpace
from miradouro.adapters.sqlite_index.vectors.arrays import Float16, Int64
from miradouro.adapters.sqlite_index.vectors.segment_file import Identity, SegmentReader, Unusable, View

SEGMENTS_FOLDER = "segments"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Segment:
    """A row of the table: the changes after `after_change` up to `through_change`, None for all that come (the tail).

    None that was replaced up to `made_at` is in its files; those that have `stamp` were checked.
    """

    segment_id: int
    after_change: int
    through_change: int | None
    made_at: int
    photos: int
    stamp: str


def segments_of(connection: apsw.Connection, space: StoredSpace) -> list[Segment]:
    """The space's segments, as this transaction sees them, by change; the tail is the last."""
    rows = connection.execute(
        "SELECT segment_id, after_change, through_change, made_at, photos, stamp FROM segments WHERE space_id = ? "
        "ORDER BY through_change IS NULL, after_change",
        (space.space_id,),
    )
    return [Segment(*row) for row in rows]


def vectors_between(space: StoredSpace) -> str:
    """SQL for (change, row id, vectors) of a collection's live photos after a change and up to another, by change."""
    return (
        f"SELECT d.change, d.row_id, v.vectors FROM documents d CROSS JOIN vectors_{space.space_id:d} v ON v.row_id = d.row_id "
        "WHERE d.collection_id = ? AND d.change > ? AND d.change <= ? ORDER BY d.change"
    )


@dataclass(frozen=True, eq=False)
class Part:
    """A segment's photos of the changes after one and up to another: keys and vectors as in `View`, cut to them."""

    after_change: int
    through_change: int
    first: int
    end: int
    view: View
    reader: SegmentReader

    @classmethod
    def of(cls, segment: Segment, reader: SegmentReader, view: View) -> "Part":
        """What is to be believed of a view: the row of the table decides on its range."""
        after, through = max(segment.after_change, view.after_change), view.through_change
        if segment.through_change is not None:
            through = min(through, segment.through_change)
        first, end = np.searchsorted(view.changes, (after, through), "right").tolist()
        return cls(after, through, first, end, view, reader)

    @cached_property
    def changes(self) -> Int64:
        """int64 [n], growing."""
        return self.view.changes[self.first : self.end]

    @cached_property
    def row_ids(self) -> Int64:
        """int64 [n]; a photo that was replaced stands there more than once, the newest last."""
        return self.view.row_ids[self.first : self.end]

    @cached_property
    def vectors(self) -> Float16:
        """float16 [n, per photo, d]."""
        return self.view.vectors[self.first : self.end]

    @cached_property
    def _by_row_id(self) -> tuple[Int64, Int64 | None]:
        """The row ids, growing, and their positions; None where these are the same, as long as no photo was replaced."""
        row_ids = np.ascontiguousarray(self.row_ids)
        if (row_ids[1:] > row_ids[:-1]).all():
            return row_ids, None
        order = np.argsort(row_ids, kind="stable")
        return row_ids[order], order

    def positions(self, row_ids: Int64) -> Int64:
        """Where in these arrays the photos `row_ids` stand, the last time each, int64 [n]; -1 for those that do not."""
        known, order = self._by_row_id
        if not len(known):
            return np.full(len(row_ids), -1, np.int64)
        places = np.searchsorted(known, row_ids, "right") - 1
        found = known[places] == row_ids
        if order is not None:
            places = order[places]
        return np.where(found, places, -1)

    @cached_property
    def strays(self) -> Int64:
        """Positions in these arrays of the photos that the graph does not lead to."""
        inside = self.view.strays[(self.view.strays >= self.first) & (self.view.strays < self.end)]
        return inside - self.first

    @cached_property
    def stray_vectors(self) -> Float16:
        """The vectors of the strays: a copy, for there are few, and they are read with every question."""
        return self.vectors[self.strays]


@dataclass(frozen=True)
class Coverage:
    """All changes of a space: those in usable segments, and those for which the database has to be read."""

    parts: tuple[Part, ...]
    gaps: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, parts: Iterable[Part], last_change: int) -> "Coverage":
        """Gaps are (after, through), up to `last_change`."""
        kept, gaps, reached = [], [], 0
        for part in sorted(parts, key=lambda one: one.after_change):
            if reached <= part.after_change < part.through_change:
                gaps.append((reached, min(part.after_change, last_change)))
                kept.append(part)
                reached = part.through_change
        if reached < last_change:
            gaps.append((reached, last_change))
        return cls(tuple(kept), tuple(gap for gap in gaps if gap[0] < gap[1]))


class SegmentViews:
    """The segments that this process reads. Thread-safe."""

    def __init__(self, folder: Path, catalogue: Catalogue) -> None:
        self._folder = folder / SEGMENTS_FOLDER
        self._catalogue = catalogue
        self._lock = threading.Lock()
        self._known: dict[int, dict[int, tuple[Segment, Part]]] = {}  # by space, by segment

    def parts(
        self, connection: apsw.Connection, collection: Collection, space: StoredSpace, segments: Sequence[Segment]
    ) -> list[Part]:
        """The segments as they are now, without those that can't be used."""
        identity = Identity.of(self._catalogue.store(connection), collection.name, space.space)
        with self._lock:
            known = self._known.get(space.space_id, {})
        now: dict[int, tuple[Segment, Part]] = {}
        for segment in segments:
            try:
                before = known.get(segment.segment_id)
                reader = (
                    before[1].reader if before else SegmentReader(self._folder, segment.segment_id, identity, stamp=segment.stamp)
                )
                view = reader.view()
                is_same = before is not None and before[0] == segment and before[1].view is view
                part = before[1] if before is not None and is_same else Part.of(segment, reader, view)
                now[segment.segment_id] = (segment, part)
            except (Unusable, OSError) as exc:
                _log.debug("segment %d of %s is read from the database: %s", segment.segment_id, space.space.name, exc)
        with self._lock:
            self._known[space.space_id] = now
        return [part for _, part in now.values()]

    def close(self) -> None:
        """Lets go of every map."""
        with self._lock:
            self._known.clear()
