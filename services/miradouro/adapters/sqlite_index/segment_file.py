"""One segment of a space: two append-only files that are derived from the database and read through memory maps.

`ID.keys`: a header of 4,096 bytes, then an int64 pair (change, row id) per photo, by change. `ID.vectors`: float16
[photos, vectors_per_photo, dimension] in the same order. The header is JSON after its own checksum; it names the format, the
collection, the space, its provenance and shape, the changes covered, the number of photos, and the checksums of both files up
to there. Bytes beyond what the header counts are an append that did not end: the next one writes over them.
"""

import json
import mmap
import os
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from miradouro.core.spaces import Space

FORMAT = 1
_HEADER_BYTES = 4_096
_HEADER_READS = 3  # one read may fall into a write
_KEY = np.dtype("<i8")
_KEY_BYTES = 2 * _KEY.itemsize
_VECTOR = np.dtype("<f2")
_CHECKED_AT_ONCE_BYTES = 8 << 20

Int64 = npt.NDArray[np.int64]
Float16 = npt.NDArray[np.float16]


class Unusable(Exception):
    """The files are missing, torn or another segment's: build them again from the database."""


@dataclass(frozen=True)
class Identity:
    """What a segment must be about to be used."""

    collection: str
    space: str
    provenance: str
    vectors_per_photo: int
    dimension: int

    @classmethod
    def of(cls, collection: str, space: Space) -> "Identity":
        """The identity of segments of `space` in the collection called `collection`."""
        return cls(collection, space.name, space.provenance, space.vectors_per_photo, space.dimension)

    @property
    def photo_bytes(self) -> int:
        """Bytes that a photo's vectors take."""
        return self.vectors_per_photo * self.dimension * _VECTOR.itemsize


@dataclass(frozen=True)
class _State:
    """What a header says beyond the identity: every change up to `through_change` is covered."""

    through_change: int = 0
    photos: int = 0
    keys_crc: int = 0
    vectors_crc: int = 0


@dataclass(frozen=True)
class View:
    """The photos of a segment at one moment: keys int64 [n, (change, row id)], by change; vectors float16 [n, per photo, d].

    Holds what was live when it was written; the database says what is no longer.
    """

    through_change: int
    keys: Int64
    vectors: Float16

    @property
    def changes(self) -> Int64:
        """int64 [n], growing."""
        return self.keys[:, 0]

    @property
    def row_ids(self) -> Int64:
        """int64 [n]."""
        return self.keys[:, 1]


def paths(folder: Path, segment_id: int) -> tuple[Path, Path]:
    """The files of a segment: keys and vectors."""
    return folder / f"{segment_id}.keys", folder / f"{segment_id}.vectors"


class SegmentReader:
    """Maps a segment's files and follows their growth. Thread-safe."""

    def __init__(self, folder: Path, segment_id: int, identity: Identity) -> None:
        """Raises Unusable when the files are missing or another segment's."""
        self._identity = identity
        self._lock = threading.Lock()
        keys, vectors = paths(folder, segment_id)
        self._keys = _open(keys, os.O_RDONLY)
        try:
            self._vectors = _open(vectors, os.O_RDONLY)
        except Unusable:
            os.close(self._keys)
            raise
        self._header = b""
        self._state = _State()
        self._view = _map(self._keys, self._vectors, self._identity, self._state)

    def __del__(self) -> None:
        if hasattr(self, "_view"):
            os.close(self._keys)
            os.close(self._vectors)

    def view(self) -> View:
        """What the files hold now; everything new is checked first. Raises Unusable when it is torn."""
        with self._lock:
            header = os.pread(self._keys, _HEADER_BYTES, 0)
            if header != self._header or not self._is_whole():
                header, state = _read_state(self._keys, self._identity)
                if state.photos < self._state.photos:
                    raise Unusable(f"{self._identity.space}: fewer photos than before")
                view = _map(self._keys, self._vectors, self._identity, state)
                _check(view, self._state, state, self._identity)
                self._header, self._state, self._view = header, state, view
            return self._view

    def _is_whole(self) -> bool:
        """Whether the files still are as long as what is mapped: to read a map beyond its file's end ends the process."""
        photos = self._state.photos
        return (
            os.fstat(self._keys).st_size >= _HEADER_BYTES + photos * _KEY_BYTES
            and os.fstat(self._vectors).st_size >= photos * self._identity.photo_bytes
        )


class SegmentWriter:
    """Appends to a segment. One writer, the one that holds the store's lock; not thread-safe."""

    def __init__(self, folder: Path, segment_id: int, identity: Identity, *, create: bool) -> None:
        """Makes empty files, or goes on with those that are there: raises Unusable when they can't be gone on with."""
        self._identity = identity
        self._paths = paths(folder, segment_id)
        if create:
            self._state = _State()
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC
            self._keys, self._vectors = (_open(path, flags) for path in self._paths)
            self._write_header()
        else:
            # The reader checks everything that is there; its view is not kept.
            reader = SegmentReader(folder, segment_id, identity)
            reader.view()
            self._keys, self._vectors = (_open(path, os.O_RDWR) for path in self._paths)
            _, self._state = _read_state(self._keys, identity)

    @property
    def through_change(self) -> int:
        """Every change up to this one is covered."""
        return self._state.through_change

    def is_intact(self) -> bool:
        """Whether the files that stand in the folder are still those that this writer writes, and no shorter than they were."""
        sizes = (_HEADER_BYTES + self._state.photos * _KEY_BYTES, self._state.photos * self._identity.photo_bytes)
        for path, file, size in zip(self._paths, (self._keys, self._vectors), sizes, strict=True):
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
        keys = np.stack([changes, row_ids], axis=1).astype(_KEY).tobytes()
        _write(self._keys, keys, _HEADER_BYTES + state.photos * _KEY_BYTES)
        _write(self._vectors, vectors, state.photos * self._identity.photo_bytes)
        self._state = _State(
            through_change=through_change,
            photos=state.photos + len(changes),
            keys_crc=zlib.crc32(keys, state.keys_crc),
            vectors_crc=zlib.crc32(vectors, state.vectors_crc),
        )
        self._write_header()

    def close(self) -> None:
        """Closes the files."""
        os.close(self._keys)
        os.close(self._vectors)

    def _write_header(self) -> None:
        told = {"format": FORMAT, **vars(self._identity), **vars(self._state)}
        text = json.dumps(told).encode()
        _write(self._keys, (b"%08x " % zlib.crc32(text) + text).ljust(_HEADER_BYTES), 0)


def _open(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC, 0o644)
    except FileNotFoundError as exc:
        raise Unusable(f"{path} is missing") from exc


def _write(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def _read_state(keys: int, identity: Identity) -> tuple[bytes, _State]:
    for _ in range(_HEADER_READS):
        header = os.pread(keys, _HEADER_BYTES, 0)
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
    return header, _State(**told)


def _map(keys: int, vectors: int, identity: Identity, state: _State) -> View:
    shape = (state.photos, identity.vectors_per_photo, identity.dimension)
    if not state.photos:
        return View(state.through_change, np.empty((0, 2), np.int64), np.empty(shape, np.float16))
    key_bytes = _HEADER_BYTES + state.photos * _KEY_BYTES
    vector_bytes = state.photos * identity.photo_bytes
    if os.fstat(keys).st_size < key_bytes or os.fstat(vectors).st_size < vector_bytes:
        raise Unusable(f"{identity.space}: shorter than the header says")
    mapped_keys = mmap.mmap(keys, key_bytes, access=mmap.ACCESS_READ)
    mapped_vectors = mmap.mmap(vectors, vector_bytes, access=mmap.ACCESS_READ)
    return View(
        state.through_change,
        np.frombuffer(mapped_keys, _KEY, offset=_HEADER_BYTES).reshape(-1, 2),
        np.frombuffer(mapped_vectors, _VECTOR).reshape(shape),
    )


def _check(view: View, before: _State, now: _State, identity: Identity) -> None:
    """Compares the checksums of what is new with the header's."""
    for array, checksum, expected, size in (
        (view.keys, before.keys_crc, now.keys_crc, _KEY_BYTES),
        (view.vectors, before.vectors_crc, now.vectors_crc, identity.photo_bytes),
    ):
        rows = max(1, _CHECKED_AT_ONCE_BYTES // size)
        for start in range(before.photos, now.photos, rows):
            part = np.ascontiguousarray(array[start : min(start + rows, now.photos)])
            checksum = zlib.crc32(part.data, checksum)
        if checksum != expected:
            raise Unusable(f"{identity.space}: the checksum of photos {before.photos} to {now.photos} is wrong")
