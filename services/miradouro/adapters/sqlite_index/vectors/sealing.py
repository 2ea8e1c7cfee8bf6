"""Sealing: a growing segment that is full is closed, so that the next one begins, and then written anew with a graph."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from miradouro.adapters.sqlite_index.vectors.changelog import SegmentInfo, Transactions
from miradouro.adapters.sqlite_index.vectors.growing import GrowingSegment, append_batch
from miradouro.adapters.sqlite_index.vectors.rewrite import Rewriter
from miradouro.adapters.sqlite_index.vectors.segment_file import Identity, Unusable
from miradouro.adapters.sqlite_index.vectors.segment_writer import SegmentWriter, remove_segment
from miradouro.adapters.sqlite_index.vectors.tuning import Tuning

_log = logging.getLogger(__name__)


class Sealer:
    """Keeps the growing segment of a space up to date, and seals it."""

    def __init__(
        self,
        folder: Path,
        name: str,
        identity: Identity,
        transactions: Transactions,
        tuning: Tuning,
        growing: GrowingSegment,
        rewriter: Rewriter,
    ) -> None:
        """`name`: the temporary name of files."""
        self._folder = folder
        self._name = name
        self._identity = identity
        self._transactions = transactions
        self._tuning = tuning
        self._growing = growing
        self._rewriter = rewriter

    def seal(self, check_cancelled: Callable[[], None]) -> bool:
        """Does the first thing that is due: append, close, rebuild or seal. Returns whether more may be due."""
        with self._transactions.reading() as changelog:
            *closed, growing = changelog.segments()
            last_change, superseded = changelog.last_change(), changelog.count_superseded(growing)
        if self._update_growing(growing, last_change, superseded, check_cancelled):
            return True
        for segment in closed:
            if not segment.made_at:
                self._rewriter.replace([segment], check_cancelled)
                return True
        return False

    def _update_growing(
        self, segment: SegmentInfo, last_change: int, superseded: int, check_cancelled: Callable[[], None]
    ) -> bool:
        """Appends; closes a full segment; rebuilds one that was lost or holds too many superseded changes."""
        with self._growing.lock:
            try:
                with self._transactions.reading() as changelog:
                    writer, was_behind = self._growing.append(changelog)
                photos, through = writer.photos, writer.through_change
            except Unusable as exc:
                _log.info("the growing segment of %s is rebuilt: %s", self._identity.space, exc)
                photos, through, was_behind = 0, last_change, True
                superseded = max(superseded, self._tuning.superseded_photos + 1)
            if photos * self._identity.vectors_per_photo >= self._tuning.growing_vectors:
                self._close(segment, through, photos)
                return True
        if superseded > self._tuning.most_superseded(photos):
            self._rebuild(segment, last_change, check_cancelled)
            return True
        return was_behind and through < last_change

    def _close(self, segment: SegmentInfo, through: int, photos: int) -> None:
        """Ends the segment at `through`; the next one begins there."""
        with self._transactions.writing() as changelog:
            # A growing segment that was rebuilt has a `made_at`; as a closed one it has no graph yet either.
            changelog.update_segment(replace(segment, through_change=through, photos=photos, made_at=0))
            changelog.add_segment(after_change=through)

    def _rebuild(self, segment: SegmentInfo, last_change: int, check_cancelled: Callable[[], None]) -> None:
        """Replaces the growing segment by one of live photos; with too many of these, closes it instead: it is sealed next."""
        with self._transactions.reading() as changelog:
            made_at = changelog.last_change()
        writer = SegmentWriter.create(self._folder, self._name, self._identity, after_change=segment.after_change)
        is_in_use = False
        try:
            holds_all = False
            while not holds_all and writer.photos * self._identity.vectors_per_photo < self._tuning.growing_vectors:
                check_cancelled()
                with self._transactions.reading() as changelog:
                    holds_all = append_batch(changelog, writer, self._identity, changelog.last_change())
            with self._growing.lock:
                if not holds_all:
                    self._close(segment, last_change, 0)
                    return
                with self._transactions.writing() as changelog:
                    changelog.remove_segment(segment.segment_id)
                    number = changelog.add_segment(after_change=segment.after_change, made_at=made_at)
                    writer.rename(number)
                    changelog.forget_superseded()
                self._growing.replace(number, writer)
                is_in_use = True
            remove_segment(self._folder, segment.segment_id)
        finally:
            if not is_in_use:
                remove_segment(self._folder, self._name)
