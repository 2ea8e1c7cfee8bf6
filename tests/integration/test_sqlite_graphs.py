"""Graphs of the embedded index: how many candidates a search keeps is measured, so that hard vectors are found as well."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from miradouro.adapters.onnx_embedder import OnnxEmbedder
from miradouro.adapters.sqlite_index import SqliteIndex, Tuning
from miradouro.bundles.words import load_words
from miradouro.core.document import Float32
from miradouro.core.query import IndexQuery, VectorClause
from miradouro.core.spaces import Preset, Space
from miradouro.embedding.composition import run_embedding
from miradouro.query.service import SearchService
from miradouro.runtime.call import Call
from miradouro.v1.search_service_pb2 import LikeQuery, SearchRequest
from prometheus_client import CollectorRegistry

from tests.photo_documents import COLLECTION, photo
from tests.reading import READER, READING
from tests.tiny_bundle import tiny_bundles

SPACE = Space("hard", "features", "", 48, "4" * 64, preset=Preset.STANDARD, is_default_pooling=True)
PHOTOS, QUESTIONS, NEAREST, DEEP = 6_000, 40, 10, 200
LEAST_RECALL = 0.97


def vectors(kind: str, count: int, seed: int) -> Float32:
    """float32 [count, d], length 1. `clusters`: around a few centres; `noise`: in every direction alike, the hardest there is;
    `copies`: each twenty times, of which a graph loses so many that it is left out."""
    draw = np.random.default_rng(seed)
    found = draw.standard_normal((count, SPACE.dimension), dtype=np.float32)
    if kind == "clusters":
        centres = np.random.default_rng(0).standard_normal((60, SPACE.dimension), dtype=np.float32)
        found = centres[draw.integers(0, len(centres), count)] + 0.5 * found
    if kind == "copies":
        found = np.repeat(found[: -(-count // 20)], 20, axis=0)[:count]
    return found / np.linalg.norm(found, axis=1, keepdims=True)


class Graphs(NamedTuple):
    """An index all of whose photos are in a graph, but for `copies`."""

    kind: str
    index: SqliteIndex


@pytest.fixture(scope="module", params=["clusters", "noise", "copies"])
def graphs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graphs]:
    kind = request.param
    folder = tmp_path_factory.mktemp("graphs") / "data"
    with SqliteIndex.open(folder, writer=True, tuning=Tuning.with_exact(0)) as index:
        index.ensure_collection(COLLECTION, spaces=[SPACE])
        rows = vectors(kind, PHOTOS, 1)
        for start in range(0, PHOTOS, 500):
            index.write(
                [
                    photo(f"{start + i}.jpg", spaces=(SPACE,), vectors={SPACE.name: row[None]})
                    for i, row in enumerate(rows[start : start + 500])
                ]
            )
        assert index.settle(300)
        yield Graphs(kind, index)


def test_hnsw_misses_few_neighbours_of_hard_vectors(graphs: Graphs) -> None:
    def distances(vector: Float32, *, exact: bool) -> list[float]:
        clause = VectorClause(SPACE.name, SPACE.provenance, vector, exact=exact)
        answer = graphs.index.search(IndexQuery(COLLECTION, clause, limit=NEAREST, with_documents=False))
        assert answer.exact == (exact or graphs.kind == "copies")
        return [match.distance for match in answer.matches if match.distance is not None]

    found = 0
    for asked in vectors(graphs.kind, QUESTIONS, 2):
        edge = distances(asked, exact=True)[-1]
        found += sum(distance <= edge for distance in distances(asked, exact=False))
    assert found >= LEAST_RECALL * NEAREST * QUESTIONS


def test_hnsw_pages_share_no_photo(graphs: Graphs, tmp_path: Path) -> None:
    """The first page by few candidates, the next ones by more, the last ones by a scan."""
    with run_embedding(OnnxEmbedder(tiny_bundles(tmp_path), threads=1), reading=READING, registry=CollectorRegistry()) as parts:
        service = SearchService(
            index=graphs.index,
            embedder=parts.embedder,
            reader=READER,
            lexicon=load_words,
            default_space=SPACE.name,
            page_key=b"k" * 32,
        )
        follow_pages(service)


def follow_pages(service: SearchService) -> None:
    for number in range(0, PHOTOS, PHOTOS // QUESTIONS):
        hits: list[tuple[float, str]] = []
        token, pages = "", 0
        while len(hits) < DEEP:
            pages += 1
            limit = (NEAREST, 15, 50)[min(pages, 3) - 1]
            request = SearchRequest(like=LikeQuery(photo_id=f"{number}.jpg"), limit=limit, page_token=token)
            answer = service.Search(request, Call())
            assert len(answer.hits) == limit
            hits += [(hit.distance, hit.photo_id) for hit in answer.hits]
            token = answer.next_page_token
        assert len({photo_id for _, photo_id in hits}) == len(hits)
        assert hits == sorted(hits)
