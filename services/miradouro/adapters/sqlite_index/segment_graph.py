"""The graph of a sealed segment: usearch's HNSW over its vectors (Malkov and Yashunin, 2018), built once, then mapped.

The key of a vector is its photo's row id x 16 + the number of the vector in the photo. The graph holds int8 codes, each vector
by a scale of its own, and compares their angles: half the memory and time of float16, and distances off by about a
thousandth. Who asks measures the candidates anew.
"""

import contextlib
import ctypes
import mmap
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from miradouro.core.document import Float32

# usearch holds a C++ runtime of its own and offers its symbols to every library that is loaded later: onnxruntime, which needs
# the system's, then ends the process while it is imported. So the system's comes first; without it neither is the other.
if sys.platform == "linux":
    with contextlib.suppress(OSError):
        ctypes.CDLL("libstdc++.so.6", mode=ctypes.RTLD_GLOBAL)

if TYPE_CHECKING:
    from usearch.index import Index

VECTORS_PER_KEY = 16
CONNECTIVITY, EXPANSION_ADD, EXPANSION_SEARCH = 16, 128, 64
_ADDED_AT_ONCE = 64  # some ten milliseconds of work
# A vector has to be among the nearest so many of itself; more than one, for photos have copies.
_OWN_NEIGHBOURS = 10

Int8 = npt.NDArray[np.int8]
Int64 = npt.NDArray[np.int64]
Float16 = npt.NDArray[np.float16]


class GraphBuilder:
    """Adds vectors on one thread: usearch leaves vectors unreachable when several add."""

    def __init__(self, dimension: int) -> None:
        self._index = _index(dimension)

    def add(self, row_ids: Int64, vectors: Float16, *, breathe: Callable[[], None]) -> None:
        """Adds photos, row ids int64 [n], vectors [n, per photo, d]; calls `breathe` between bounded pieces of work."""
        keys, flat = _keys(row_ids, vectors.shape[1]), codes(vectors.reshape(-1, vectors.shape[2]))
        for start in range(0, len(keys), _ADDED_AT_ONCE):
            breathe()
            self._index.add(keys[start : start + _ADDED_AT_ONCE], flat[start : start + _ADDED_AT_ONCE], threads=1)

    def save(self, path: Path) -> None:
        """Writes the graph to `path`."""
        self._index.save(str(path))


class Graph:
    """A graph in a mapped file that was checked before: usearch does not survive a damaged one. Thread-safe."""

    def __init__(self, mapped: mmap.mmap, dimension: int) -> None:
        self._index = _index(dimension)
        self._mapped = mapped  # the index looks into it as long as it lives
        self._index.view(memoryview(mapped))
        self._lock = threading.Lock()  # its searches share their working memory

    def __len__(self) -> int:
        return len(self._index)

    def nearest(self, asked: Float32, count: int) -> tuple[Int64, Float32]:
        """About the nearest `count` vectors to `asked`, float32 [d]: row ids of their photos int64 [m], distances float32 [m],
        nearest first; m below `count` only where there are no more."""
        code = codes(asked)
        with self._lock:
            found: Any = self._index.search(code, count, threads=1)
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
            with self._lock:
                found: Any = self._index.search(codes(flat[start : start + len(own)]), _OWN_NEIGHBOURS, threads=1)
            near = np.asarray(found.keys).reshape(len(own), -1)
            given = np.arange(near.shape[1]) < np.asarray(found.counts)[:, None] if hasattr(found, "counts") else True
            lost[start : start + len(own)] = ~((near == own[:, None]) & given).any(axis=1)
        positions: Int64 = np.flatnonzero(lost.reshape(-1, per_photo).any(axis=1))
        return positions


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
        expansion_search=EXPANSION_SEARCH,
        enable_key_lookups=False,
    )


def _keys(row_ids: Int64, per_photo: int) -> npt.NDArray[np.uint64]:
    return (row_ids[:, None] * VECTORS_PER_KEY + np.arange(per_photo)).ravel().astype(np.uint64)
