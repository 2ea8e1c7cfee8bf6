"""The graph of a sealed segment: usearch's HNSW over its vectors (Malkov and Yashunin, 2018), built once, then mapped.

The key of a vector is its photo's row id x 16 + the number of the vector in the photo. The graph holds int8 codes, each vector
by a scale of its own, and compares their angles: half the memory and time of float16, and distances off by about a
thousandth. Who asks measures the candidates anew.
"""

import contextlib
import ctypes
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numkong
import numpy as np
import numpy.typing as npt

from miradouro.adapters.sqlite_index.vectors.arrays import Bool, Float16, Int8, Int64
from miradouro.adapters.sqlite_index.vectors.mapped_file import Bytes
from miradouro.core.document import Float32

# usearch holds a C++ runtime of its own and offers its symbols to every library that is loaded later: onnxruntime, which needs
# the system's, then ends the process while it is imported. So the system's comes first; without it neither is the other.
if sys.platform == "linux":
    with contextlib.suppress(OSError):
        ctypes.CDLL("libstdc++.so.6", mode=ctypes.RTLD_GLOBAL)

if TYPE_CHECKING:
    from usearch.index import Index

VECTORS_PER_KEY = 16
CONNECTIVITY, EXPANSION_ADD = 16, 128
# How many candidates a search may keep: the fewest that find so much of what a scan finds. How many that are depends on the
# vectors, so every graph is measured: 24 for one, 256 for another.
EXPANSIONS = (24, 32, 48, 64, 96, 128, 192, 256)
LEAST_RECALL = 0.99
_MEASURED_PHOTOS, _NEIGHBOURS = 128, 10
_SCANNED_AT_ONCE_BYTES = 512 << 10  # for every measured photo: some ten milliseconds of work
_ADDED_AT_ONCE = 64  # some ten milliseconds of work
# A vector has to be among the nearest so many of itself; more than one, for photos have copies.
_OWN_NEIGHBOURS = 10


class GraphBuilder:
    """Adds vectors on one thread: usearch leaves vectors unreachable when several add.

    Some photos are held back to the end, so that it can be measured how many candidates a search has to keep to find the
    neighbours of a vector that the graph does not hold: those that it holds are linked to theirs.
    """

    def __init__(self, dimension: int, photos: int) -> None:
        self._index = _index(dimension)
        self._step = max(2, photos // _MEASURED_PHOTOS)
        self._photos = 0
        self._held: list[Int64] = []

    def add(self, row_ids: Int64, vectors: Float16, *, breathe: Callable[[], None]) -> None:
        """Adds photos, row ids int64 [n], vectors [n, per photo, d]; calls `breathe` between bounded pieces of work."""
        positions = np.arange(self._photos, self._photos + len(row_ids))
        self._photos += len(row_ids)
        is_held = positions % self._step == 0
        self._held.append(positions[is_held])
        self._add(row_ids[~is_held], vectors[~is_held], breathe)

    def finish(self, row_ids: Int64, vectors: Float16, *, breathe: Callable[[], None]) -> int:
        """Adds what was held back of all the photos that were given; returns the `expansion` that searches need, the first of
        EXPANSIONS that finds LEAST_RECALL of the nearest ten, or the last. Takes as long as a hundred scans."""
        held = np.concatenate(self._held)
        keys, flat, per_photo = _keys(row_ids, vectors.shape[1]), vectors.reshape(-1, vectors.shape[2]), vectors.shape[1]
        is_held = np.zeros(len(row_ids), bool)
        is_held[held] = True
        asked = flat[held * per_photo + np.arange(len(held)) % per_photo]
        edges = _edges(flat, np.repeat(is_held, per_photo), asked, breathe)
        order = np.argsort(keys)
        for expansion in EXPANSIONS:
            self._index.expansion_search = expansion  # type: ignore[misc] # its types forget the setter
            found = 0
            for vector, edge in zip(asked, edges.tolist(), strict=True):
                breathe()
                near: Any = self._index.search(codes(vector), expansion, threads=1)
                others = flat[order[np.searchsorted(keys, np.asarray(near.keys), sorter=order)]]
                distances = np.asarray(numkong.cdist(vector[None], others, "sqeuclidean"))
                found += min(_NEIGHBOURS, int((distances <= edge).sum()))
            if found >= LEAST_RECALL * len(asked) * min(_NEIGHBOURS, len(self._index)):
                break
        self._add(row_ids[held], vectors[held], breathe)
        return expansion

    def save(self, path: Path) -> None:
        """Writes the graph to `path`. Raises OSError: the disk is full."""
        try:
            self._index.save(str(path), _let_others_run)
        except RuntimeError as exc:  # all that usearch tells of a disk
            raise OSError(f"{path} can't be written: {exc}; check the space left on the disk") from exc

    def _add(self, row_ids: Int64, vectors: Float16, breathe: Callable[[], None]) -> None:
        keys, flat = _keys(row_ids, vectors.shape[1]), codes(vectors.reshape(-1, vectors.shape[2]))
        for start in range(0, len(keys), _ADDED_AT_ONCE):
            breathe()
            self._index.add(keys[start : start + _ADDED_AT_ONCE], flat[start : start + _ADDED_AT_ONCE], threads=1)


def _edges(flat: Float16, is_held: Bool, asked: Float16, breathe: Callable[[], None]) -> Float32:
    """Squared distance from each asked vector to the tenth nearest of those that are not held back, float32 [n]."""
    nearest = np.full((len(asked), _NEIGHBOURS), np.inf, np.float32)
    at_once = max(1, _SCANNED_AT_ONCE_BYTES // (2 * flat.shape[1]))
    for start in range(0, len(flat), at_once):
        breathe()
        distances = np.array(numkong.cdist(asked, flat[start : start + at_once], "sqeuclidean"), np.float32)
        distances[:, is_held[start : start + at_once]] = np.inf
        both = np.concatenate([nearest, distances], axis=1)
        nearest = np.partition(both, _NEIGHBOURS - 1, axis=1)[:, :_NEIGHBOURS]
    edges: Float32 = nearest.max(axis=1)
    return edges


class Graph:
    """A graph in a mapped file that was checked before: usearch does not survive a damaged one. Thread-safe."""

    def __init__(self, mapped: Bytes, dimension: int, expansion: int) -> None:
        """`expansion`: see `GraphBuilder.finish`."""
        self.expansion = expansion
        self._index = _index(dimension)
        self._mapped = mapped  # the index looks into it as long as it lives
        self._index.view(mapped.data)
        self._index.expansion_search = expansion  # type: ignore[misc] # its types forget the setter
        self._lock = threading.Lock()  # its searches share their working memory

    def __len__(self) -> int:
        return len(self._index)

    def nearest(self, asked: Float32, count: int) -> tuple[Int64, Float32]:
        """About the nearest `count` vectors to `asked`, float32 [d]: row ids of their photos int64 [m], distances float32 [m],
        nearest first; m below `count` only where there are no more. Keeps `expansion` candidates, or `count` if more."""
        code = codes(asked)
        found = self._search(code, count)
        keys = np.asarray(found.keys).astype(np.int64)
        # Of vectors of length 1: the squared distance is twice 1 - the cosine.
        return keys // VECTORS_PER_KEY, np.sqrt(np.maximum(2 * np.asarray(found.distances, np.float32), 0))

    def unreachable(self, row_ids: Int64, vectors: Float16, *, breathe: Callable[[], None]) -> Int64:
        """Positions of the photos with a vector that does not find itself; arguments as in `GraphBuilder.add`."""
        per_photo = vectors.shape[1]
        keys, flat = _keys(row_ids, per_photo), vectors.reshape(-1, vectors.shape[2])
        lost = np.zeros(len(keys), bool)
        for start in range(0, len(keys), _ADDED_AT_ONCE):
            breathe()
            own = keys[start : start + _ADDED_AT_ONCE]
            found = self._search(codes(flat[start : start + len(own)]), _OWN_NEIGHBOURS)
            near = np.asarray(found.keys).reshape(len(own), -1)
            given = np.arange(near.shape[1]) < np.asarray(found.counts)[:, None] if hasattr(found, "counts") else True
            lost[start : start + len(own)] = ~((near == own[:, None]) & given).any(axis=1)
        positions: Int64 = np.flatnonzero(lost.reshape(-1, per_photo).any(axis=1))
        return positions

    def _search(self, asked: Int8, count: int) -> Any:
        with self._lock:
            return self._index.search(asked, count, threads=1)


def _let_others_run(_done: int, _total: int) -> bool:
    """usearch holds the interpreter's lock while it writes; here, between two vectors, it can change hands."""
    return True


def codes(vectors: npt.NDArray[np.floating[Any]]) -> Int8:
    """Vectors [..., d] in 255 steps between their own largest number and its opposite, int8 [..., d]."""
    wide = vectors.astype(np.float32)
    wide *= 127 / np.maximum(np.abs(wide).max(axis=-1, keepdims=True), 1e-6)
    return np.rint(wide, out=wide).astype(np.int8)


def _index(dimension: int) -> "Index":
    from usearch.index import Index  # here: a command that meets no graph does not wait for it

    return Index(
        ndim=dimension,
        metric="cos",
        dtype="i8",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        enable_key_lookups=False,
    )


def _keys(row_ids: Int64, per_photo: int) -> npt.NDArray[np.uint64]:
    return (row_ids[:, None] * VECTORS_PER_KEY + np.arange(per_photo)).ravel().astype(np.uint64)
