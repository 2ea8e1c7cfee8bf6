"""Merging: small sealed segments become one, and a segment that was lost or holds many superseded changes is written anew."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from miradouro.adapters.sqlite_index.vectors.changelog import SegmentInfo, Transactions
from miradouro.adapters.sqlite_index.vectors.rewrite import Rewriter
from miradouro.adapters.sqlite_index.vectors.segment_file import Identity, SegmentFiles, Unusable, stamp_of, sync
from miradouro.adapters.sqlite_index.vectors.tuning import Tuning

# A segment is merged with all younger ones once these together hold a part of so many of its photos.
_MERGED_SHARE = 4

_log = logging.getLogger(__name__)


class Merger:
    """Keeps the sealed segments of a space few, verified, and nearly free of superseded changes."""

    def __init__(self, folder: Path, identity: Identity, transactions: Transactions, tuning: Tuning, rewriter: Rewriter) -> None:
        self._folder = folder
        self._identity = identity
        self._transactions = transactions
        self._tuning = tuning
        self._rewriter = rewriter
        self._verified: set[int] = set()  # segments whose files were verified by this process

    def merge(self, check_cancelled: Callable[[], None]) -> bool:
        """Writes one segment anew, or merges some, where that is due. Returns whether it did."""
        with self._transactions.reading() as changelog:
            closed = [(segment, changelog.count_superseded(segment)) for segment in changelog.segments()[:-1]]
        for segment, superseded in closed:
            is_stale = superseded > self._tuning.most_superseded(segment.photos) or superseded >= segment.photos
            if is_stale or not self._is_usable(segment):
                self._rewriter.replace([segment], check_cancelled)
                return True
        merged = to_merge([segment for segment, _ in closed], self._identity.photos_in(self._tuning.segment_bytes))
        if merged:
            self._rewriter.replace(merged, check_cancelled)
        return bool(merged)

    def _is_usable(self, segment: SegmentInfo) -> bool:
        """Whether the files are there and undamaged. Reads them once, unless they have the stamp."""
        if segment.segment_id in self._verified and stamp_of(self._folder, segment.segment_id) == segment.stamp:
            return True
        try:
            files = SegmentFiles(self._folder, segment.segment_id, self._identity, stamp=segment.stamp)
            mapped = files.mapped()
            found, expected = (mapped.through_change, len(mapped.keys)), (segment.through_change, segment.photos)
            if found != expected:
                raise Unusable(f"{found} for {expected} as last change and photos")  # noqa: TRY301 # as the files do
        except Unusable as exc:
            _log.warning("a segment of %s is rebuilt from the database: %s", self._identity.space, exc)
            return False
        if files.stamp() != segment.stamp:
            # Call fsync first: otherwise the stamp may certify data that was never written.
            sync(self._folder, segment.segment_id)
            with self._transactions.writing() as changelog:
                changelog.update_segment(replace(segment, stamp=files.stamp()))
        self._verified.add(segment.segment_id)
        return True


def to_merge(closed: Sequence[SegmentInfo], most: int) -> Sequence[SegmentInfo]:
    """The youngest segments that should become one of at most `most` photos; empty when a merge would not pay."""
    first, photos = len(closed), 0
    for number in range(len(closed) - 1, -1, -1):
        older = closed[number].photos
        if photos + older > most:
            break
        if photos * _MERGED_SHARE >= older and number < len(closed) - 1:
            first = number
        photos += older
    return closed[first:]
