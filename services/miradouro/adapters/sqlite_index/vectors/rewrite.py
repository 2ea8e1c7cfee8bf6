"""Writing a sealed segment: in batches, under a temporary name, verified, and part of the index from one commit on."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from miradouro.adapters.sqlite_index.vectors.changelog import Change, SegmentInfo, Transactions
from miradouro.adapters.sqlite_index.vectors.hnsw import HnswBuilder
from miradouro.adapters.sqlite_index.vectors.segment_file import Identity, SegmentFiles, paths, stamp_of, sync
from miradouro.adapters.sqlite_index.vectors.segment_writer import SegmentWriter, remove_segment
from miradouro.adapters.sqlite_index.vectors.tuning import Tuning

_READ_AT_ONCE_BYTES = 1 << 20
_LOGGED_EVERY_S = 10.0
_MOST_UNREACHABLE = 16  # a graph that misses more than one photo in so many is of no use

_log = logging.getLogger(__name__)


@dataclass
class _Draft:
    """A segment under its temporary name; `made_at` is the newest change before its first batch was read."""

    writer: SegmentWriter
    made_at: int
    has_graph: bool


class Rewriter:
    """Replaces closed segments with a sealed one, which holds the live photos of their changes."""

    def __init__(self, folder: Path, name: str, identity: Identity, transactions: Transactions, tuning: Tuning) -> None:
        """`name`: the temporary name of the files."""
        self._folder = folder
        self._name = name
        self._identity = identity
        self._transactions = transactions
        self._tuning = tuning

    def replace(self, segments: Sequence[SegmentInfo], check_cancelled: Callable[[], None]) -> None:
        """Replaces neighbouring closed segments with one; where they exceed the largest size, only their first changes.

        Raises Unavailable, Corrupt, OSError, and what `check_cancelled` raises; then nothing has changed.
        """
        after, last = segments[0].after_change, segments[-1].through_change
        assert last is not None
        draft = self._write(after, last, check_cancelled)
        try:
            if not draft.writer.photos:
                self._commit(draft, segments, last)
                return
            if draft.has_graph:
                self._verify_graph(draft, check_cancelled)
            sync(self._folder, self._name)
            self._commit(draft, segments, draft.writer.through_change)
        finally:
            remove_segment(self._folder, self._name)

    def _write(self, after: int, last: int, check_cancelled: Callable[[], None]) -> _Draft:
        """Keys, vectors and the graph, up to the largest size."""
        identity = self._identity
        with self._transactions.reading() as changelog:
            made_at = changelog.last_change()
            photos = changelog.count_between(after, last)
        most = identity.photos_in(self._tuning.segment_bytes)
        photos = min(photos, most)
        has_graph = photos * identity.vectors_per_photo >= self._tuning.graph_vectors
        graph = HnswBuilder(identity.dimension, photos) if has_graph else None
        remove_segment(self._folder, self._name)
        writer = SegmentWriter.create(self._folder, self._name, identity, after_change=after)
        try:
            logged_at = time.monotonic()
            while writer.through_change < last:
                check_cancelled()
                batch = self._read(writer.through_change, last, most - writer.photos)
                keys = np.array([(change.change, change.row_id) for change in batch], np.int64).reshape(-1, 2)
                blob = b"".join(change.vectors for change in batch)
                writer.append(keys, blob, through_change=batch[-1].change if batch else last)
                if graph is not None and batch:
                    graph.add(keys[:, 1], identity.vectors_in(blob), check_cancelled=check_cancelled)
                if time.monotonic() - logged_at > _LOGGED_EVERY_S:
                    logged_at = time.monotonic()
                    _log.info("sealing a segment of %s: %d of %d photos", identity.space, writer.photos, photos)
                if writer.photos >= most:
                    break
            if graph is not None and writer.photos:
                # The files are not verified here: they are together with the graph, once that is written.
                mapped = SegmentFiles(self._folder, self._name, identity, stamp=stamp_of(self._folder, self._name)).mapped()
                expansion = graph.finish(mapped.row_ids, mapped.vectors, check_cancelled=check_cancelled)
                graph.save(paths(self._folder, self._name)[2])
                writer.set_graph(np.empty(0, np.int64), expansion)
        except BaseException:
            remove_segment(self._folder, self._name)
            raise
        return _Draft(writer, made_at, graph is not None and writer.photos > 0)

    def _read(self, after: int, last: int, most: int) -> list[Change]:
        """The next changes. One transaction for each megabyte: a long one would let the database's log grow."""
        at_once = min(most, max(1, _READ_AT_ONCE_BYTES // self._identity.photo_bytes))
        with self._transactions.reading() as changelog:
            return list(changelog.changes_between(after, last, most=at_once))

    def _verify_graph(self, draft: _Draft, check_cancelled: Callable[[], None]) -> None:
        """Searches for every vector: notes the photos that do not find themselves, and drops a graph that misses many."""
        mapped = SegmentFiles(self._folder, self._name, self._identity).mapped()
        assert mapped.graph is not None
        unreachable = mapped.graph.unreachable(mapped.row_ids, mapped.vectors, check_cancelled=check_cancelled)
        if len(unreachable) * _MOST_UNREACHABLE > len(mapped.keys):
            _log.info("a segment of %s stays without a graph: %d photos not found", self._identity.space, len(unreachable))
            draft.writer.drop_graph()
            draft.has_graph = False
        else:
            draft.writer.set_graph(unreachable, mapped.graph.expansion)
            _log.info(
                "the graph of a segment of %s keeps %d candidates, and loses %d of %d photos",
                self._identity.space, mapped.graph.expansion, len(unreachable), len(mapped.keys),
            )  # fmt: skip

    def _commit(self, draft: _Draft, segments: Sequence[SegmentInfo], through: int) -> None:
        """One transaction: adds the new entry, removes or cuts the old ones, forgets superseded changes."""
        replaced = [one for one in segments if one.through_change is not None and one.through_change <= through]
        after, photos = segments[0].after_change, draft.writer.photos
        with self._transactions.writing() as changelog:
            for segment in segments:
                if segment in replaced:
                    changelog.remove_segment(segment.segment_id)
                elif segment.after_change < through:
                    changelog.update_segment(replace(segment, after_change=through))
            if photos:
                made_at = draft.made_at
                number = changelog.add_segment(after_change=after, through_change=through, made_at=made_at, photos=photos)
                draft.writer.rename(number)
                stamp = stamp_of(self._folder, number)  # a rename changes it
                changelog.update_segment(SegmentInfo(number, after, through, made_at, photos, stamp))
            changelog.forget_superseded()
        for segment in replaced:
            remove_segment(self._folder, segment.segment_id)
        _log.info(
            "segment of %s made: %d photos, changes %d to %d%s",
            self._identity.space, photos, after, through, ", with a graph" if draft.has_graph else "",
        )  # fmt: skip
