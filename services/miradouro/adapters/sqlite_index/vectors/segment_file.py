"""The files of one segment: append-only, derived from the database, read through memory maps.

`ID.keys`: a header of 4,096 bytes, then an int64 pair (change, row id) per photo, by change. `ID.vectors`: float16 or int8
[photos, vectors_per_photo, dimension] in the same order. The header is JSON after its own checksum. It names the format, the
database, the collection, the space, its provenance, shape and storage, the changes covered, the number of photos, and the
checksums of the files up to there. Bytes beyond these are an unfinished append: the next one overwrites them.

A sealed segment may have a graph, `ID.graph`. Then `ID.keys` goes on with int64 positions of the photos that the graph does not
reach, and the header holds the number of candidates that its searches keep.
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

from miradouro.adapters.sqlite_index.vectors.arrays import Int64, Stored, stored_bytes, stored_of
from miradouro.adapters.sqlite_index.vectors.hnsw import EXPANSIONS, HnswGraph
from miradouro.adapters.sqlite_index.vectors.mapped_file import Bytes, map_file
from miradouro.core.spaces import Space, Storage

FORMAT = 6
HEADER_BYTES = 4_096
_HEADER_READS = 3  # a read may overlap a write
KEY = np.dtype("<i8")
KEY_BYTES = 2 * KEY.itemsize
_CHECKED_AT_ONCE_BYTES = 8 << 20


class Unusable(Exception):
    """The files are missing, torn or another segment's: rebuild them from the database."""


@dataclass(frozen=True)
class Identity:
    """What the files of a space's segments belong to; `store` names the database."""

    store: str
    collection: str
    space: str
    provenance: str
    vectors_per_photo: int
    dimension: int
    storage: Storage

    @classmethod
    def of(cls, store: str, collection: str, space: Space) -> "Identity":
        """The identity of `space` in the collection named `collection` of the database `store`."""
        return cls(store, collection, space.name, space.provenance, space.vectors_per_photo, space.dimension, space.storage)

    @property
    def photo_bytes(self) -> int:
        """The size of a photo's vectors."""
        return self.vectors_per_photo * self.dimension * stored_bytes(self.storage)

    def vectors_in(self, data: bytes | Bytes) -> Stored:
        """The vectors of photos, one after the other, [n, per photo, d], without a copy."""
        return stored_of(data, self.storage).reshape(-1, self.vectors_per_photo, self.dimension)

    def photos_in(self, segment_bytes: int) -> int:
        """The most photos of a sealed segment, at least 1: vectors of `segment_bytes` if they were float16.

        The storage makes no difference, because the graph takes the same memory while it is built.
        """
        return max(1, segment_bytes // (2 * self.vectors_per_photo * self.dimension))


@dataclass(frozen=True)
class State:
    """The header beyond the identity. The files hold the changes in (after_change, through_change]."""

    after_change: int = 0
    through_change: int = 0
    photos: int = 0
    keys_crc: int = 0
    vectors_crc: int = 0
    unreachable: int = 0
    unreachable_crc: int = 0
    graph_bytes: int = 0
    graph_crc: int = 0
    expansion: int = EXPANSIONS[-1]

    def sizes(self, identity: Identity) -> tuple[int, int, int]:
        """The least sizes of keys, vectors and graph in bytes."""
        keys = HEADER_BYTES + self.photos * KEY_BYTES + self.unreachable * KEY.itemsize
        return keys, self.photos * identity.photo_bytes, self.graph_bytes


@dataclass(frozen=True, eq=False)
class MappedSegment:
    """The contents at one time: keys int64 [n, (change, row id)], by change; vectors [n, per photo, d].

    Photos were live when they were written; the database holds which are still. `unreachable` are the positions int64 [m] of
    the photos that the graph does not reach.
    """

    after_change: int
    through_change: int
    keys: Int64
    vectors: Stored
    graph: HnswGraph | None = None
    unreachable: Int64 = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def changes(self) -> Int64:
        """int64 [n], ascending."""
        return self.keys[:, 0]

    @property
    def row_ids(self) -> Int64:
        """int64 [n]."""
        return self.keys[:, 1]


def paths(folder: Path, segment_id: int | str) -> tuple[Path, Path, Path]:
    """The files of a segment: keys, vectors and graph."""
    return folder / f"{segment_id}.keys", folder / f"{segment_id}.vectors", folder / f"{segment_id}.graph"


class SegmentFiles:
    """Maps a segment's files and follows their growth. Keeps no file open: an index has hundreds of segments. Thread-safe."""

    def __init__(self, folder: Path, segment_id: int | str, identity: Identity, *, stamp: str = "") -> None:
        """Files with this `stamp` are mapped without a check: they were verified when they got it."""
        self._paths = paths(folder, segment_id)
        self._identity = identity
        self._trusted_stamp = stamp
        self._lock = threading.Lock()
        self._header = b""
        self._known = _Known(State(), (), "", _map([], identity, State()))

    def mapped(self) -> MappedSegment:
        """The present contents; what is new is verified first.

        Raises Unusable when the files are missing, torn, another segment's, or not those of the previous call.
        """
        with self._lock, contextlib.ExitStack() as closing:
            files = [_opened(self._paths[0], closing)]
            header = os.pread(files[0], HEADER_BYTES, 0)
            if header == self._header and self.are_intact():
                return self._known.mapped
            header, state = read_state(files[0], self._identity)
            files += [_opened(path, closing) for path in self._paths[1 : 3 if state.graph_bytes else 2]]
            stats = [os.fstat(file) for file in files]
            before = self._known
            if [_inode(one) for one in stats[:2]] != list(before.inodes[:2] or map(_inode, stats[:2])):
                raise Unusable(f"{self._identity.space}: the files were put in the place of others")
            sizes = state.sizes(self._identity)
            if state.photos < before.state.photos or any(one.st_size < size for one, size in zip(stats, sizes, strict=False)):
                raise Unusable(f"{self._identity.space}: shorter than the header says, or than before")
            stamp = _stamp(stats)
            if not stamp or stamp != self._trusted_stamp:
                _verify(files, before.state, state, self._identity)
            self._known = _Known(state, tuple(map(_inode, stats)), stamp, _map(files, self._identity, state))
            self._header = header
            return self._known.mapped

    def are_intact(self) -> bool:
        """Whether the latest map may still be read: a read beyond the end of a mapped file ends the process."""
        known = self._known
        try:
            stats = [path.stat() for path in self._paths[: len(known.inodes)]]
        except OSError:
            return False  # the map of a removed file may be read, but its length can no longer be checked
        sizes = known.state.sizes(self._identity)
        return all(
            _inode(one) == inode and one.st_size >= size for one, inode, size in zip(stats, known.inodes, sizes, strict=False)
        )

    def stamp(self) -> str:
        """The stamp of the files at the latest call of `mapped`: see `stamp_of`."""
        return self._known.stamp


@dataclass(frozen=True, eq=False)
class _Known:
    """The latest map, and the device and inode numbers of its files."""

    state: State
    inodes: tuple[tuple[int, int], ...]
    stamp: str
    mapped: MappedSegment


def stamp_of(folder: Path, segment_id: int | str) -> str:
    """A text that changes with every write to the files, and when they are moved or copied."""
    return _stamp(path.stat() for path in paths(folder, segment_id) if path.exists())


def sync(folder: Path, segment_id: int | str) -> None:
    """Flushes the files to the disk. Raises OSError."""
    for path in paths(folder, segment_id):
        if path.exists():
            file = open_file(path, os.O_RDONLY)
            try:
                os.fsync(file)
            finally:
                os.close(file)


def _stamp(stats: Iterable[os.stat_result]) -> str:
    return " ".join(f"{one.st_ino}:{one.st_size}:{one.st_mtime_ns}:{one.st_ctime_ns}" for one in stats)


def _inode(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def _opened(path: Path, closing: contextlib.ExitStack) -> int:
    file = open_file(path, os.O_RDONLY)
    closing.callback(os.close, file)
    return file


def open_file(path: Path, flags: int) -> int:
    """A descriptor. Raises Unusable when the file is missing, OSError."""
    try:
        return os.open(path, flags | os.O_CLOEXEC, 0o644)
    except FileNotFoundError as exc:
        raise Unusable(f"{path} is missing") from exc


def read_state(keys: int, identity: Identity) -> tuple[bytes, State]:
    """The header of the open file `keys`, raw and parsed. Raises Unusable when it is damaged or another segment's."""
    for _ in range(_HEADER_READS):
        header = os.pread(keys, HEADER_BYTES, 0)
        checksum, _, text = header.rstrip().partition(b" ")
        if checksum == b"%08x" % zlib.crc32(text):
            break
    else:
        raise Unusable(f"{identity.space}: the header is damaged")
    fields: dict[str, Any] = json.loads(text)
    expected = {"format": FORMAT, **vars(identity)}
    for name, value in expected.items():
        if fields.pop(name, None) != value:
            raise Unusable(f"{identity.space}: a segment of another {name}")
    return header, State(**fields)


def header_of(identity: Identity, state: State) -> bytes:
    """The header, HEADER_BYTES long."""
    text = json.dumps({"format": FORMAT, **vars(identity), **vars(state)}).encode()
    return (b"%08x " % zlib.crc32(text) + text).ljust(HEADER_BYTES)


def checksum_of(file: int, start: int, stop: int, checksum: int = 0) -> int:
    """CRC-32 of the bytes [start, stop) of the file, continuing from `checksum`. Raises Unusable when the file is shorter."""
    while start < stop:
        part = os.pread(file, min(_CHECKED_AT_ONCE_BYTES, stop - start), start)
        if not part:
            raise Unusable("a file ended while it was read")
        checksum = zlib.crc32(part, checksum)
        start += len(part)
    return checksum


def _map(files: list[int], identity: Identity, state: State) -> MappedSegment:
    if not state.photos:
        return MappedSegment(state.after_change, state.through_change, np.empty((0, 2), np.int64), identity.vectors_in(b""))
    key_bytes, vector_bytes, graph_bytes = state.sizes(identity)
    keys = map_file(files[0], key_bytes)[HEADER_BYTES:].view(KEY)
    return MappedSegment(
        state.after_change,
        state.through_change,
        keys[: 2 * state.photos].reshape(-1, 2),
        identity.vectors_in(map_file(files[1], vector_bytes)),
        HnswGraph(map_file(files[2], graph_bytes), identity.dimension, state.expansion) if graph_bytes else None,
        keys[2 * state.photos :],
    )


def _verify(files: list[int], before: State, now: State, identity: Identity) -> None:
    """Compares the checksums of the new parts with the header's. Raises Unusable."""
    starts, stops = before.photos, now.photos
    unreachable = HEADER_BYTES + stops * KEY_BYTES
    found = [
        checksum_of(files[0], HEADER_BYTES + starts * KEY_BYTES, HEADER_BYTES + stops * KEY_BYTES, before.keys_crc),
        checksum_of(files[1], starts * identity.photo_bytes, stops * identity.photo_bytes, before.vectors_crc),
        checksum_of(files[0], unreachable, unreachable + now.unreachable * KEY.itemsize),
        checksum_of(files[2], 0, now.graph_bytes) if now.graph_bytes else 0,
    ]
    if found != [now.keys_crc, now.vectors_crc, now.unreachable_crc, now.graph_crc]:
        raise Unusable(f"{identity.space}: a checksum of photos {starts} to {stops} is wrong")
