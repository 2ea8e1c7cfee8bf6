"""Writing a segment's files: appended photo by photo, and at last, perhaps, sealed with a graph."""

import os
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from miradouro.adapters.sqlite_index.segment_file import (
    HEADER_BYTES,
    KEY,
    KEY_BYTES,
    Identity,
    SegmentReader,
    State,
    checksum_of,
    header_of,
    open_file,
    paths,
    read_state,
)
from miradouro.adapters.sqlite_index.segment_graph import EXPANSIONS, Int64


class SegmentWriter:
    """Appends to a segment. One writer, the one that holds the store's lock; not thread-safe."""

    def __init__(self, folder: Path, segment_id: int | str, identity: Identity, state: State, *, flags: int) -> None:
        """Use `create` or `resume`."""
        self._identity, self._state = identity, state
        self._folder, self._name = folder, segment_id
        self._files = [open_file(path, flags) for path in paths(folder, segment_id)[:2]]

    @classmethod
    def create(cls, folder: Path, segment_id: int | str, identity: Identity, *, after_change: int) -> "SegmentWriter":
        """An empty segment that covers changes after `after_change`; replaces files of that name."""
        state = State(after_change=after_change, through_change=after_change)
        writer = cls(folder, segment_id, identity, state, flags=os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        writer._write_header()
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
        return cls(folder, segment_id, identity, state, flags=os.O_RDWR)

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
        """Whether the files that stand in the folder are still those that this writer writes, and no shorter than they were."""
        for path, file, size in zip(
            paths(self._folder, self._name), self._files, self._state.sizes(self._identity), strict=False
        ):
            try:
                there = path.stat()
            except OSError:
                return False
            if not os.path.samestat(there, os.fstat(file)) or there.st_size < size:
                return False
        return True

    def append(self, changes: Int64, row_ids: Int64, vectors: bytes, *, through_change: int) -> None:
        """Adds photos, changes growing, `vectors` their blobs one after the other; the header counts them last."""
        state = self._state
        keys = np.stack([changes, row_ids], axis=1).astype(KEY).tobytes()
        _write(self._files[0], keys, HEADER_BYTES + state.photos * KEY_BYTES)
        _write(self._files[1], vectors, state.photos * self._identity.photo_bytes)
        self._state = replace(
            state,
            through_change=through_change,
            photos=state.photos + len(changes),
            keys_crc=zlib.crc32(keys, state.keys_crc),
            vectors_crc=zlib.crc32(vectors, state.vectors_crc),
        )
        self._write_header()

    def set_graph(self, strays: Int64 | None, expansion: int = EXPANSIONS[-1]) -> None:
        """Takes the graph that stands beside the files, which leads to all photos but `strays`, positions int64 [n], while it
        keeps `expansion` candidates; or, with None, leaves it out again. Nothing may be appended after it."""
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
            _write(self._files[0], positions, HEADER_BYTES + self._state.photos * KEY_BYTES)
            self._state = replace(
                self._state,
                strays=len(strays),
                strays_crc=zlib.crc32(positions),
                graph_bytes=size,
                graph_crc=checksum,
                expansion=expansion,
            )
        self._write_header()

    def rename(self, segment_id: int) -> None:
        """Gives the files the name of a segment."""
        for old, new in zip(paths(self._folder, self._name), paths(self._folder, segment_id), strict=True):
            if old.exists():
                old.replace(new)
        self._name = segment_id

    def close(self) -> None:
        """Closes the files."""
        for file in self._files:
            os.close(file)

    def _write_header(self) -> None:
        _write(self._files[0], header_of(self._identity, self._state), 0)


def remove_segment(folder: Path, segment_id: int | str) -> None:
    """Removes the files; who has mapped them keeps them."""
    for path in paths(folder, segment_id):
        path.unlink(missing_ok=True)


def _write(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
