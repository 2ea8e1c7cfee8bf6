"""Writing a segment's files: photos are appended, and a sealed segment gets a graph at the end."""

import contextlib
import os
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from miradouro.adapters.sqlite_index.vectors.arrays import Int64
from miradouro.adapters.sqlite_index.vectors.segment_file import (
    HEADER_BYTES,
    KEY,
    KEY_BYTES,
    Identity,
    SegmentFiles,
    State,
    Unusable,
    checksum_of,
    header_of,
    open_file,
    paths,
    read_state,
)


class SegmentWriter:
    """Appends to a segment. Opens its files for each append only: an index has hundreds of growing segments.

    For one process, the one that holds the writer's lock. Not thread-safe.
    """

    def __init__(self, folder: Path, segment_id: int | str, identity: Identity, state: State) -> None:
        """Use `create` or `resume`: the files exist."""
        self._identity, self._state = identity, state
        self._folder, self._name = folder, segment_id
        self._stats = [path.stat() for path in paths(folder, segment_id)[:2]]

    @classmethod
    def create(cls, folder: Path, segment_id: int | str, identity: Identity, *, after_change: int) -> "SegmentWriter":
        """An empty segment for changes after `after_change`. Replaces files of that name."""
        state = State(after_change=after_change, through_change=after_change)
        for path in paths(folder, segment_id)[:2]:
            os.close(open_file(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC))
        writer = cls(folder, segment_id, identity, state)
        with writer._opened() as (keys, _):
            writer._write_header(keys)
        return writer

    @classmethod
    def resume(cls, folder: Path, segment_id: int, identity: Identity) -> "SegmentWriter":
        """Continues existing files, which it verifies. Raises Unusable."""
        SegmentFiles(folder, segment_id, identity).mapped()
        keys = open_file(paths(folder, segment_id)[0], os.O_RDONLY)
        try:
            _, state = read_state(keys, identity)
        finally:
            os.close(keys)
        return cls(folder, segment_id, identity, state)

    @property
    def after_change(self) -> int:
        """The segment begins after this change."""
        return self._state.after_change

    @property
    def through_change(self) -> int:
        """The segment covers every change from `after_change` up to this one."""
        return self._state.through_change

    @property
    def photos(self) -> int:
        """The number of photos, replaced ones included."""
        return self._state.photos

    def is_intact(self) -> bool:
        """Whether the folder still holds this writer's files, at their full length."""
        files, sizes = paths(self._folder, self._name), self._state.sizes(self._identity)
        for path, known, size in zip(files, self._stats, sizes, strict=False):
            try:
                stat = path.stat()
            except OSError:
                return False
            if not os.path.samestat(stat, known) or stat.st_size < size:
                return False
        return True

    def append(self, keys: Int64, vectors: bytes, *, through_change: int) -> None:
        """Appends photos: keys int64 [n, (change, row id)], changes ascending; `vectors` their blobs, one after the other.

        The header is written last: until then the photos do not count. Raises Unusable when the files are gone, OSError.
        """
        state = self._state
        key_bytes = keys.astype(KEY).tobytes()
        with self._opened() as (key_file, vector_file):
            _write(key_file, key_bytes, HEADER_BYTES + state.photos * KEY_BYTES)
            _write(vector_file, vectors, state.photos * self._identity.photo_bytes)
            self._state = replace(
                state,
                through_change=through_change,
                photos=state.photos + len(keys),
                keys_crc=zlib.crc32(key_bytes, state.keys_crc),
                vectors_crc=zlib.crc32(vectors, state.vectors_crc),
            )
            self._write_header(key_file)

    def set_graph(self, unreachable: Int64, expansion: int) -> None:
        """Adds the graph file beside the others to the segment. Append nothing after it.

        `unreachable`: the positions int64 [n] of photos that searches which keep `expansion` candidates do not reach.
        """
        graph = open_file(paths(self._folder, self._name)[2], os.O_RDONLY)
        try:
            size = os.fstat(graph).st_size
            checksum = checksum_of(graph, 0, size)
        finally:
            os.close(graph)
        positions = unreachable.astype(KEY).tobytes()
        with self._opened() as (keys, _):
            _write(keys, positions, HEADER_BYTES + self._state.photos * KEY_BYTES)
            self._state = replace(
                self._state,
                unreachable=len(unreachable),
                unreachable_crc=zlib.crc32(positions),
                graph_bytes=size,
                graph_crc=checksum,
                expansion=expansion,
            )
            self._write_header(keys)

    def drop_graph(self) -> None:
        """Takes the graph out of the segment, and removes its file."""
        self._state = replace(self._state, unreachable=0, unreachable_crc=0, graph_bytes=0, graph_crc=0)
        with self._opened() as (keys, _):
            self._write_header(keys)
        paths(self._folder, self._name)[2].unlink()

    def rename(self, segment_id: int) -> None:
        """Gives the files the name of a segment."""
        for old, new in zip(paths(self._folder, self._name), paths(self._folder, segment_id), strict=True):
            if old.exists():
                old.replace(new)
        self._name = segment_id

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[int, int]]:
        """Keys and vectors, open for reading and writing. Raises Unusable when they are not this writer's files."""
        keys, vectors, _ = paths(self._folder, self._name)
        with contextlib.ExitStack() as closing:
            files = []
            for path, known in zip((keys, vectors), self._stats, strict=True):
                files.append(file := open_file(path, os.O_RDWR))
                closing.callback(os.close, file)
                if not os.path.samestat(os.fstat(file), known):
                    raise Unusable(f"{path} was put in the place of another file")
            yield files[0], files[1]

    def _write_header(self, keys: int) -> None:
        _write(keys, header_of(self._identity, self._state), 0)


def remove_segment(folder: Path, segment_id: int | str) -> None:
    """Removes the files. Processes that have mapped them can still read them."""
    for path in paths(folder, segment_id):
        path.unlink(missing_ok=True)


def _write(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
