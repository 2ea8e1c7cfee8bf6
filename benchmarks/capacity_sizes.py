"""What a collection really takes in OpenSearch: bytes by kind after a merge to one segment, and processor time."""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from miradouro.adapters.opensearch import OpenSearchIndex, OpenSearchSettings, Tuning
from miradouro.adapters.opensearch.client import connect
from miradouro.adapters.opensearch.mapping import alias_of
from miradouro.bundles.catalogue import manifests
from miradouro.core.query import IndexQuery, VectorClause
from miradouro.core.spaces import Space, choose_spaces
from miradouro.development.engines import OpenSearch, start_opensearch
from opensearchpy import OpenSearch as Client

from benchmarks.index_photos import COLLECTION, batch

WRITE = 100
MERGE_TIMEOUT_S = 3_600.0
QUESTIONS = 200
NEW = 10_000_000  # the number of a photo that is in no collection
VECTORS, GRAPH = {".vec", ".vemf"}, {".vex", ".vem"}


@dataclass(frozen=True)
class Measured:
    """Bytes on disk of one copy in one segment, and what it cost.

    `resident_bytes` are those of vectors and graphs that lie in memory once questions went through all of them. `cpu_s` is the
    node's processor time for writing and merging, `question_s` for one question by graph in the one segment.
    """

    photos: int
    vectors_bytes: int
    graph_bytes: int
    rest_bytes: int
    resident_bytes: int
    cpu_s: float
    took_s: float
    question_s: float

    @property
    def total_bytes(self) -> int:
        return self.vectors_bytes + self.graph_bytes + self.rest_bytes


@contextmanager
def own_node() -> Iterator[tuple[OpenSearch, Path]]:
    """A node without other users, so that its processor time is that of the measurement, and its data folder."""
    with tempfile.TemporaryDirectory() as folder:
        node = start_opensearch(Path(folder))
        try:
            yield node, Path(folder)
        finally:
            node.stop()


def default_spaces(*names: str) -> tuple[Space, ...]:
    """The default spaces of every bundle, or those named."""
    offered = [space for manifest in manifests() for space in manifest.described_spaces(manifest.precisions[0])]
    found = choose_spaces([], offered, field="spaces")
    return tuple(space for space in found if not names or space.name in names)


def measure(node: OpenSearch, folder: Path, spaces: Sequence[Space], photos: int) -> Measured:
    """Writes photos as ingest does, merges them to one segment, reads the sizes of its files, and deletes the index."""
    settings = OpenSearchSettings(
        opensearch_url=node.url,
        opensearch_prefix="capacity",
        exact_vectors=0,
    )
    client = connect(settings, timeout_s=600)
    name = f"{alias_of(settings.opensearch_prefix, COLLECTION)}.*"
    before, started = _cpu_s(client), time.perf_counter()
    with OpenSearchIndex.open(settings, tuning=Tuning(refresh_interval="30s", timeout_s=600)) as index:
        index.ensure_collection(COLLECTION, spaces=spaces)
        try:
            for start in range(0, photos, WRITE):
                index.write(batch(start, min(WRITE, photos - start), spaces))
                if start < photos / 2 <= start + WRITE:
                    client.indices.refresh(index=name)  # a segment that was never merged would be one compound file
            wait = {"max_num_segments": 1, "flush": "true", "request_timeout": MERGE_TIMEOUT_S}
            client.indices.forcemerge(index=name, params=wait)
            client.indices.refresh(index=name)
            files = _files(folder)
            cpu_s, took_s = _cpu_s(client) - before, time.perf_counter() - started
            question_s = _question_s(client, index, spaces)
            resident = _resident_bytes(node.pid)
        finally:
            client.indices.delete(index=name)
            client.close()
    vectors = sum(size for kind, size in files.items() if kind in VECTORS)
    graph = sum(size for kind, size in files.items() if kind in GRAPH)
    return Measured(photos, vectors, graph, sum(files.values()) - vectors - graph, resident, cpu_s, took_s, question_s)


def _question_s(client: Client, index: OpenSearchIndex, spaces: Sequence[Space]) -> float:
    """Questions by graph in the first space are counted, after as many in every space to warm up, one of each space exact."""
    for space in reversed(spaces):
        asked = [VectorClause(space.name, space.provenance, one.vectors[space.name][0]) for one in batch(NEW, QUESTIONS, [space])]
        index.search(IndexQuery(COLLECTION, replace(asked[0], exact=True), limit=10))
        for clause in asked:
            index.search(IndexQuery(COLLECTION, clause, limit=10))
    before = _cpu_s(client)
    for clause in asked:
        index.search(IndexQuery(COLLECTION, clause, limit=10))
    return (_cpu_s(client) - before) / QUESTIONS


def _resident_bytes(pid: int) -> int:
    """Of the files of vectors and graphs that the process has mapped."""
    found, is_ours = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        name, _, value = line.partition(":")
        if line.endswith((".vec", ".vex")):
            is_ours = True
        elif name == "Rss" and is_ours:
            found, is_ours = found + int(value.split()[0]) * 1024, False
    return found


def _files(folder: Path) -> Counter[str]:
    """Bytes of the segment's files by suffix."""
    found: Counter[str] = Counter()
    for path in folder.rglob("indices/*/0/index/*"):
        if path.suffix and path.name != "write.lock":
            found[path.suffix] += path.stat().st_size
    return found


def _cpu_s(client: Client) -> float:
    [node] = client.nodes.stats(metric="process")["nodes"].values()
    return node["process"]["cpu"]["total_in_millis"] / 1e3
