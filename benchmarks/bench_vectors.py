"""Searching the regions of photos at the PhotoIndex port: 14 vectors of 512 numbers a photo, in clusters.

`python -m benchmarks.bench_vectors` or as a script prints the row; MIRADOURO_BENCH_REGION_PHOTOS changes the size.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [path for path in (str(ROOT), str(ROOT / "services")) if path not in sys.path]

import numpy as np  # noqa: E402 - the paths above make this runnable as a script
from miradouro.adapters.sqlite_index import SqliteIndex, Tuning  # noqa: E402 - as above
from miradouro.core.document import Document  # noqa: E402 - as above
from miradouro.core.query import IndexQuery, VectorClause  # noqa: E402 - as above
from miradouro.core.spaces import Preset, Region, Space  # noqa: E402 - as above

from benchmarks.bench_index import row  # noqa: E402 - as above
from benchmarks.clustered_vectors import DIMENSION, clustered  # noqa: E402 - as above

PHOTOS = int(os.environ.get("MIRADOURO_BENCH_REGION_PHOTOS", "30000"))
BATCH, NEAREST, QUESTIONS, ROUNDS, MOST_MS = 500, 10, 10, 7, 100.0
COLLECTION = "photos"
BOXES = tuple(Region(0.0, 0.0, 1.0, (i + 1) / 14) for i in range(14))
PARTS = Space("bench", "pool5", "regions", DIMENSION, "1" * 64, Preset.STANDARD, False, BOXES)


def fill(index: SqliteIndex) -> None:
    index.ensure_collection(COLLECTION, spaces=[PARTS])
    for start in range(0, PHOTOS, BATCH):
        size = min(BATCH, PHOTOS - start)
        rows = clustered(size * len(BOXES), start + 1).reshape(size, len(BOXES), DIMENSION)
        index.write([document(start + i, vectors) for i, vectors in enumerate(rows)])
    started = time.perf_counter()
    index.settle()
    print(f"{PHOTOS:,} photos of {PARTS.name}: sealed in {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)


def document(number: int, vectors: "np.ndarray") -> Document:
    return Document(
        COLLECTION, f"{number:07}", 1, vectors={PARTS.name: vectors}, provenances={PARTS.name: PARTS.provenance}
    )  # fmt: skip


def in_turns(calls: dict[str, Callable[["np.ndarray"], object]], asked: "np.ndarray") -> dict[str, float]:
    """Median milliseconds of a question, each after the other, round by round.

    Before it is measured, each asks all of them once: none pays for the caches that the one before it has filled.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            for vector in asked:
                call(vector)
            started = time.perf_counter()
            for vector in asked:
                call(vector)
            taken[name].append((time.perf_counter() - started) * 1e3 / len(asked))
    return {name: statistics.median(times) for name, times in taken.items()}


def rows() -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as parent:
        with SqliteIndex.open(Path(parent) / "data", writer=True, tuning=Tuning(growing_vectors=len(BOXES) * PHOTOS)) as index:
            fill(index)

            def ask(vector: "np.ndarray", *, exact: bool = False) -> object:
                clause = VectorClause(PARTS.name, PARTS.provenance, vector, exact=exact)
                return index.search(IndexQuery(COLLECTION, clause, limit=NEAREST, with_documents=False))

            taken = in_turns({"graph": ask, "scan": lambda vector: ask(vector, exact=True)}, clustered(QUESTIONS, 3))
        yield row(
            f"region top {NEAREST}, {PHOTOS:,} photos x {len(BOXES)} x {DIMENSION}-d; peer: the exact scan",
            taken["graph"], taken["scan"], "ms", goal=f"{MOST_MS:g} ms", better="lower", holds=taken["graph"] <= MOST_MS,
        )  # fmt: skip


if __name__ == "__main__":
    for one in rows():
        print(f"{'ok  ' if one['holds'] else 'MISS'} {one['name']}: {one['ours']:.3g}, peer {one['peer']:.3g} ms", flush=True)
