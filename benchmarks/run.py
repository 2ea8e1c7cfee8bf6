"""`make bench`: runs every benchmarks/bench_*.py, prints a table and writes the rows as JSON.

A bench module offers `rows()`: an iterable of mappings `{name, ours, peer, ratio, goal, better, holds, unit, cause}`. `ours` and
`peer` are in `unit`, `peer`, `ratio` (ours/peer) and `cause` may be None, `goal` says in words or as a number what is wanted,
`better` is "higher" or "lower". A missed goal is `holds: false` with its cause, not a failure of the run.
"""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
FIELDS = ("name", "ours", "peer", "ratio", "goal", "better", "holds", "unit", "cause")


def collect(only: str) -> Iterator[dict[str, Any]]:
    """The rows of every bench module whose name holds `only`."""
    for path in sorted(FOLDER.glob("bench_*.py")):
        if only in path.stem:
            print(f"measuring: {path.stem}", file=sys.stderr, flush=True)
            for row in importlib.import_module(f"benchmarks.{path.stem}").rows():
                yield checked(row, path.stem)


def checked(row: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The row, its fields in order. Raises ValueError when it is not as the readers of bench.json expect."""
    if set(row) != set(FIELDS):
        raise ValueError(f"{source}: a row has the fields {sorted(row)}; wanted: {sorted(FIELDS)}")
    if row["better"] not in ("higher", "lower"):
        raise ValueError(f"{source}: {row['name']}: better is {row['better']!r}; wanted: higher or lower")
    if not row["holds"] and not row["cause"]:
        raise ValueError(f"{source}: {row['name']}: a missed goal needs its cause")
    if row["peer"] and abs(row["ratio"] - row["ours"] / row["peer"]) > 0.01 * abs(row["ratio"]):
        raise ValueError(f"{source}: {row['name']}: ratio is {row['ratio']}; wanted: ours/peer = {row['ours'] / row['peer']}")
    return {field: row[field] for field in FIELDS}


def number(value: Any) -> str:
    """A value of a row as text, short."""
    return "" if value is None else f"{value:.4g}" if isinstance(value, int | float) else str(value)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for a person."""
    head = ("", "name", "ours", "peer", "ratio", "goal", "unit")
    lines = [head, *(("ok" if row["holds"] else "MISS", *(number(row[field]) for field in head[1:])) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join(text + [f"{row['name']}: {row['cause']}" for row in rows if row["cause"]])


def markdown(rows: list[dict[str, Any]], taken_on: str) -> str:
    """The rows as a table of docs/performance.md, below the day and the machine."""
    lines = [
        f"Taken on {datetime.now(UTC):%Y-%m-%d}: {taken_on}",
        "",
        "| " + " | ".join(FIELDS) + " |",
        "|---" * len(FIELDS) + "|",
    ]
    lines += ["| " + " | ".join(number(row[field]).replace("|", "\\|") for field in FIELDS) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def surroundings() -> str:
    """What the figures were taken on: one line."""
    revision = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=FOLDER, capture_output=True, text=True, check=False)
    model = next((line.split(":")[1].strip() for line in cpu_lines() if line.startswith("model name")), platform.machine())
    packages = " ".join(f"{name} {version(name)}" for name in ("onnxruntime", "numpy", "grpcio", "pillow"))
    return f"{revision.stdout.strip()}, {os.cpu_count()} cores {model}, Python {platform.python_version()}, {packages}"


def cpu_lines() -> list[str]:
    """The lines in which Linux describes the processors; none elsewhere."""
    info = Path("/proc/cpuinfo")
    return info.read_text().splitlines() if info.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure and compare with goals.")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--only", default="", help="run only the bench modules whose name holds this")
    options = parser.parse_args()
    taken_on = surroundings()
    print(taken_on)
    rows = list(collect(options.only))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=2) + "\n")
    options.out.with_suffix(".md").write_text(markdown(rows, taken_on))
    print(table(rows))
    print(f"{sum(row['holds'] for row in rows)} of {len(rows)} goals hold; written to {options.out}")


if __name__ == "__main__":
    main()
