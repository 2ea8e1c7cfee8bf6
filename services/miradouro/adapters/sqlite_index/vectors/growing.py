"""The growing segment: new changes are appended to it after every commit, and scanned until it is sealed."""

import threading
from pathlib import Path

import numpy as np

from miradouro.adapters.sqlite_index.vectors.changelog import Changelog, SegmentInfo
from miradouro.adapters.sqlite_index.vectors.segment_file import Identity, Unusable, paths
from miradouro.adapters.sqlite_index.vectors.segment_writer import SegmentWriter

_APPENDED_AT_ONCE_BYTES = 4 << 20


class GrowingSegment:
    """The writer of a space's growing segment. Use it while you hold `lock`."""

    def __init__(self, folder: Path, identity: Identity) -> None:
        self._folder = folder
        self._identity = identity
        self._segment_id = 0
        self._writer: SegmentWriter | None = None
        self.lock = threading.Lock()

    def append(self, changelog: Changelog) -> tuple[SegmentWriter, bool]:
        """Appends the next megabytes of changes; returns the writer, and whether there were any changes to append.

        Opens or makes the files. Raises Unusable when they have to be rebuilt, OSError.
        """
        last_change = changelog.last_change()
        writer = self._current(changelog, last_change)
        was_behind = writer.through_change < last_change
        append_batch(changelog, writer, self._identity, last_change)
        return writer, was_behind

    def replace(self, segment_id: int, writer: SegmentWriter) -> None:
        """Makes `writer` the growing segment's. The files of the previous one stay."""
        self._segment_id, self._writer = segment_id, writer

    def _current(self, changelog: Changelog, last_change: int) -> SegmentWriter:
        info = changelog.segments()[-1]
        writer = self._writer
        if writer is None or self._segment_id != info.segment_id:
            writer = self._open(info)
            self.replace(info.segment_id, writer)
        elif not writer.is_intact():
            raise Unusable(f"the files of segment {info.segment_id} were removed or cut")
        if writer.through_change > last_change or writer.after_change != info.after_change:
            raise Unusable(f"segment {info.segment_id} covers changes that the database does not know")
        return writer

    def _open(self, info: SegmentInfo) -> SegmentWriter:
        if any(path.exists() for path in paths(self._folder, info.segment_id)):
            return SegmentWriter.resume(self._folder, info.segment_id, self._identity)
        return SegmentWriter.create(self._folder, info.segment_id, self._identity, after_change=info.after_change)


def append_batch(changelog: Changelog, writer: SegmentWriter, identity: Identity, last_change: int) -> bool:
    """Appends the next megabytes of changes; returns whether the files now hold all up to `last_change`.

    Raises Unusable, OSError.
    """
    if writer.through_change == last_change:
        return True
    at_once = max(1, _APPENDED_AT_ONCE_BYTES // identity.photo_bytes)
    batch = list(changelog.changes_between(writer.through_change, last_change, most=at_once))
    is_last = len(batch) < at_once
    writer.append(
        np.array([(change.change, change.row_id) for change in batch], np.int64).reshape(-1, 2),
        b"".join(change.vectors for change in batch),
        through_change=last_change if is_last else batch[-1].change,
    )
    return is_last
