"""Writing a segment's files: appended photo by photo, and at last, perhaps, sealed with a graph."""

import contextlib
import os
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from miradouro.adapters.sqlite_index.vectors.arrays import Int64
from miradouro.adapters.sqlite_index.vectors.hnsw import EXPANSIONS
from miradouro.adapters.sqlite_index.vectors.segment_file import (
    HEADER_BYTES,
    KEY,
    KEY_BYTES,
    Identity,
    SegmentReader,
    State,
    Unusable,
    checksum_of,
    header_of,
    open_file,
    paths,
    read_state,
)


class SegmentWriter:
    """Appends to a segment, whose files are open only meanwhile: an index has hundreds of tails.

    One writer, the one that holds the store's lock; not thread-safe.
    """

    def __init__(self, folder: Path, segment_id: int | str, identity: Identity, state: State) -> None:
        """Use `create` or `resume`: the files are there."""
        self._identity, self._state = identity, state
        self._folder, self._name = folder, segment_id
        self._there = [path.stat() for path in paths(folder, segment_id)[:2]]

    @classmethod
    def create(cls, folder: Path, segment_id: int | str, identity: Identity, *, after_change: int) -> "SegmentWriter":
        """An empty segment that covers changes after `after_change`; replaces files of that name."""
        state = State(after_change=after_change, through_change=after_change)
        for path in paths(folder, segment_id)[:2]:
            os.close(open_file(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC))
        writer = cls(folder, segment_id, identity, state)
        with writer._opened() as (keys, _):
            writer._write_header(keys)
        return writer

    @classmethod
    def resume(cls, folder: Path, segment_id: int, identity: Identity) -> "SegmentWriter":
        """Goes on with the files that are there; raises Unusable when they can't be gone on with."""
        reader = SegmentReader(folder, segment_id, identity)
        reader.view()  # checks everything that is there
        keys = open_file(paths(folder, segment_id)[0], os.O_RDONLY)
        try:
            _, state = read_state(keys, identity)
        finally:
            os.close(keys)
        return cls(folder, segment_id, identity, state)

    @property
    def after_change(self) -> int:
        """Changes up to this one are none of this segment's."""
        return self._state.after_change

    @property
    def through_change(self) -> int:
        """Every change from `after_change` up to this one is covered."""
        return self._state.through_change

    @property
    def photos(self) -> int:
        """How many there are, replaced ones too."""
        return self._state.photos

    def is_intact(self) -> bool:
        """Whether the files in the folder are still those that this writer writes, and no shorter than they were."""
        for path, known, size in zip(
            paths(self._folder, self._name), self._there, self._state.sizes(self._identity), strict=False
        ):
            try:
                there = path.stat()
            except OSError:
                return False
            if not os.path.samestat(there, known) or there.st_size < size:
                return False
        return True

    def append(self, changes: Int64, row_ids: Int64, vectors: bytes, *, through_change: int) -> None:
        """Adds photos, changes growing, `vectors` their blobs one after the other; the header counts them last.

        Raises Unusable when the files are not there any more, OSError.
        """
        state = self._state
        keys = np.stack([changes, row_ids], axis=1).astype(KEY).tobytes()
        with self._opened() as (key_file, vector_file):
            _write(key_file, keys, HEADER_BYTES + state.photos * KEY_BYTES)
            _write(vector_file, vectors, state.photos * self._identity.photo_bytes)
            self._state = replace(
                state,
                through_change=through_change,
                photos=state.photos + len(changes),
                keys_crc=zlib.crc32(keys, state.keys_crc),
                vectors_crc=zlib.crc32(vectors, state.vectors_crc),
            )
            self._write_header(key_file)

    def set_graph(self, strays: Int64 | None, expansion: int = EXPANSIONS[-1]) -> None:
        """Takes the graph that stands beside the files, which leads to all photos but `strays`, positions int64 [n], while it
        keeps `expansion` candidates; or, with None, leaves it out again. Nothing may be appended after it."""
        with self._opened() as (keys, _):
            self._set_graph(keys, strays, expansion)
            self._write_header(keys)

    def _set_graph(self, keys: int, strays: Int64 | None, expansion: int) -> None:
        if strays is None:
            self._state = replace(self._state, strays=0, strays_crc=0, graph_bytes=0, graph_crc=0)
        else:
            graph = open_file(paths(self._folder, self._name)[2], os.O_RDONLY)
            try:
                size = os.fstat(graph).st_size
                checksum = checksum_of(graph, 0, size)
            finally:
                os.close(graph)
            positions = strays.astype(KEY).tobytes()
            _write(keys, positions, HEADER_BYTES + self._state.photos * KEY_BYTES)
            self._state = replace(
                self._state,
                strays=len(strays),
                strays_crc=zlib.crc32(positions),
                graph_bytes=size,
                graph_crc=checksum,
                expansion=expansion,
            )

    def rename(self, segment_id: int) -> None:
        """Gives the files the name of a segment."""
        for old, new in zip(paths(self._folder, self._name), paths(self._folder, segment_id), strict=True):
            if old.exists():
                old.replace(new)
        self._name = segment_id

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[int, int]]:
        """Keys and vectors, open for reading and writing. Raises Unusable when they are others than this writer's."""
        keys, vectors, _ = paths(self._folder, self._name)
        with contextlib.ExitStack() as closing:
            files = []
            for path, known in zip((keys, vectors), self._there, strict=True):
                files.append(file := open_file(path, os.O_RDWR))
                closing.callback(os.close, file)
                if not os.path.samestat(os.fstat(file), known):
                    raise Unusable(f"{path} was put in the place of another file")
            yield files[0], files[1]

    def _write_header(self, keys: int) -> None:
        _write(keys, header_of(self._identity, self._state), 0)


def remove_segment(folder: Path, segment_id: int | str) -> None:
    """Removes the files; who has mapped them keeps them."""
    for path in paths(folder, segment_id):
        path.unlink(missing_ok=True)


def _write(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
