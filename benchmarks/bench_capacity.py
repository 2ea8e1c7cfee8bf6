"""`miradouro plan` against what OpenSearch really takes: bytes on disk after a merge to one segment, predicted and measured.

The formulas' constants were taken from 10,000 photos with one space of 64 numbers, and from 500 with regions; every row here has
another size and other spaces. Vectors are random ones of length 1: their graphs are as full as graphs get. Processor times are
those of the node, without other users. MIRADOURO_BENCH_CAPACITY=quick leaves out 100,000 photos, which have two spaces so that
a small machine can hold them.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from miradouro.core.capacity import Demand, assumptions, storage
from miradouro.core.capacity.cluster import cluster
from miradouro.core.spaces import Space

from benchmarks.bench_index import row
from benchmarks.capacity_sizes import Measured, default_spaces, measure, own_node

ALLOWED = 0.2
IS_QUICK = os.environ.get("MIRADOURO_BENCH_CAPACITY", "") == "quick"
TWO = ("vgg16-conv/pool2/avg", "vgg16-conv/pool4/avg")
GOAL = "predicted (ours) within 20 % of measured (peer)"
CAUSE = "the formula of this part does not fit these spaces or this size"
ROUGHLY, ROUGH_GOAL = 2.0, "predicted (ours) within a factor of 2 of measured (peer)"
ROUGH_CAUSE = "processor times depend on the machine, and on how warm the node is"


def predicted(spaces: Sequence[Space], photos: int) -> dict[str, float]:
    """Bytes by part, for one segment that holds all the photos."""
    return {
        "vectors": photos * sum(space.vectors_per_photo * storage.vector_bytes(space) for space in spaces),
        "graphs": photos
        * sum(space.vectors_per_photo * storage.graph_bytes(photos * space.vectors_per_photo) for space in spaces),
        "text, tags, ids": photos * storage.rest_bytes(spaces),
    }


def compared(name: str, spaces: Sequence[Space], found: Measured) -> Iterator[dict[str, Any]]:
    """A row for each part and for all of them."""
    ours = predicted(spaces, found.photos)
    ours |= {"all of it (disk)": sum(ours.values()), "vectors and graphs (memory)": ours["vectors"] + ours["graphs"]}
    real = {
        "vectors": found.vectors_bytes,
        "graphs": found.graph_bytes,
        "text, tags, ids": found.rest_bytes,
        "all of it (disk)": found.total_bytes,
        "vectors and graphs (memory)": found.resident_bytes,
    }
    for part, bytes_ in ours.items():
        peer = real[part]
        holds = abs(bytes_ - peer) <= ALLOWED * peer
        text = f"capacity, {found.photos:,} photos of {name}: {part}, predicted; peer: measured"
        yield row(text, bytes_ / 1e6, peer / 1e6, "MB", goal=GOAL, better="lower", holds=holds, cause=CAUSE)


def roughly(name: str, spaces: Sequence[Space], found: Measured) -> Iterator[dict[str, Any]]:
    """Processor time of the data node: of a photo, with merges, and of a question in one segment."""
    demand = Demand(found.photos, 1, tuple(spaces))
    index_s = cluster(demand, storage.photo_bytes(demand)).index_s
    for what, ours, peer in (
        ("to index a photo", index_s, found.cpu_s / found.photos),
        ("of a question in one segment", assumptions.SEARCH_S + assumptions.SEARCH_SEGMENT_S, found.question_s),
    ):
        holds = peer / ROUGHLY <= ours <= peer * ROUGHLY
        text = f"capacity, {found.photos:,} photos of {name}: processor time {what}, predicted; peer: measured"
        yield row(text, ours * 1e3, peer * 1e3, "ms", goal=ROUGH_GOAL, better="lower", holds=holds, cause=ROUGH_CAUSE)


def rows() -> Iterator[dict[str, Any]]:
    """Disk, memory and processor time, predicted and measured."""
    whole = tuple(space for space in default_spaces() if not space.regions)
    jobs = [("all default spaces but regions", whole, 10_000), ("all default spaces", default_spaces(), 2_000)]
    if not IS_QUICK:
        jobs.append((" and ".join(TWO), default_spaces(*TWO), 100_000))
    with own_node() as (node, folder):
        for name, spaces, photos in jobs:
            found = measure(node, folder, spaces, photos)
            print(f"{photos:,} photos of {name}: written and merged in {found.took_s:.0f} s", file=sys.stderr, flush=True)
            yield from compared(name, spaces, found)
            yield from roughly(name, spaces, found)


if __name__ == "__main__":
    for one in rows():
        print(
            f"{'ok  ' if one['holds'] else 'MISS'} {one['name']}: {one['ours']:.4g}, {one['peer']:.4g} {one['unit']}", flush=True
        )
