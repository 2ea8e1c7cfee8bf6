"""One segment of a space: append-only files that are derived from the database and read through memory maps.

`ID.keys`: a header of 4,096 bytes, then an int64 pair (change, row id) per photo, by change. `ID.vectors`: float16
[photos, vectors_per_photo, dimension] in the same order. The header is JSON after its own checksum; it names the format, the
database, the collection, the space, its provenance and shape, the changes covered, the number of photos, and the checksums of
the files up to there. Bytes beyond what the header counts are an append that did not end: the next one writes over them.

A sealed segment may have a graph in `ID.graph`; int64 positions of the photos that can't be found through it then stand in
`ID.keys` after the pairs, and the header tells how many candidates its searches keep.
"""

import contextlib
import json
import os
import threading
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from miradouro.adapters.sqlite_index.vectors.arrays import Float16, Int64
from miradouro.adapters.sqlite_index.vectors.hnsw import EXPANSIONS, Graph
from miradouro.adapters.sqlite_index.vectors.mapped_file import map_file
from miradouro.core.spaces import Space

FORMAT = 4
HEADER_BYTES = 4_096
_HEADER_READS = 3  # one read may fall into a write
KEY = np.dtype("<i8")
KEY_BYTES = 2 * KEY.itemsize
VECTOR = np.dtype("<f2")
_CHECKED_AT_ONCE_BYTES = 8 << 20


class Unusable(Exception):
    """The files are missing, torn or another segment's: build them again from the database."""


@dataclass(frozen=True)
class Identity:
    """What a segment must be about to be used; `store` names the database."""

    store: str
    collection: str
    space: str
    provenance: str
    vectors_per_photo: int
    dimension: int

    @classmethod
    def of(cls, store: str, collection: str, space: Space) -> "Identity":
        """The identity of segments of `space` in the collection called `collection` of the database `store`."""
        return cls(store, collection, space.name, space.provenance, space.vectors_per_photo, space.dimension)

    @property
    def photo_bytes(self) -> int:
        """Bytes that a photo's vectors take."""
        return self.vectors_per_photo * self.dimension * VECTOR.itemsize


@dataclass(frozen=True)
class State:
    """What a header says beyond the identity: every change after `after_change` up to `through_change` is covered."""

    after_change: int = 0
    through_change: int = 0
    photos: int = 0
    keys_crc: int = 0
    vectors_crc: int = 0
    strays: int = 0
    strays_crc: int = 0
    graph_bytes: int = 0
    graph_crc: int = 0
    expansion: int = EXPANSIONS[-1]

    def sizes(self, identity: Identity) -> tuple[int, int, int]:
        """Bytes that keys, vectors and graph take at least."""
        keys = HEADER_BYTES + self.photos * KEY_BYTES + self.strays * KEY.itemsize
        return keys, self.photos * identity.photo_bytes, self.graph_bytes


@dataclass(frozen=True, eq=False)
class View:
    """The photos of a segment at one moment: keys int64 [n, (change, row id)], by change; vectors float16 [n, per photo, d].

    Holds what was live when it was written; the database says what is no longer. Where there is a graph, `strays` are the
    positions int64 [m] of the photos that it does not lead to.
    """

    after_change: int
    through_change: int
    keys: Int64
    vectors: Float16
    graph: Graph | None = None
    strays: Int64 = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def changes(self) -> Int64:
        """int64 [n], growing."""
        return self.keys[:, 0]

    @property
    def row_ids(self) -> Int64:
        """int64 [n]."""
        return self.keys[:, 1]


def paths(folder: Path, segment_id: int | str) -> tuple[Path, Path, Path]:
    """The files of a segment: keys, vectors and graph."""
    return folder / f"{segment_id}.keys", folder / f"{segment_id}.vectors", folder / f"{segment_id}.graph"


class SegmentReader:
    """Maps a segment's files and follows their growth. Holds no file open: an index has hundreds of segments. Thread-safe."""

    def __init__(self, folder: Path, segment_id: int | str, identity: Identity, *, stamp: str = "") -> None:
        """Files that have the `stamp` are not read through before they are used: they were checked when they got it."""
        self._paths = paths(folder, segment_id)
        self._identity = identity
        self._trusted_stamp = stamp
        self._lock = threading.Lock()
        self._header = b""
        self._mapped = _Mapped(State(), (), "", _map([], identity, State()))

    def view(self) -> View:
        """What the files hold now; everything new is checked first.

        Raises Unusable when they are missing, torn, another segment's, or others than before.
        """
        with self._lock, contextlib.ExitStack() as closing:
            files = [_opened(self._paths[0], closing)]
            header = os.pread(files[0], HEADER_BYTES, 0)
            if header == self._header and self.is_whole():
                return self._mapped.view
            header, state = read_state(files[0], self._identity)
            files += [_opened(path, closing) for path in self._paths[1 : 3 if state.graph_bytes else 2]]
            there = [os.fstat(file) for file in files]
            before = self._mapped
            if [_inode(one) for one in there[:2]] != list(before.inodes[:2] or map(_inode, there[:2])):
                raise Unusable(f"{self._identity.space}: the files were put in the place of others")
            sizes = state.sizes(self._identity)
            if state.photos < before.state.photos or any(one.st_size < size for one, size in zip(there, sizes, strict=False)):
                raise Unusable(f"{self._identity.space}: shorter than the header says, or than before")
            stamp = _stamp(there)
            if not stamp or stamp != self._trusted_stamp:
                _check(files, before.state, state, self._identity)
            self._mapped = _Mapped(state, tuple(map(_inode, there)), stamp, _map(files, self._identity, state))
            self._header = header
            return self._mapped.view

    def is_whole(self) -> bool:
        """Whether what was mapped last may still be read: to read a map beyond its file's end ends the process."""
        mapped = self._mapped
        try:
            there = [path.stat() for path in self._paths[: len(mapped.inodes)]]
        except OSError:
            return False  # the map of a removed file may be read, but nobody could say how long the file is
        sizes = mapped.state.sizes(self._identity)
        return all(
            _inode(one) == inode and one.st_size >= size for one, inode, size in zip(there, mapped.inodes, sizes, strict=False)
        )

    def stamp(self) -> str:
        """The stamp of the files as they were when `view` last looked into them: see `stamp_of`."""
        return self._mapped.stamp


@dataclass(frozen=True, eq=False)
class _Mapped:
    """What a reader has mapped: of the files with these device and inode numbers."""

    state: State
    inodes: tuple[tuple[int, int], ...]
    stamp: str
    view: View


def stamp_of(folder: Path, segment_id: int | str) -> str:
    """What changes with every write to the files of the folder, and when they are moved or copied."""
    return _stamp(path.stat() for path in paths(folder, segment_id) if path.exists())


def sync(folder: Path, segment_id: int | str) -> None:
    """Waits until the files are on the disk: a stamp that outlived a power failure would vouch for what did not."""
    for path in paths(folder, segment_id):
        if path.exists():
            file = open_file(path, os.O_RDONLY)
            try:
                os.fsync(file)
            finally:
                os.close(file)


def _stamp(there: Iterable[os.stat_result]) -> str:
    return " ".join(f"{one.st_ino}:{one.st_size}:{one.st_mtime_ns}:{one.st_ctime_ns}" for one in there)


def _inode(there: os.stat_result) -> tuple[int, int]:
    return there.st_dev, there.st_ino


def _opened(path: Path, closing: contextlib.ExitStack) -> int:
    file = open_file(path, os.O_RDONLY)
    closing.callback(os.close, file)
    return file


def open_file(path: Path, flags: int) -> int:
    """A descriptor; raises Unusable when there is no such file."""
    try:
        return os.open(path, flags | os.O_CLOEXEC, 0o644)
    except FileNotFoundError as exc:
        raise Unusable(f"{path} is missing") from exc


def read_state(keys: int, identity: Identity) -> tuple[bytes, State]:
    """The header of the file `keys`, as bytes and as what it says. Raises Unusable when it is damaged or another's."""
    for _ in range(_HEADER_READS):
        header = os.pread(keys, HEADER_BYTES, 0)
        checksum, _, text = header.rstrip().partition(b" ")
        if checksum == b"%08x" % zlib.crc32(text):
            break
    else:
        raise Unusable(f"{identity.space}: the header is damaged")
    told: dict[str, Any] = json.loads(text)
    expected = {"format": FORMAT, **vars(identity)}
    for name, value in expected.items():
        if told.pop(name, None) != value:
            raise Unusable(f"{identity.space}: a segment of another {name}")
    return header, State(**told)


def header_of(identity: Identity, state: State) -> bytes:
    """The header, HEADER_BYTES long."""
    text = json.dumps({"format": FORMAT, **vars(identity), **vars(state)}).encode()
    return (b"%08x " % zlib.crc32(text) + text).ljust(HEADER_BYTES)


def checksum_of(file: int, start: int, stop: int, checksum: int = 0) -> int:
    """CRC-32 of the bytes `start` to `stop` of the file, going on from `checksum`."""
    while start < stop:
        part = os.pread(file, min(_CHECKED_AT_ONCE_BYTES, stop - start), start)
        if not part:
            raise Unusable("a file ended while it was read")
        checksum = zlib.crc32(part, checksum)
        start += len(part)
    return checksum


def _map(files: list[int], identity: Identity, state: State) -> View:
    shape = (state.photos, identity.vectors_per_photo, identity.dimension)
    if not state.photos:
        return View(state.after_change, state.through_change, np.empty((0, 2), np.int64), np.empty(shape, np.float16))
    key_bytes, vector_bytes, graph_bytes = state.sizes(identity)
    keys = map_file(files[0], key_bytes)[HEADER_BYTES:].view(KEY)
    return View(
        state.after_change,
        state.through_change,
        keys[: 2 * state.photos].reshape(-1, 2),
        map_file(files[1], vector_bytes).view(VECTOR).reshape(shape),
        Graph(map_file(files[2], graph_bytes), identity.dimension, state.expansion) if graph_bytes else None,
        keys[2 * state.photos :],
    )


def _check(files: list[int], before: State, now: State, identity: Identity) -> None:
    """Compares the checksums of what is new with the header's."""
    starts, stops = before.photos, now.photos
    strays = HEADER_BYTES + stops * KEY_BYTES
    found = [
        checksum_of(files[0], HEADER_BYTES + starts * KEY_BYTES, HEADER_BYTES + stops * KEY_BYTES, before.keys_crc),
        checksum_of(files[1], starts * identity.photo_bytes, stops * identity.photo_bytes, before.vectors_crc),
        checksum_of(files[0], strays, strays + now.strays * KEY.itemsize),
        checksum_of(files[2], 0, now.graph_bytes) if now.graph_bytes else 0,
    ]
    if found != [now.keys_crc, now.vectors_crc, now.strays_crc, now.graph_crc]:
        raise Unusable(f"{identity.space}: a checksum of photos {starts} to {stops} is wrong")
