"""The writer's one background thread: brings tails up, seals them, merges small segments, and makes lost ones anew.

It works in small pieces at a low priority, and outside of the interpreter's lock for most of the time, so that questions and
writes go on. Whatever it is stopped in leaves no more than files under temporary names, which the next start removes.
"""

import logging
import os
import sys
import threading
from pathlib import Path

import apsw

from miradouro.adapters.sqlite_index.catalogue import Catalogue, Collection, StoredSpace
from miradouro.adapters.sqlite_index.connections import Connections
from miradouro.adapters.sqlite_index.rewrite import Rewriter, forget_replaced
from miradouro.adapters.sqlite_index.segments import SEGMENTS_FOLDER, Segment, segments_of
from miradouro.adapters.sqlite_index.tails import Tails, append
from miradouro.adapters.sqlite_index.vectors.segment_file import Identity, SegmentReader, Unusable, paths, stamp_of, sync
from miradouro.adapters.sqlite_index.vectors.segment_writer import SegmentWriter, remove_segment
from miradouro.adapters.sqlite_index.vectors.tuning import Tuning
from miradouro.core.errors import MiradouroError

_NICENESS = 5
_NOTED_PHOTOS = 256  # so many writes are worth a look
# Segments are merged with all younger ones once these together hold a part of so many of its photos.
_MERGED_SHARE = 4
# A segment is written anew once more than one photo in so many was replaced or deleted.
_REPLACED_SHARE = 4

_log = logging.getLogger(__name__)


class _Stopped(Exception):
    """The index is being closed."""


class Maintenance:
    """Runs until closed. Nothing that it does is needed for an answer to be right: errors are logged and tried again later."""

    def __init__(self, folder: Path, connections: Connections, catalogue: Catalogue, tails: Tails, tuning: Tuning) -> None:
        self._folder = folder / SEGMENTS_FOLDER
        self._connections = connections
        self._catalogue = catalogue
        self._tails = tails
        self._tuning = tuning
        self._rewriter = Rewriter(folder, connections, catalogue, tuning, self._breathe)
        self._checked: set[int] = set()  # closed segments whose files were looked into
        self._condition = threading.Condition()
        self._asked = self._answered = self._noted = 0
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="index maintenance", daemon=True)

    def start(self) -> None:
        """Removes files that belong to no segment, and begins."""
        self._folder.mkdir(exist_ok=True)
        with self._connections.reading() as connection:
            known = {
                path
                for (number,) in connection.execute("SELECT segment_id FROM segments")
                for path in paths(self._folder, number)
            }
        for path in self._folder.iterdir():
            if path not in known:
                path.unlink()
        self._thread.start()
        self._ask()

    def note(self, photos: int, *, at_once: bool = False) -> None:
        """Tells that so many were written; looks after everything once they are many, or `at_once`."""
        with self._condition:
            self._noted += photos
            if self._noted < _NOTED_PHOTOS and not at_once:
                return
            self._noted = 0
        self._ask()

    def settle(self, timeout_s: float | None) -> bool:
        """Waits until everything that is due now is done; False when the time is over first."""
        asked = self._ask()
        with self._condition:
            return self._condition.wait_for(lambda: self._answered >= asked or self._stopped, timeout_s)

    def close(self) -> None:
        """Ends what is under way, within some tens of milliseconds. Safe to call twice."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _ask(self) -> int:
        with self._condition:
            self._asked += 1
            self._condition.notify_all()
            return self._asked

    def _breathe(self) -> None:
        if self._stopped:
            raise _Stopped

    def _run(self) -> None:
        if sys.platform == "linux":  # where a thread has a niceness of its own
            me = threading.get_native_id()
            # Never below what the process was started with: only root may.
            os.setpriority(os.PRIO_PROCESS, me, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, me)))
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._asked > self._answered or self._stopped)
                if self._stopped:
                    return
                asked = self._asked
            try:
                while self._work():
                    self._breathe()
            except _Stopped:
                return
            except (MiradouroError, OSError, Unusable) as exc:
                _log.warning("segments stay as they are for now: %s", exc)
            except Exception:  # noqa: BLE001 # a fault of ours, or memory is short: tried again with the next photos
                _log.exception("segments stay as they are for now")
            with self._condition:
                self._answered = asked
                self._condition.notify_all()

    def _work(self) -> bool:
        """Does one thing that is due, for every space; whether there was any."""
        self._folder.mkdir(exist_ok=True)  # somebody may have removed it: all in it is derived
        with self._connections.reading() as connection:
            names = [str(name) for (name,) in connection.execute("SELECT name FROM collections ORDER BY name").fetchall()]
        done = [self._work_on(name, number) for name in names for number in range(self._space_count(name))]
        return any(done)  # after all of them: no space waits for another

    def _space_count(self, name: str) -> int:
        with self._connections.reading() as connection:
            return len(self._catalogue.spaces(connection, self._catalogue.find(connection, name)))

    def _work_on(self, name: str, number: int) -> bool:
        self._breathe()
        with self._connections.reading() as connection:
            connection.execute("BEGIN")
            collection = self._catalogue.find(connection, name)
            space = self._catalogue.spaces(connection, collection)[number]
            segments = segments_of(connection, space)
            masked = {one.segment_id: _masked(connection, collection, one) for one in segments}
        return self._mend_tail(collection, space, segments[-1], masked[segments[-1].segment_id]) or self._mend_closed(
            collection, space, segments[:-1], masked
        )

    def _mend_tail(self, collection: Collection, space: StoredSpace, tail: Segment, masked: int) -> bool:
        """Appends to the tail; closes it when it is full; makes it anew when it was lost or holds too much that is gone."""
        with self._tails.held():
            try:
                with self._connections.reading() as connection:
                    connection.execute("BEGIN")
                    now = self._catalogue.find(connection, collection.name)
                    writer = self._tails.writer(connection, now, space)
                    behind = writer.through_change < now.last_change
                    append(connection, now, space, writer, at_most=1)
                photos, through = writer.photos, writer.through_change
            except Unusable as exc:
                _log.info("the tail of %s is made anew: %s", space.space.name, exc)
                photos, through, behind = 0, collection.last_change, True
                masked = max(masked, self._tuning.masked_photos + 1)
            if photos * space.space.vectors_per_photo >= self._tuning.tail_vectors:
                self._close_tail(space, tail, through, photos)
                return True
        if masked > max(self._tuning.masked_photos, photos // _REPLACED_SHARE):
            self._renew_tail(collection, space, tail)
            return True
        return behind and through < collection.last_change

    def _close_tail(self, space: StoredSpace, tail: Segment, through: int, photos: int) -> None:
        with self._connections.writing() as connection:
            connection.execute(
                # One that was made anew while it was the tail has no graph yet either.
                "UPDATE segments SET through_change = ?, photos = ?, made_at = 0 WHERE segment_id = ?",
                (through, photos, tail.segment_id),
            )
            connection.execute("INSERT INTO segments(space_id, after_change) VALUES (?, ?)", (space.space_id, through))

    def _renew_tail(self, collection: Collection, space: StoredSpace, tail: Segment) -> None:
        """A tail of what lives, under a new number; what is too much for a tail is closed instead, and sealed next."""
        with self._connections.reading() as connection:
            identity = Identity.of(self._catalogue.store(connection), collection.name, space.space)
            made_at = self._catalogue.find(connection, collection.name).last_change
        name = f"building-{space.space_id}"
        writer = SegmentWriter.create(self._folder, name, identity, after_change=tail.after_change)
        is_handed_over = False
        try:
            is_all = False
            while not is_all and writer.photos * identity.vectors_per_photo < self._tuning.tail_vectors:
                self._breathe()
                with self._connections.reading() as connection:
                    connection.execute("BEGIN")
                    is_all = append(connection, self._catalogue.find(connection, collection.name), space, writer, at_most=1)
            with self._tails.held():
                if not is_all:
                    self._close_tail(space, tail, collection.last_change, 0)
                    return
                with self._connections.writing() as connection:
                    connection.execute("DELETE FROM segments WHERE segment_id = ?", (tail.segment_id,))
                    connection.execute(
                        "INSERT INTO segments(space_id, after_change, made_at) VALUES (?, ?, ?)",
                        (space.space_id, tail.after_change, made_at),
                    )
                    segment_id = connection.last_insert_rowid()
                    writer.rename(segment_id)
                    forget_replaced(connection, collection)
                self._tails.exchange(space, segment_id, writer)
                is_handed_over = True
            remove_segment(self._folder, tail.segment_id)
        finally:
            if not is_handed_over:
                remove_segment(self._folder, name)

    def _mend_closed(self, collection: Collection, space: StoredSpace, closed: list[Segment], masked: dict[int, int]) -> bool:
        """Seals what was closed, makes anew what was lost or holds too much that is gone, and merges small ones."""
        for segment in closed:
            least = max(self._tuning.masked_photos, segment.photos // _REPLACED_SHARE)
            gone = masked[segment.segment_id]
            if not segment.made_at or gone > least or gone >= segment.photos or not self._is_usable(collection, space, segment):
                self._rewriter.replace(collection, space, [segment])
                return True
        most = self._tuning.segment_bytes // (2 * space.space.vectors_per_photo * space.space.dimension)
        merged = _to_merge(closed, most)
        if merged:
            self._rewriter.replace(collection, space, merged)
        return bool(merged)

    def _is_usable(self, collection: Collection, space: StoredSpace, segment: Segment) -> bool:
        """Whether the files are there and whole; read through once, unless they have the stamp."""
        if segment.segment_id in self._checked and stamp_of(self._folder, segment.segment_id) == segment.stamp:
            return True
        try:
            with self._connections.reading() as connection:
                identity = Identity.of(self._catalogue.store(connection), collection.name, space.space)
            reader = SegmentReader(self._folder, segment.segment_id, identity, stamp=segment.stamp)
            view = reader.view()
            found, expected = (view.through_change, len(view.keys)), (segment.through_change, segment.photos)
            if found != expected:
                raise Unusable(f"{found} for {expected} as last change and photos")  # noqa: TRY301 # as the reader does
        except Unusable as exc:
            _log.warning("a segment of %s is made anew from the database: %s", space.space.name, exc)
            return False
        if reader.stamp() != segment.stamp:
            sync(self._folder, segment.segment_id)
            with self._connections.writing() as connection:
                connection.execute("UPDATE segments SET stamp = ? WHERE segment_id = ?", (reader.stamp(), segment.segment_id))
        self._checked.add(segment.segment_id)
        return True


def _masked(connection: apsw.Connection, collection: Collection, segment: Segment) -> int:
    """How many of the segment's photos may be gone."""
    return int(
        connection.execute(
            "SELECT count(*) FROM replaced WHERE collection_id = ? AND change > ? AND change <= coalesce(?, change) "
            "AND by_change > ?",
            (collection.collection_id, segment.after_change, segment.through_change, segment.made_at),
        ).get
    )


def _to_merge(closed: list[Segment], most: int) -> list[Segment]:
    """The youngest segments that are to become one of at most `most` photos; none when there is nothing to gain."""
    first, photos = len(closed), 0
    for number in range(len(closed) - 1, -1, -1):
        older = closed[number].photos
        if photos + older > most:
            break
        if photos * _MERGED_SHARE >= older and number < len(closed) - 1:
            first = number
        photos += older
    return closed[first:]
