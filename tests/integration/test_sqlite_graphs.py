"""Graphs of the embedded index: how many candidates a search keeps is measured, so that hard vectors are found as well."""

from pathlib import Path

import numpy as np
import pytest
from miradouro.adapters.sqlite_index import SqliteIndex, Tuning
from miradouro.core.document import Float32
from miradouro.core.query import IndexQuery, VectorClause
from miradouro.core.spaces import Space

from tests.photo_documents import COLLECTION, photo

SPACE = Space("hard", "features", "", 48, "4" * 64, is_default=True, is_default_pooling=True)
PHOTOS, QUESTIONS, NEAREST = 6_000, 40, 10
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


@pytest.mark.parametrize("kind", ["clusters", "noise", "copies"])
def test_of_the_nearest_ten_hardly_any_is_missed_however_hard_the_vectors_are(tmp_path: Path, kind: str) -> None:
    with SqliteIndex.open(tmp_path / "data", writer=True, tuning=Tuning.with_exact(0)) as index:
        index.ensure_collection(COLLECTION, spaces=[SPACE])
        for start in range(0, PHOTOS, 500):
            rows = vectors(kind, PHOTOS, 1)[start : start + 500]
            index.write(
                [photo(f"{start + i}.jpg", spaces=(SPACE,), vectors={SPACE.name: row[None]}) for i, row in enumerate(rows)]
            )
        assert index.settle(300)

        def distances(vector: Float32, *, exact: bool) -> list[float]:
            clause = VectorClause(SPACE.name, SPACE.provenance, vector, exact=exact)
            answer = index.search(IndexQuery(COLLECTION, clause, limit=NEAREST, with_documents=False))
            assert answer.exact == (exact or kind == "copies")
            return [match.distance for match in answer.matches if match.distance is not None]

        found = 0
        for asked in vectors(kind, QUESTIONS, 2):
            edge = distances(asked, exact=True)[-1]
            found += sum(distance <= edge for distance in distances(asked, exact=False))
    assert found >= LEAST_RECALL * NEAREST * QUESTIONS
