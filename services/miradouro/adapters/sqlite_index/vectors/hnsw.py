"""HNSW graphs (Malkov and Yashunin, 2018) by usearch: one per sealed segment, built once, then mapped.

The key of a vector is its photo's row id x 16 + the number of the vector in the photo. The graph holds int8 codes and compares
their angles. They are the stored ones, or made from float16, scaled per vector: half the memory and time, and distances off by
about a thousandth. The caller measures the candidates again.
"""

import contextlib
import ctypes
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from miradouro.adapters.sqlite_index.vectors.arrays import Bool, Int8, Int64, Stored
from miradouro.adapters.sqlite_index.vectors.mapped_file import Bytes
from miradouro.adapters.sqlite_index.vectors.squared_distance import squared_distances
from miradouro.core.document import Float32

# usearch contains a C++ runtime and exports its symbols to libraries that are loaded later. onnxruntime needs the system's
# runtime, and with usearch's it ends the process during its import. So load the system's first, where there is one.
if sys.platform == "linux":
    with contextlib.suppress(OSError):
        ctypes.CDLL("libstdc++.so.6", mode=ctypes.RTLD_GLOBAL)

if TYPE_CHECKING:
    from usearch.index import Index

VECTORS_PER_KEY = 16
CONNECTIVITY, EXPANSION_ADD = 16, 128
# The numbers of candidates that a search may keep. Each graph is measured, and gets the smallest that reaches LEAST_RECALL: that
# depends on the vectors, 24 for one graph, 256 for another.
EXPANSIONS = (24, 32, 48, 64, 96, 128, 192, 256)
LEAST_RECALL = 0.99
_MEASURED_PHOTOS, _NEIGHBOURS = 128, 10
_SCANNED_AT_ONCE_BYTES = 512 << 10  # per step of the measurement: about 10 ms
_ADDED_AT_ONCE = 64  # about 10 ms
# A vector is reachable when it is among so many nearest neighbours of itself. More than one: photos have copies.
_OWN_NEIGHBOURS = 10


class HnswBuilder:
    """Builds a graph on one thread: with several, usearch leaves vectors unreachable.

    Some photos are held back to the end, to measure the number of candidates that a search has to keep. Vectors inside the
    graph would not do as queries: they are linked to their neighbours.
    """

    def __init__(self, dimension: int, photos: int) -> None:
        self._index = _index(dimension)
        self._step = max(2, photos // _MEASURED_PHOTOS)
        self._photos = 0
        self._held: list[Int64] = []

    def add(self, row_ids: Int64, vectors: Stored, *, check_cancelled: Callable[[], None]) -> None:
        """Adds photos: row ids int64 [n], vectors [n, per photo, d]. Calls `check_cancelled` about every 10 ms."""
        positions = np.arange(self._photos, self._photos + len(row_ids))
        self._photos += len(row_ids)
        is_held = positions % self._step == 0
        self._held.append(positions[is_held])
        self._add(row_ids[~is_held], vectors[~is_held], check_cancelled)

    def finish(self, row_ids: Int64, vectors: Stored, *, check_cancelled: Callable[[], None]) -> int:
        """Adds the photos that were held back; `row_ids` and `vectors` are all photos that were added, in order.

        Returns the number of candidates that searches have to keep: the first of EXPANSIONS that finds LEAST_RECALL of the ten
        nearest, or the last. Takes as long as a hundred scans.
        """
        held = np.concatenate(self._held)
        keys, flat, per_photo = _keys(row_ids, vectors.shape[1]), vectors.reshape(-1, vectors.shape[2]), vectors.shape[1]
        is_held = np.zeros(len(row_ids), bool)
        is_held[held] = True
        queries = flat[held * per_photo + np.arange(len(held)) % per_photo]
        edges = _edges(flat, np.repeat(is_held, per_photo), queries, check_cancelled)
        order = np.argsort(keys)
        for expansion in EXPANSIONS:
            self._index.expansion_search = expansion  # type: ignore[misc] # its types forget the setter
            found = 0
            for query, edge in zip(queries, edges.tolist(), strict=True):
                check_cancelled()
                near: Any = self._index.search(codes(query), expansion, threads=1)
                others = flat[order[np.searchsorted(keys, np.asarray(near.keys), sorter=order)]]
                distances = squared_distances(query[None], others)
                found += min(_NEIGHBOURS, int((distances <= edge).sum()))
            if found >= LEAST_RECALL * len(queries) * min(_NEIGHBOURS, len(self._index)):
                break
        self._add(row_ids[held], vectors[held], check_cancelled)
        return expansion

    def save(self, path: Path) -> None:
        """Writes the graph to `path`. Raises OSError: the disk is full."""
        try:
            self._index.save(str(path), _let_others_run)
        except RuntimeError as exc:  # usearch reports a full disk so
            raise OSError(f"{path} can't be written: {exc}; check the space left on the disk") from exc

    def _add(self, row_ids: Int64, vectors: Stored, check_cancelled: Callable[[], None]) -> None:
        keys, flat = _keys(row_ids, vectors.shape[1]), codes(vectors.reshape(-1, vectors.shape[2]))
        for start in range(0, len(keys), _ADDED_AT_ONCE):
            check_cancelled()
            self._index.add(keys[start : start + _ADDED_AT_ONCE], flat[start : start + _ADDED_AT_ONCE], threads=1)


def _edges(flat: Stored, is_held: Bool, queries: Stored, check_cancelled: Callable[[], None]) -> Float32:
    """Squared distance from each query to the tenth nearest of the vectors that are not held back, float32 [n]."""
    nearest = np.full((len(queries), _NEIGHBOURS), np.inf, np.float32)
    at_once = max(1, _SCANNED_AT_ONCE_BYTES // (flat.itemsize * flat.shape[1]))
    for start in range(0, len(flat), at_once):
        check_cancelled()
        distances = squared_distances(queries, flat[start : start + at_once])
        distances[:, is_held[start : start + at_once]] = np.inf
        both = np.concatenate([nearest, distances], axis=1)
        nearest = np.partition(both, _NEIGHBOURS - 1, axis=1)[:, :_NEIGHBOURS]
    edges: Float32 = nearest.max(axis=1)
    return edges


class HnswGraph:
    """A graph in a mapped file. Verify the file first: usearch crashes on a damaged one. Thread-safe."""

    def __init__(self, mapped: Bytes, dimension: int, expansion: int) -> None:
        """`expansion`: see `HnswBuilder.finish`."""
        self.expansion = expansion
        self._index = _index(dimension)
        self._mapped = mapped  # the index reads it as long as it exists
        self._index.view(mapped.data)
        self._index.expansion_search = expansion  # type: ignore[misc] # its types forget the setter
        self._lock = threading.Lock()  # searches share working memory

    def __len__(self) -> int:
        return len(self._index)

    def nearest(self, query: Int8, count: int) -> tuple[Int64, Float32]:
        """About the nearest `count` vectors to `query`, codes [d]: row ids of their photos int64 [m], distances float32 [m],
        nearest first; m < `count` only in a smaller graph. Keeps `expansion` candidates, or `count` if that is more."""
        found = self._search(query, count)
        keys = np.asarray(found.keys).astype(np.int64)
        # Of vectors of length 1: the squared distance is twice 1 - the cosine.
        return keys // VECTORS_PER_KEY, np.sqrt(np.maximum(2 * np.asarray(found.distances, np.float32), 0))

    def unreachable(self, row_ids: Int64, vectors: Stored, *, check_cancelled: Callable[[], None]) -> Int64:
        """Positions of the photos with a vector that does not find itself, int64 [m]; arguments as in `HnswBuilder.add`."""
        per_photo = vectors.shape[1]
        keys, flat = _keys(row_ids, per_photo), vectors.reshape(-1, vectors.shape[2])
        lost = np.zeros(len(keys), bool)
        for start in range(0, len(keys), _ADDED_AT_ONCE):
            check_cancelled()
            own = keys[start : start + _ADDED_AT_ONCE]
            found = self._search(codes(flat[start : start + len(own)]), _OWN_NEIGHBOURS)
            near = np.asarray(found.keys).reshape(len(own), -1)
            given = np.arange(near.shape[1]) < np.asarray(found.counts)[:, None] if hasattr(found, "counts") else True
            lost[start : start + len(own)] = ~((near == own[:, None]) & given).any(axis=1)
        positions: Int64 = np.flatnonzero(lost.reshape(-1, per_photo).any(axis=1))
        return positions

    def _search(self, query: Int8, count: int) -> Any:
        with self._lock:
            return self._index.search(query, count, threads=1)


def _let_others_run(_done: int, _total: int) -> bool:
    """usearch holds the interpreter's lock while it writes. This callback, between two vectors, lets other threads take it."""
    return True


def codes(vectors: npt.NDArray[np.floating[Any]] | Int8) -> Int8:
    """int8 [..., d]: stored codes as they are, floats scaled so that the largest absolute value of each vector becomes 127."""
    if vectors.dtype == np.int8:
        return vectors.astype(np.int8, copy=False)
    wide = vectors.astype(np.float32)
    wide *= 127 / np.maximum(np.abs(wide).max(axis=-1, keepdims=True), 1e-6)
    return np.rint(wide, out=wide).astype(np.int8)


def _index(dimension: int) -> "Index":
    from usearch.index import Index  # here: commands without a graph start faster

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
