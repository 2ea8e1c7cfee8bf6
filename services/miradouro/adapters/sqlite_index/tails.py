"""The open tails: brought up to the database after every commit. Nothing here is needed for an answer to be right."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import apsw
import numpy as np

from miradouro.adapters.sqlite_index.catalogue import Catalogue, Collection, StoredSpace
from miradouro.adapters.sqlite_index.connections import Connections
from miradouro.adapters.sqlite_index.segments import SEGMENTS_FOLDER, Segment, segments_of, vectors_between
from miradouro.adapters.sqlite_index.vectors.segment_file import Identity, Unusable, paths
from miradouro.adapters.sqlite_index.vectors.segment_writer import SegmentWriter
from miradouro.core.errors import MiradouroError

APPENDED_AT_ONCE_BYTES = 4 << 20
_log = logging.getLogger(__name__)


class Tails:
    """The tails of every space of this process's data folder. Thread-safe: writes and maintenance take turns."""

    def __init__(self, folder: Path, connections: Connections, catalogue: Catalogue) -> None:
        self._folder = folder / SEGMENTS_FOLDER
        self._connections = connections
        self._catalogue = catalogue
        self._writers: dict[int, tuple[int, SegmentWriter]] = {}
        self._lock = threading.Lock()

    def catch_up(self, name: str) -> bool:
        """Appends what the database has committed since to every tail of the collection called `name`, some megabytes at most.

        What fails is logged, and left to the maintenance and to the next commit. False when a tail has to be made anew.
        """
        is_usable = True
        with self._lock:
            try:
                with self._connections.reading() as connection:
                    connection.execute("BEGIN")
                    collection = self._catalogue.find(connection, name)
                    for space in self._catalogue.spaces(connection, collection):
                        try:
                            append(connection, collection, space, self._writer(connection, collection, space), at_most=1)
                        except Unusable as exc:
                            _log.info("the tail of %s has to be made anew: %s", space.space.name, exc)
                            is_usable = False
            except (MiradouroError, OSError) as exc:
                _log.warning("segments of collection %s stay behind: %s", name, exc)
        return is_usable

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody appends meanwhile."""
        with self._lock:
            yield

    def writer(self, connection: apsw.Connection, collection: Collection, space: StoredSpace) -> SegmentWriter:
        """The tail's files, inside `held`. Raises Unusable when they have to be made anew."""
        return self._writer(connection, collection, space)

    def exchange(self, space: StoredSpace, segment_id: int, writer: SegmentWriter) -> None:
        """Goes on with another tail, inside `held`; the old one's files stay."""
        self._writers[space.space_id] = (segment_id, writer)

    def _writer(self, connection: apsw.Connection, collection: Collection, space: StoredSpace) -> SegmentWriter:
        tail = segments_of(connection, space)[-1]
        known_id, writer = self._writers.get(space.space_id, (0, None))
        if writer is None or known_id != tail.segment_id:
            identity = Identity.of(self._catalogue.store(connection), collection.name, space.space)
            writer = self._open(tail, identity)
            self.exchange(space, tail.segment_id, writer)
        elif not writer.is_intact():
            raise Unusable(f"the files of segment {tail.segment_id} were removed or cut")
        if writer.through_change > collection.last_change or writer.after_change != tail.after_change:
            raise Unusable(f"segment {tail.segment_id} covers changes that the database does not know")
        return writer

    def _open(self, tail: Segment, identity: Identity) -> SegmentWriter:
        if any(path.exists() for path in paths(self._folder, tail.segment_id)):
            return SegmentWriter.resume(self._folder, tail.segment_id, identity)
        return SegmentWriter.create(self._folder, tail.segment_id, identity, after_change=tail.after_change)


def append(
    connection: apsw.Connection, collection: Collection, space: StoredSpace, writer: SegmentWriter, *, at_most: int
) -> bool:
    """Appends what the connection's transaction sees beyond the segment, `at_most` times some megabytes; whether that is all."""
    if writer.through_change == collection.last_change:
        return True
    at_once = max(1, APPENDED_AT_ONCE_BYTES // (2 * space.space.vectors_per_photo * space.space.dimension))
    rows = connection.execute(vectors_between(space), (collection.collection_id, writer.through_change, collection.last_change))
    for _ in range(at_most):
        batch = list(islice(rows, at_once))
        is_last = len(batch) < at_once
        through = collection.last_change if is_last else batch[-1][0]
        keys = np.array([row[:2] for row in batch], np.int64).reshape(-1, 2)
        writer.append(keys[:, 0], keys[:, 1], b"".join(row[2] for row in batch), through_change=through)
        if is_last:
            return True
    return False
