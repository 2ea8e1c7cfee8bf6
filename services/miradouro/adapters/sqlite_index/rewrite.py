"""Making sealed segments from the database: in pieces, under a temporary name, checked, and believed from one commit on."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from miradouro.adapters.sqlite_index.catalogue import Catalogue, Collection, StoredSpace
from miradouro.adapters.sqlite_index.connections import Connections
from miradouro.adapters.sqlite_index.segments import SEGMENTS_FOLDER, Segment, vectors_between
from miradouro.adapters.sqlite_index.vectors.hnsw import GraphBuilder
from miradouro.adapters.sqlite_index.vectors.segment_file import Identity, SegmentReader, paths, stamp_of, sync
from miradouro.adapters.sqlite_index.vectors.segment_writer import SegmentWriter, remove_segment
from miradouro.adapters.sqlite_index.vectors.tuning import Tuning

_READ_AT_ONCE_BYTES = 1 << 20
_LOGGED_EVERY_S = 10.0
_MOST_STRAYS = 16  # a graph that does not lead to more than one photo in so many is of no use

_log = logging.getLogger(__name__)


@dataclass
class Draft:
    """A segment in the making: `made_at` is the newest change when reading began."""

    name: str
    writer: SegmentWriter
    made_at: int
    has_graph: bool


class Rewriter:
    """Writes the changes of closed segments into a new one and puts it in their place."""

    def __init__(
        self, folder: Path, connections: Connections, catalogue: Catalogue, tuning: Tuning, breathe: Callable[[], None]
    ) -> None:
        self._folder = folder / SEGMENTS_FOLDER
        self._connections = connections
        self._catalogue = catalogue
        self._tuning = tuning
        self._breathe = breathe

    def replace(self, collection: Collection, space: StoredSpace, segments: Sequence[Segment]) -> None:
        """Puts one segment in the place of neighbours that are closed, or of the first part of them where they are too much
        for one. Raises Unavailable, OSError; then everything is as it was."""
        after, last = segments[0].after_change, segments[-1].through_change
        assert last is not None
        name = f"building-{space.space_id}"
        draft = self._write(collection, space, name, after, last)
        try:
            if not draft.writer.photos:
                self._commit(collection, space, draft, segments, last)
                return
            through = draft.writer.through_change
            if draft.has_graph:
                self._check_graph(collection, space, draft)
            sync(self._folder, draft.name)
            self._commit(collection, space, draft, segments, through)
        finally:
            remove_segment(self._folder, name)

    def _identity(self, collection: Collection, space: StoredSpace) -> Identity:
        with self._connections.reading() as connection:
            return Identity.of(self._catalogue.store(connection), collection.name, space.space)

    def _write(self, collection: Collection, space: StoredSpace, name: str, after: int, last: int) -> Draft:
        """Keys, vectors and the graph, up to the largest size."""
        identity = self._identity(collection, space)
        with self._connections.reading() as connection:
            made_at = self._catalogue.find(connection, collection.name).last_change
            photos = int(
                connection.execute(
                    f"SELECT count(*) FROM documents d CROSS JOIN vectors_{space.space_id:d} v ON v.row_id = d.row_id "
                    "WHERE d.collection_id = ? AND d.change > ? AND d.change <= ?",
                    (collection.collection_id, after, last),
                ).get
            )
        most = max(1, self._tuning.segment_bytes // identity.photo_bytes)
        is_large = min(photos, most) * identity.vectors_per_photo >= self._tuning.graph_vectors
        graph = GraphBuilder(identity.dimension, min(photos, most)) if is_large else None
        remove_segment(self._folder, name)
        writer = SegmentWriter.create(self._folder, name, identity, after_change=after)
        try:
            told_at = time.monotonic()
            while writer.through_change < last:
                self._breathe()
                batch = self._read(collection, space, identity, writer.through_change, last, most - writer.photos)
                is_last = not batch
                keys = np.array([row[:2] for row in batch], np.int64).reshape(-1, 2)
                blob = b"".join(row[2] for row in batch)
                writer.append(keys[:, 0], keys[:, 1], blob, through_change=last if is_last else batch[-1][0])
                if graph is not None and batch:
                    vectors = np.frombuffer(blob, "<f2").reshape(len(batch), identity.vectors_per_photo, identity.dimension)
                    graph.add(keys[:, 1], vectors, breathe=self._breathe)
                if time.monotonic() - told_at > _LOGGED_EVERY_S:
                    told_at = time.monotonic()
                    _log.info("sealing a segment of %s: %d of %d photos", space.space.name, writer.photos, min(photos, most))
                if writer.photos >= most:
                    break
            if graph is not None and writer.photos:
                # What was just written is not read through: its checksums are looked at with the graph's, when that is there.
                view = SegmentReader(self._folder, name, identity, stamp=stamp_of(self._folder, name)).view()
                expansion = graph.finish(view.row_ids, view.vectors, breathe=self._breathe)
                graph.save(paths(self._folder, name)[2])
                writer.set_graph(np.empty(0, np.int64), expansion)
        except BaseException:
            remove_segment(self._folder, name)
            raise
        return Draft(name, writer, made_at, graph is not None and writer.photos > 0)

    def _read(
        self, collection: Collection, space: StoredSpace, identity: Identity, after: int, last: int, most: int
    ) -> list[Any]:
        """The next photos: a transaction for each megabyte, so that no long one holds the log back."""
        at_once = min(most, max(1, _READ_AT_ONCE_BYTES // identity.photo_bytes))
        with self._connections.reading() as connection:
            return connection.execute(
                f"{vectors_between(space)} LIMIT ?", (collection.collection_id, after, last, at_once)
            ).fetchall()

    def _check_graph(self, collection: Collection, space: StoredSpace, draft: Draft) -> None:
        """Lets every vector find itself; photos that don't are noted, and a graph that loses many is left out."""
        view = SegmentReader(self._folder, draft.name, self._identity(collection, space)).view()
        assert view.graph is not None
        strays = view.graph.unreachable(view.row_ids, view.vectors, breathe=self._breathe)
        if len(strays) * _MOST_STRAYS > len(view.keys):
            _log.info("a segment of %s stays without a graph: %d photos not found", space.space.name, len(strays))
            draft.writer.set_graph(None)
            paths(self._folder, draft.name)[2].unlink()
            draft.has_graph = False
        else:
            draft.writer.set_graph(strays, view.graph.expansion)
            _log.info(
                "the graph of a segment of %s keeps %d candidates, and loses %d of %d photos",
                space.space.name, view.graph.expansion, len(strays), len(view.keys),
            )  # fmt: skip

    def _commit(
        self, collection: Collection, space: StoredSpace, draft: Draft, segments: Sequence[Segment], through: int
    ) -> None:
        """One transaction: the new row, the old ones gone or cut, and masks forgotten that nobody needs any more."""
        gone = [one for one in segments if one.through_change is not None and one.through_change <= through]
        with self._connections.writing() as connection:
            for segment in segments:
                if segment in gone:
                    connection.execute("DELETE FROM segments WHERE segment_id = ?", (segment.segment_id,))
                elif segment.after_change < through:
                    connection.execute("UPDATE segments SET after_change = ? WHERE segment_id = ?", (through, segment.segment_id))
            if draft.writer.photos:
                connection.execute(
                    "INSERT INTO segments(space_id, after_change, through_change, made_at, photos) VALUES (?, ?, ?, ?, ?)",
                    (space.space_id, segments[0].after_change, through, draft.made_at, draft.writer.photos),
                )
                segment_id = connection.last_insert_rowid()
                draft.writer.rename(segment_id)
                stamp = stamp_of(self._folder, segment_id)
                connection.execute("UPDATE segments SET stamp = ? WHERE segment_id = ?", (stamp, segment_id))
            forget_replaced(connection, collection)
        for segment in gone:
            remove_segment(self._folder, segment.segment_id)
        _log.info(
            "segment of %s made: %d photos, changes %d to %d%s",
            space.space.name, draft.writer.photos, segments[0].after_change, through, ", with a graph" if draft.has_graph else "",
        )  # fmt: skip


def forget_replaced(connection: apsw.Connection, collection: Collection) -> None:
    """Drops the masks of changes that stand in no segment of the collection."""
    connection.execute(
        "DELETE FROM replaced WHERE collection_id = ?1 AND NOT EXISTS ("
        "SELECT 1 FROM segments JOIN spaces USING (space_id) WHERE spaces.collection_id = ?1 "
        "AND replaced.change > after_change AND replaced.change <= coalesce(through_change, replaced.change) "
        "AND replaced.by_change > made_at)",
        (collection.collection_id,),
    )
