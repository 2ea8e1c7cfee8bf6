"""Bytes of a photo in files that both engines wrote, by preset, and what int8 codes cost a question: `look` beside `features`.

Texts, tags and times are those of `index_photos`. Vectors are in clusters, as those of photos are. The embedded index is closed
before its files are counted: database, segments and graphs. OpenSearch is a node of its own, merged to one segment.
MIRADOURO_BENCH_STORAGE_PHOTOS changes the number of photos of the question.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.bundles.catalogue import find
from miradouro.core.codes import stored_form
from miradouro.core.document import Document
from miradouro.core.query import IndexQuery, VectorClause
from miradouro.core.spaces import Preset, Space, choose_spaces

from benchmarks.bench_index import row
from benchmarks.bench_vectors import in_turns
from benchmarks.capacity_sizes import measure, own_node
from benchmarks.index_photos import COLLECTION, batch

PHOTOS, ASKED_PHOTOS = 20_000, int(os.environ.get("MIRADOURO_BENCH_STORAGE_PHOTOS", "100000"))
IN_CLUSTER = 10_000
MOST_KB = {Preset.LEAN: (4.5, 2.0)}  # embedded, OpenSearch
WRITE, QUESTIONS, NEAREST = 500, 20, 10
COMPARED = ("efficientnet-lite0/look", "efficientnet-lite0/features")
CLUSTERS, SPREAD = 500, 0.7
BUNDLES = ("efficientnet-lite0", "vgg16-conv")  # those that a collection holds by default
CAUSE = "the files hold more than was planned"


def spaces_of(preset: Preset) -> tuple[Space, ...]:
    """The spaces of a collection with this preset."""
    offered = [space for name in BUNDLES for space in find(name).described_spaces("int8")]
    return tuple(choose_spaces([preset.value], offered, field="spaces"))


def photos(start: int, count: int, spaces: Sequence[Space]) -> list[Document]:
    """Photos number `start` and on, with vectors around CLUSTERS centres of each space."""
    drawn = {space.name: _vectors(start, count, space) for space in spaces}
    documents = batch(start, count, ())
    return [
        replace(
            document,
            vectors={name: vectors[i] for name, vectors in drawn.items()},
            provenances={space.name: space.provenance for space in spaces},
        )
        for i, document in enumerate(documents)
    ]


def _vectors(start: int, count: int, space: Space) -> "np.ndarray":
    """[count, per photo, d] in the form that the space stores."""
    shape = (count * space.vectors_per_photo, space.dimension)
    centres = np.random.default_rng(0).standard_normal((CLUSTERS, space.dimension), dtype=np.float32)
    draw = np.random.default_rng(start + 1)
    rows = centres[draw.integers(0, CLUSTERS, shape[0])] + SPREAD * draw.standard_normal(shape, dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return stored_form(rows, space).reshape(count, space.vectors_per_photo, space.dimension)


def filled(index: SqliteIndex, count: int, spaces: Sequence[Space]) -> None:
    """Writes `count` photos, and waits for the segments and graphs."""
    index.ensure_collection(COLLECTION, spaces=spaces)
    started = time.perf_counter()
    for start in range(0, count, WRITE):
        index.write(photos(start, min(WRITE, count - start), spaces))
    index.settle()
    took = time.perf_counter() - started
    print(f"{count:,} photos in {len(spaces)} spaces: written in {took:.0f} s", file=sys.stderr, flush=True)


def embedded(preset: Preset) -> Iterator[dict[str, Any]]:
    """Kilobytes of a photo in the data folder."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "data"
        with SqliteIndex.open(folder, writer=True) as index:
            filled(index, PHOTOS, spaces_of(preset))
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    yield _size(
        f"index bytes of a photo, preset {preset}, embedded, {PHOTOS:,} photos", size / PHOTOS, MOST_KB.get(preset, ())[:1]
    )


def in_opensearch(preset: Preset) -> Iterator[dict[str, Any]]:
    """Kilobytes of a photo in the files of one merged segment."""
    with own_node() as (node, folder):
        found = measure(node, folder, spaces_of(preset), IN_CLUSTER)
    size = found.total_bytes / IN_CLUSTER
    yield _size(f"index bytes of a photo, preset {preset}, OpenSearch, {IN_CLUSTER:,} photos", size, MOST_KB.get(preset, ())[1:])


def _size(name: str, size: float, most: Sequence[float]) -> dict[str, Any]:
    goal = f"{most[0]:g} kB" if most else "none, to compare"
    return row(name, size / 1e3, None, "kB", goal=goal, better="lower", holds=not most or size / 1e3 <= most[0], cause=CAUSE)


def question() -> Iterator[dict[str, Any]]:
    """The nearest by `look` beside the nearest by `features`, over the same photos."""
    spaces = [space for space in spaces_of(Preset.STANDARD) if space.name in COMPARED]
    with tempfile.TemporaryDirectory() as parent, SqliteIndex.open(Path(parent) / "data", writer=True) as index:
        filled(index, ASKED_PHOTOS, spaces)
        asked = {space.name: _vectors(10_000_000, QUESTIONS, space)[:, 0] for space in spaces}

        def ask(space: Space, number: int) -> object:
            clause = VectorClause(space.name, space.provenance, asked[space.name][number])
            return index.search(IndexQuery(COLLECTION, clause, limit=NEAREST, with_documents=False))

        calls = {space.name: lambda number, space=space: ask(space, int(number)) for space in spaces}
        taken = in_turns(calls, np.arange(QUESTIONS))
    ours, peer = (taken[name] for name in COMPARED)
    name = f"top {NEAREST} of {ASKED_PHOTOS:,} photos by look, 512 codes; peer: by features, 1,280 floats"
    yield row(
        name, ours, peer, "ms", goal="at most as long", better="lower", holds=ours <= peer, cause="codes are slower to compare"
    )


def rows() -> Iterator[dict[str, Any]]:
    """Sizes, then the question."""
    for preset in (Preset.LEAN, Preset.STANDARD):
        yield from embedded(preset)
    yield from in_opensearch(Preset.LEAN)
    yield from question()


if __name__ == "__main__":
    for one in rows():
        print(f"{'ok  ' if one['holds'] else 'MISS'} {one['name']}: {one['ours']:.4g}, {one['peer']} {one['unit']}", flush=True)
