"""`miradouro index` with preset lean and with preset standard, from the shell and back: start-up, and photos a second.

`python -m benchmarks.bench_presets` prints the rows.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench_embedding import Row, make_photos

COPIES, RUNS = 5, 3
START_GOAL_S = 1.0
RATIO_GOAL = 2.8
PHOTO_GOAL_MS = 18.0


def rows() -> Iterator[Row]:
    """The rows of `make bench`."""
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        photos, one, many = make_photos(_folder(work / "photos")), _folder(work / "one"), _folder(work / "many")
        shutil.copy(next(photos.iterdir()), one)
        for path in photos.iterdir():
            for number in range(COPIES):
                # Other bytes after the end of the picture: vectors of the same bytes would be reused.
                (many / f"{number}-{path.name}").write_bytes(path.read_bytes() + str(number).encode())
        count = len(list(many.iterdir()))
        start = _fastest_s(one, work / "data", "lean")
        lean, standard = (_fastest_s(many, work / "data", preset) for preset in ("lean", "standard"))
    each_ms = 1_000 * (lean - start) / (count - 1)
    yield _row("miradouro index --preset lean, 1 photo", start, f"<= {START_GOAL_S:g} s", start <= START_GOAL_S, "s")
    yield _row(
        f"miradouro index --preset lean, each of {count} photos beyond the first",
        each_ms,
        f"<= {PHOTO_GOAL_MS:g} ms",
        each_ms <= PHOTO_GOAL_MS,
        "ms",
    )
    yield {
        "name": f"miradouro index --preset lean, {count} photos with the start; peer: --preset standard",
        "ours": count / lean,
        "peer": count / standard,
        "ratio": standard / lean,
        "goal": f">= {RATIO_GOAL:g} x preset standard",
        "better": "higher",
        "holds": standard / lean >= RATIO_GOAL,
        "unit": "photos/s",
        "cause": None if standard / lean >= RATIO_GOAL else "start-up and decoding cost as much with both presets",
    }


def _row(name: str, ours: float, goal: str, holds: bool, unit: str) -> Row:
    return {
        "name": name,
        "ours": ours,
        "peer": None,
        "ratio": None,
        "goal": goal,
        "better": "lower",
        "holds": holds,
        "unit": unit,
        "cause": None if holds else "imports, the network's session and the children that decode start with every run",
    }


def _fastest_s(photos: Path, data: Path, preset: str) -> float:
    """Of several runs on an empty data folder: a busy machine makes the others longer."""
    took = []
    for _ in range(RUNS):
        shutil.rmtree(data, ignore_errors=True)
        command = [
            str(Path(sys.executable).with_name("miradouro")),
            "index",
            str(photos),
            "--data",
            str(data),
            "--preset",
            preset,
        ]
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        took.append(time.perf_counter() - started)
    return min(took)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


if __name__ == "__main__":
    print(json.dumps(list(rows()), indent=2))
