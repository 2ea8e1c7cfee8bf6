"""Half a million photos in one data folder: it grows, seals, merges and answers, and no question waits for any of it."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.core.document import Document, Float32
from miradouro.core.query import IndexQuery, Matches, VectorClause
from miradouro.core.spaces import Preset, Space

from tests.photo_documents import COLLECTION, photo

PHOTOS = int(os.environ.get("MIRADOURO_TEST_PHOTOS", "500000"))
BATCH = 500
SPACE = Space("size", "features", "", 64, "6" * 64, preset=Preset.STANDARD, is_default_pooling=True)
LONGEST_GAP_S = 0.25
LEAST_SHARE = 0.98
SETTLED_S = 7_200


CENTRES = np.random.default_rng(0).standard_normal((5_000, SPACE.dimension), dtype=np.float32)


def vectors(batch: int) -> Float32:
    """float32 [BATCH, d], length 1, around centres, as photos of alike things are."""
    draw = np.random.default_rng(batch)
    drawn = CENTRES[draw.integers(0, len(CENTRES), BATCH)] + 0.5 * draw.standard_normal(
        (BATCH, SPACE.dimension), dtype=np.float32
    )
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def documents(batch: int) -> list[Document]:
    return [
        photo(f"{batch * BATCH + i}.jpg", spaces=(SPACE,), vectors={SPACE.name: one[None]})
        for i, one in enumerate(vectors(batch))
    ]


def near(index: SqliteIndex, vector: Float32, limit: int) -> Matches:
    clause = VectorClause(SPACE.name, SPACE.provenance, vector)
    return index.search(IndexQuery(COLLECTION, clause, limit=limit, with_documents=False))


@pytest.mark.long
def test_half_a_million_photos_do_not_delay_questions(tmp_path: Path) -> None:
    batches = PHOTOS // BATCH
    gaps: list[float] = []
    stop = threading.Event()
    with SqliteIndex.open(tmp_path / "data", writer=True) as index:
        index.ensure_collection(COLLECTION, spaces=[SPACE])
        index.write(documents(0))

        def beat() -> None:
            asked = vectors(batches)
            while not stop.wait(0.005):
                started = time.monotonic()
                near(index, asked[len(gaps) % BATCH], 10)
                gaps.append(time.monotonic() - started)

        heart = threading.Thread(target=beat)
        heart.start()
        started = time.monotonic()
        try:
            for batch in range(1, batches):
                index.write(documents(batch))
            written = time.monotonic()
            assert index.settle(SETTLED_S)
        finally:
            stop.set()
            heart.join()
        print(
            f"{PHOTOS:,} photos: written in {written - started:.0f} s, settled {time.monotonic() - written:.0f} s later; "
            f"{len(gaps):,} questions meanwhile, median {np.median(gaps) * 1e3:.1f} ms, longest {max(gaps) * 1e3:.0f} ms"
        )
    with SqliteIndex.open(tmp_path / "data", writer=False) as reader:
        draw = np.random.default_rng(0)
        found = 0
        for batch, place in zip(draw.integers(0, batches, 200).tolist(), draw.integers(0, BATCH, 200).tolist(), strict=True):
            answer = near(reader, vectors(batch)[place], 1)
            assert (answer.total, answer.exact, answer.truncated) == (batches * BATCH, False, False)
            found += answer.matches[0].photo_id == f"{batch * BATCH + place}.jpg"
    assert found >= LEAST_SHARE * 200
    assert len(list((tmp_path / "data/segments").glob("*.graph"))) <= 8
    assert max(gaps) <= LONGEST_GAP_S
