"""What the vector engine sees of the database."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from miradouro.adapters.sqlite_index.vectors.arrays import Int64


class Change(NamedTuple):
    """One change: the row id of its photo, and the photo's vectors, [per photo, d] as `arrays.stored_of` says."""

    change: int
    row_id: int
    vectors: bytes


@dataclass(frozen=True)
class SegmentInfo:
    """An entry in the list of segments: changes after `after_change`, up to `through_change`; None in the growing segment.

    The files hold no change that was superseded up to `made_at`, which is 0 until the segment is sealed. `photos` is 0 until
    it is closed. Files with this `stamp` were verified.
    """

    segment_id: int
    after_change: int
    through_change: int | None
    made_at: int
    photos: int
    stamp: str


class Changelog(Protocol):
    """One space's vectors, ordered by change, and the list of its segments, as one transaction sees them.

    Each write of a photo gets the next change number of its collection. The log holds the latest change of each live photo;
    earlier ones, and those of deleted photos, are superseded. All methods raise Unavailable and Corrupt.
    """

    def last_change(self) -> int:
        """The number of the newest change; 0 before the first."""
        ...

    def photos(self) -> int:
        """The number of live photos with vectors."""
        ...

    def changes_between(self, after: int, through: int, *, most: int | None = None) -> Iterator[Change]:
        """The first `most` changes in (after, through], in ascending order."""
        ...

    def count_between(self, after: int, through: int) -> int:
        """The number of changes in (after, through]."""
        ...

    def row_ids_between(self, after: int, through: int) -> Int64:
        """The row ids of the photos with a change in (after, through], ascending, int64 [n]; some have no vectors."""
        ...

    def vectors_of(self, row_ids: Int64) -> Iterator[tuple[int, bytes]]:
        """Row id and vectors, as in `Change`, of those photos among `row_ids` that have vectors, in any order."""
        ...

    def superseded(self) -> Int64:
        """The superseded changes that a segment may hold, ascending, int64 [n]."""
        ...

    def count_superseded(self, segment: SegmentInfo) -> int:
        """The largest number of superseded changes that the segment can hold."""
        ...

    def segments(self) -> list[SegmentInfo]:
        """The list of segments, by change; the growing segment is the last."""
        ...

    def add_segment(self, *, after_change: int, through_change: int | None = None, made_at: int = 0, photos: int = 0) -> int:
        """Adds an entry without a stamp, and returns its id. Ids are never reused. Needs a writing transaction."""
        ...

    def update_segment(self, segment: SegmentInfo) -> None:
        """Stores the entry anew, by its id. Needs a writing transaction."""
        ...

    def remove_segment(self, segment_id: int) -> None:
        """Removes an entry. Needs a writing transaction."""
        ...

    def forget_superseded(self) -> None:
        """Forgets the superseded changes that no segment holds. Needs a writing transaction."""
        ...


@dataclass(frozen=True)
class Transactions:
    """Opens a transaction over one space. `reading` sees one state of the database; `writing` ends in one durable commit, or,
    on an error, changes nothing."""

    reading: Callable[[], AbstractContextManager[Changelog]]
    writing: Callable[[], AbstractContextManager[Changelog]]
