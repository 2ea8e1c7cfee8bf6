"""The segments of every space: views for whoever searches, and the upkeep that the one writer does.

Today a space has one segment, its open tail, scanned exactly. Sealed segments, with a graph beside the two files, will be
further rows of the `segments` table and further views of a space.
"""

import logging
import threading
from itertools import islice
from pathlib import Path

import apsw
import numpy as np

from miradouro.adapters.sqlite_index.catalogue import Catalogue, Collection, StoredSpace
from miradouro.adapters.sqlite_index.connections import Connections
from miradouro.adapters.sqlite_index.segment_file import Identity, SegmentReader, SegmentWriter, Unusable, View, paths
from miradouro.core.errors import MiradouroError

SEGMENTS_FOLDER = "segments"
_APPENDED_AT_ONCE_BYTES = 4 << 20
# A tail is written anew once more of its photos than this, and than a share of the collection, are replaced or deleted.
_REPLACED_AT_LEAST = 1_000
_REPLACED_SHARE = 4

_log = logging.getLogger(__name__)


def tail_of(connection: apsw.Connection, space: StoredSpace) -> int:
    """The number of the space's open tail, as this transaction sees it."""
    return int(connection.execute("SELECT max(segment_id) FROM segments WHERE space_id = ?", (space.space_id,)).get)


def newer_vectors(space: StoredSpace) -> str:
    """SQL for (change, row id, vectors) of a collection's live photos after a change, by change."""
    return (
        f"SELECT d.change, d.row_id, v.vectors FROM documents d CROSS JOIN vectors_{space.space_id:d} v ON v.row_id = d.row_id "
        "WHERE d.collection_id = ? AND d.change > ? ORDER BY d.change"
    )


class SegmentViews:
    """The segments that this process reads. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / SEGMENTS_FOLDER
        self._lock = threading.Lock()
        self._readers: dict[int, tuple[int, SegmentReader]] = {}

    def view(self, collection: str, space: StoredSpace, segment_id: int) -> View | None:
        """The segment as it is now; None when it can't be used, so that the database has to be scanned."""
        with self._lock:
            known_id, reader = self._readers.get(space.space_id, (0, None))
        try:
            if reader is None or known_id != segment_id:
                reader = SegmentReader(self._folder, segment_id, Identity.of(collection, space.space))
                with self._lock:
                    self._readers[space.space_id] = (segment_id, reader)
            return reader.view()
        except (Unusable, OSError) as exc:
            _log.warning("segment %d of %s is scanned from the database: %s", segment_id, space.space.name, exc)
            with self._lock:
                self._readers.pop(space.space_id, None)
            return None

    def close(self) -> None:
        """Lets go of every map."""
        with self._lock:
            self._readers.clear()


class SegmentUpkeep:
    """Brings segments up to the database after every commit, and builds them again when they are lost. Thread-safe.

    Nothing here is needed for an answer to be right: what fails is logged and tried again after the next commit.
    """

    def __init__(self, folder: Path, connections: Connections, catalogue: Catalogue) -> None:
        self._folder = folder / SEGMENTS_FOLDER
        self._connections = connections
        self._catalogue = catalogue
        self._writers: dict[int, tuple[int, SegmentWriter]] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Checks every segment, builds those again that can't be used, and removes files that belong to none."""
        self._folder.mkdir(exist_ok=True)
        with self._connections.reading() as connection:
            names = [str(name) for (name,) in connection.execute("SELECT name FROM collections ORDER BY name").fetchall()]
        for name in names:
            self.catch_up(name)
        with self._connections.reading() as connection:
            known = {path for (number,) in connection.execute("SELECT segment_id FROM segments") for path in self._paths(number)}
        for path in self._folder.iterdir():
            if path not in known:
                path.unlink()

    def catch_up(self, name: str) -> None:
        """Appends what the database has committed since to every segment of the collection called `name`."""
        with self._lock:
            try:
                lost = self._append_all(name)
                if lost:
                    self._rebuild(name, lost)
            except (MiradouroError, OSError, Unusable) as exc:
                _log.warning("segments of collection %s stay behind: %s", name, exc)

    def close(self) -> None:
        """Closes every file."""
        with self._lock:
            for _, writer in self._writers.values():
                writer.close()
            self._writers.clear()

    def _append_all(self, name: str) -> list[StoredSpace]:
        """Appends; returns the spaces whose tail has to be built anew."""
        lost = []
        with self._connections.reading() as connection:
            connection.execute("BEGIN")
            collection = self._catalogue.find(connection, name)
            spaces = self._catalogue.spaces(connection, collection)
            replaced = connection.execute(
                "SELECT count(*) FROM replaced WHERE collection_id = ?", (collection.collection_id,)
            ).get
            if replaced > max(_REPLACED_AT_LEAST, collection.photos // _REPLACED_SHARE):
                return list(spaces)
            for space in spaces:
                try:
                    writer = self._writer(connection, collection, space)
                    _append(connection, collection, space, writer)
                except Unusable as exc:
                    _log.info("a segment of %s is built again: %s", space.space.name, exc)
                    lost.append(space)
        return lost

    def _writer(self, connection: apsw.Connection, collection: Collection, space: StoredSpace) -> SegmentWriter:
        segment_id = tail_of(connection, space)
        known_id, writer = self._writers.get(space.space_id, (0, None))
        if writer is None or known_id != segment_id:
            writer = SegmentWriter(self._folder, segment_id, Identity.of(collection.name, space.space), create=False)
            self._writers[space.space_id] = (segment_id, writer)
        elif not writer.is_intact():
            raise Unusable(f"the files of segment {segment_id} were removed or cut")
        if writer.through_change > collection.last_change:
            raise Unusable(f"segment {segment_id} covers changes that the database does not know: it is another database's")
        return writer

    def _rebuild(self, name: str, spaces: list[StoredSpace]) -> None:
        """New tails from the database, in one commit that makes them the true ones and forgets masks that nobody needs."""
        made: dict[int, tuple[int, SegmentWriter]] = {}
        try:
            with self._connections.writing() as connection:
                collection = self._catalogue.find(connection, name)
                for space in spaces:
                    connection.execute("DELETE FROM segments WHERE space_id = ?", (space.space_id,))
                    connection.execute("INSERT INTO segments(space_id) VALUES (?)", (space.space_id,))
                    segment_id = connection.last_insert_rowid()
                    writer = SegmentWriter(self._folder, segment_id, Identity.of(name, space.space), create=True)
                    made[space.space_id] = (segment_id, writer)
                    _append(connection, collection, space, writer)
                if len(spaces) == len(self._catalogue.spaces(connection, collection)):
                    connection.execute("DELETE FROM replaced WHERE collection_id = ?", (collection.collection_id,))
        except BaseException:
            for segment_id, writer in made.values():
                writer.close()
                self._remove(segment_id)
            raise
        for space_id, new in made.items():
            old_id, old = self._writers.pop(space_id, (0, None))
            self._writers[space_id] = new
            if old is not None:
                old.close()
                self._remove(old_id)

    def _paths(self, segment_id: int) -> tuple[Path, Path]:
        return paths(self._folder, segment_id)

    def _remove(self, segment_id: int) -> None:
        for path in self._paths(segment_id):
            path.unlink(missing_ok=True)


def _append(connection: apsw.Connection, collection: Collection, space: StoredSpace, writer: SegmentWriter) -> None:
    """Appends what the connection's transaction sees beyond the segment, a few megabytes at a time."""
    if writer.through_change == collection.last_change:
        return
    at_once = max(1, _APPENDED_AT_ONCE_BYTES // (2 * space.space.vectors_per_photo * space.space.dimension))
    rows = connection.execute(newer_vectors(space), (collection.collection_id, writer.through_change))
    while True:
        batch = list(islice(rows, at_once))
        is_last = len(batch) < at_once
        through = collection.last_change if is_last else batch[-1][0]
        keys = np.array([row[:2] for row in batch], np.int64).reshape(-1, 2)
        writer.append(keys[:, 0], keys[:, 1], b"".join(row[2] for row in batch), through_change=through)
        if is_last:
            return
