"""The embedded index against the engines' own calls; `python -m benchmarks.bench_index` or as a script prints the rows."""

import os
import statistics
import subprocess
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
from miradouro.core.query import AttributeIn, Clause, Condition, IndexQuery, KeywordClause, TextClause, VectorClause  # noqa: E402 - as above

from benchmarks.index_peers import RawSqlite, nearest  # noqa: E402 - as above
from benchmarks.index_photos import BATCH, COLLECTION, SPACES, batch  # noqa: E402 - as above

PHOTOS = int(os.environ.get("MIRADOURO_BENCH_PHOTOS", "10000"))
FEW_PHOTOS = PHOTOS // 10
WARM_UPS, RUNS = 3, 5
ADDED_MS = 5.0
LEAST_WRITES = 200.0  # a photo takes about 90 ms to embed: a twentieth of it
MOST_GROWTH = 1.1
MISSED = "measured on a machine that did other work"


def row(
    name: str, ours: float, peer: float | None, unit: str, *, goal: str, better: str, holds: bool, cause: str = MISSED
) -> dict[str, Any]:
    ratio = ours / peer if peer else None
    return {
        "name": name, "ours": ours, "peer": peer, "ratio": ratio, "goal": goal, "better": better, "holds": holds, "unit": unit,
        "cause": None if holds else cause,
    }  # fmt: skip


def in_turn(ours: Callable[[], object], peer: Callable[[], object]) -> tuple[float, float]:
    """Medians in milliseconds of A, B, A, B, …"""
    taken: tuple[list[float], list[float]] = ([], [])
    for run in range(WARM_UPS + RUNS):
        for times, call in zip(taken, (ours, peer), strict=True):
            started = time.perf_counter()
            call()
            if run >= WARM_UPS:
                times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(taken[0]), statistics.median(taken[1])


def write_both(index: SqliteIndex, raw: RawSqlite) -> tuple[float, float, np.ndarray]:
    """Photos per second of ours and of the peer, batches in turn, and the float16 matrix of the first space."""
    seconds, matrix = [0.0, 0.0], []
    for start in range(0, PHOTOS, BATCH):
        photos = batch(start, min(BATCH, PHOTOS - start))
        plain = [plainly(start + i, photo) for i, photo in enumerate(photos)]
        for i, call in enumerate((lambda photos=photos: index.write(photos), lambda plain=plain: raw.write(plain))):
            started = time.perf_counter()
            call()
            seconds[i] += time.perf_counter() - started
        matrix += [photo.vectors[SPACES[0].name][0].astype(np.float16) for photo in photos]
    return PHOTOS / seconds[0], PHOTOS / seconds[1], np.stack(matrix)


def plainly(number: int, photo: Document) -> tuple[int, str, str, str, list[tuple[str, float]], list[bytes]]:
    """A photo as the peer takes it."""
    blobs = [vectors.astype(np.float16).tobytes() for vectors in photo.vectors.values()]
    return number, photo.photo_id, photo.title, photo.caption, [(tag.label, tag.score) for tag in photo.tags], blobs


def questions(index: SqliteIndex, raw: RawSqlite, matrix: np.ndarray) -> Iterator[dict[str, Any]]:
    def ask(clause: Clause, *conditions: Condition) -> Callable[[], object]:
        return lambda: index.search(IndexQuery(COLLECTION, clause, conditions))

    asked = matrix[PHOTOS // 2].astype(np.float32)
    asked /= np.linalg.norm(asked)
    features, parts = SPACES[0], SPACES[-1]
    like = VectorClause(features.name, features.provenance, asked)
    part = VectorClause(parts.name, parts.provenance, index.vector(COLLECTION, batch(0, 1)[0].photo_id, parts.name)[3])
    pairs: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
        ("keyword query", ask(KeywordClause(("label 31",))), lambda: raw.by_keyword("label 31")),
        ("text query, rare word", ask(TextClause(("1234",), (), ())), lambda: raw.by_text("1234")),
        ("text query, two common words", ask(TextClause(("harbour", "boats"), (), ())), lambda: raw.by_text("harbour OR boats")),
        ("vector top 10, 1280-d", ask(like), lambda: nearest(matrix, matrix[PHOTOS // 2])),
        (
            "vector within a radius, 1280-d",
            ask(VectorClause(features.name, features.provenance, asked, 1.41)),
            lambda: nearest(matrix, matrix[PHOTOS // 2]),
        ),
        (
            "vector top 10, a twentieth of the photos",
            ask(like, AttributeIn("camera", ("camera 3",))),
            lambda: nearest(matrix, matrix[PHOTOS // 2]),
        ),
    ]
    for name, ours, peer in pairs:
        mine, theirs = in_turn(ours, peer)
        yield row(
            f"{name}, {PHOTOS:,} photos",
            mine,
            theirs,
            "ms",
            goal=f"peer + {ADDED_MS:g} ms",
            better="lower",
            holds=mine <= theirs + ADDED_MS,
        )
    regions, _ = in_turn(ask(part), lambda: None)
    limit = ADDED_MS + PHOTOS * 14 * 512 * 2 / 3e6  # memory read at 3 GB/s
    yield row(
        f"region top 10, 14 x 512-d, {PHOTOS:,} photos",
        regions,
        None,
        "ms",
        goal=f"{limit:.0f} ms",
        better="lower",
        holds=regions <= limit,
    )


def memory_kib(count: int) -> float:
    """Anonymous resident memory of a process that indexed `count` photos."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.index_memory", folder, str(count)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "services"), str(ROOT)])},
            capture_output=True,
            text=True,
            check=True,
        )
    return float(done.stdout)


def rows() -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder, SqliteIndex.open(Path(folder) / "data", writer=True) as index:
        index.ensure_collection(COLLECTION, spaces=SPACES)
        raw = RawSqlite(Path(folder))
        ours, peer, matrix = write_both(index, raw)
        yield row(
            f"writes in batches of {BATCH}",
            ours,
            peer,
            "photos/s",
            goal=f"{LEAST_WRITES:g} photos/s",
            better="higher",
            holds=ours >= LEAST_WRITES,
        )
        yield from questions(index, raw, matrix)
    few, many = memory_kib(FEW_PHOTOS), memory_kib(PHOTOS)
    yield row(
        f"anonymous memory of the index at {PHOTOS:,} photos, peer: at {FEW_PHOTOS:,}", many / 1024, few / 1024, "MiB",
        goal=f"ratio of at most {MOST_GROWTH}", better="lower", holds=many <= MOST_GROWTH * few,
        cause=f"a graph is built beside: {Tuning().segment_bytes * 1.4 / 2**20:.0f} MiB at most, whatever the collection's size",
    )  # fmt: skip


if __name__ == "__main__":
    for one in rows():
        peer = "" if one["peer"] is None else f", peer {one['peer']:.3g}"
        print(
            f"{'ok  ' if one['holds'] else 'MISS'} {one['name']}: {one['ours']:.3g}{peer} {one['unit']} (goal: {one['goal']})",
            flush=True,
        )
