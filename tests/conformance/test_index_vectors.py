"""Questions by vector, against a plain loop over the vectors that the index gives back.

Tolerances: distances within 1e-5 of those computed from `PhotoIndex.vector`, within 1e-3 of those from the vectors as written.
"""

from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from miradouro.core.document import Vectors
from miradouro.core.errors import InvalidArgument
from miradouro.core.query import MAX_RANKED, AttributeIn, IndexQuery, Matches, VectorClause
from miradouro.core.spaces import Preset, Space

from tests.conformance.engines import EMBEDDED, Index
from tests.photo_documents import (
    COLLECTION,
    PARTS,
    POOLED,
    SPACES,
    WHOLE,
    asked,
    distances,
    photo,
    tombstone,
    unit,
    vectors_of,
)

DISTANCE_ERROR = 1e-5
WRITTEN_ERROR = 1e-3
collections = count()


@pytest.fixture(autouse=True)
def collection(index: Index) -> None:
    index.ensure_collection(COLLECTION, spaces=SPACES)


def near(
    index: Index, space: Space, vector: Vectors, max_distance: float | None = None, *, name: str = COLLECTION, limit: int = 1_000
) -> Matches:
    return index.search(IndexQuery(name, VectorClause(space.name, space.provenance, vector, max_distance), limit=limit))


def brute_force(
    index: Index, space: Space, vector: Vectors, names: list[str], *, name: str = COLLECTION
) -> list[tuple[float, str, int]]:
    """(distance, photo id, nearest vector), nearest first."""
    found = []
    for photo_id in names:
        measured = distances(index.vector(name, photo_id, space.name), vector)
        found.append((float(measured.min()), photo_id, int(measured.argmin())))
    return sorted(found)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_the_ranking_is_that_of_a_plain_loop(index: Index, space: Space) -> None:
    names = [f"{i}.jpg" for i in range(300)]
    index.write([photo(name) for name in names])
    for seed in range(5):
        vector = asked(seed, space)
        expected = brute_force(index, space, vector, names)
        answer = near(index, space, vector)
        assert [match.photo_id for match in answer.matches] == [photo_id for _, photo_id, _ in expected]
        assert [match.distance for match in answer.matches] == pytest.approx(
            [distance for distance, _, _ in expected], abs=DISTANCE_ERROR
        )
        assert [match.score for match in answer.matches] == pytest.approx(
            [1 - distance / 2 for distance, _, _ in expected], abs=DISTANCE_ERROR
        )
        regions = [space.regions[best] if space.regions else None for _, _, best in expected]
        assert [match.region for match in answer.matches] == regions
        assert (answer.total, answer.total_is_exact, answer.truncated, answer.exact) == (300, True, False, True)
        clause = VectorClause(space.name, space.provenance, vector)
        for offset in (0, 1, 137, 290, 295):
            page = index.search(IndexQuery(COLLECTION, clause, limit=10, offset=offset))
            assert page.matches == answer.matches[offset : offset + 10]


@pytest.mark.parametrize("index", EMBEDDED, indirect=True)
def test_nearly_equal_distances_are_ranked_exactly(index: Index) -> None:
    """All on one circle around the question, within the error of sixteen bits: a window's edge must not lose the right one.

    A distance derived from a score of 32 bits cannot distinguish these.
    """
    vector = unit("centre", 1, 32)[0]
    names = [f"{i}.jpg" for i in range(200)]
    around = []
    for name in names:
        direction = unit(name, 1, 32)[0]
        direction -= (direction @ vector) * vector
        around.append((0.6 * vector + 0.8 * direction / np.linalg.norm(direction))[None].astype(np.float32))
    index.write([photo(name, vectors={WHOLE.name: one}) for name, one in zip(names, around, strict=True)])
    expected = [photo_id for _, photo_id, _ in brute_force(index, WHOLE, vector, names)]
    clause = VectorClause(WHOLE.name, WHOLE.provenance, vector)
    for offset in range(0, 200, 4):
        window = index.search(IndexQuery(COLLECTION, clause, limit=3, offset=offset)).matches
        assert [match.photo_id for match in window] == expected[offset : offset + 3]


def test_every_photo_finds_itself_first(index: Index) -> None:
    documents = [photo(f"{i}.jpg") for i in range(100)]
    index.write(documents)
    for space in SPACES:
        for document in documents[::7]:
            for vector in document.vectors[space.name]:
                (first,) = near(index, space, vector, limit=1).matches
                assert first.photo_id == document.photo_id
                assert first.distance == pytest.approx(0, abs=WRITTEN_ERROR)


def test_a_match_reports_its_region(index: Index) -> None:
    document = photo("a.jpg")
    index.write([document, photo("b.jpg")])
    for number, vector in enumerate(document.vectors[PARTS.name]):
        assert near(index, PARTS, vector, limit=1).matches[0].region == PARTS.regions[number]


@pytest.mark.parametrize("space", [WHOLE, POOLED], ids=lambda space: space.storage)
def test_a_radius_finds_exactly_the_photos_within(index: Index, space: Space) -> None:
    names = [f"{i}.jpg" for i in range(200)]
    index.write([photo(name) for name in names])
    vector = asked(0, space)
    expected = brute_force(index, space, vector, names)
    for radius in (0.0, 1.0, 1.2, 1.3, 1.41, 1.6, 2.0):
        inside = [photo_id for distance, photo_id, _ in expected if distance <= radius]
        answer = near(index, space, vector, radius)
        assert [match.photo_id for match in answer.matches] == inside
        assert (answer.total, answer.total_is_exact, answer.truncated) == (len(inside), True, False)
        page = near(index, space, vector, radius, limit=3)
        assert (page.total, page.truncated) == (len(inside), False), "a short page hides nothing: the next ones follow"


@pytest.mark.parametrize("space", [WHOLE, POOLED], ids=lambda space: space.storage)
def test_a_photo_at_the_radius_is_within_it(index: Index, space: Space) -> None:
    index.write([photo(f"{i}.jpg") for i in range(50)])
    vector = asked(0, space)
    for place, match in enumerate(near(index, space, vector).matches):
        assert match.distance is not None
        assert near(index, space, vector, match.distance).total == place + 1
        assert near(index, space, vector, match.distance - DISTANCE_ERROR).total == place


def test_radius_and_conditions_count_together(index: Index) -> None:
    names = [f"{i:03}.jpg" for i in range(120)]
    index.write([photo(name, attributes={"third": str(i % 3)}) for i, name in enumerate(names)])
    vector = asked(0, WHOLE)
    chosen = [photo_id for distance, photo_id, _ in brute_force(index, WHOLE, vector, names[1::3]) if distance <= 1.4]
    clause = VectorClause(WHOLE.name, WHOLE.provenance, vector, 1.4)
    answer = index.search(IndexQuery(COLLECTION, clause, (AttributeIn("third", ("1",)),), limit=500))
    assert [match.photo_id for match in answer.matches] == chosen
    assert answer.total == len(chosen)
    none = index.search(IndexQuery(COLLECTION, clause, (AttributeIn("third", ("7",)),)))
    assert (none.matches, none.total) == ((), 0)


def test_repeated_conditions_see_the_current_photos(index: Index) -> None:
    """An index may remember who passed; whatever is written since has to count."""
    space = PARTS
    names = [f"{i}.jpg" for i in range(60)]
    index.write([photo(name, attributes={"side": "left"}) for name in names])

    def left() -> set[str]:
        clause = VectorClause(space.name, space.provenance, asked(0, space))
        query = IndexQuery(COLLECTION, clause, conditions=(AttributeIn("side", ("left",)),), limit=100)
        return {match.photo_id for match in index.search(query).matches}

    assert left() == set(names)
    index.write([photo("new.jpg", attributes={"side": "left"})])
    assert left() == {*names, "new.jpg"}
    index.write([photo("0.jpg", version=2, attributes={"side": "right"}), tombstone("1.jpg", version=2)])
    assert left() == {*names[2:], "new.jpg"}


def test_truncated_means_unreachable_photos_within_the_radius(index: Index) -> None:
    space = Space("tiny", "features", "", 4, "9" * 64, preset=Preset.STANDARD, is_default_pooling=True)
    index.ensure_collection("many", spaces=[space])
    same = vectors_of("same", (space,))
    photos = [photo(f"{i:05}", spaces=(space,), collection="many", vectors=same) for i in range(MAX_RANKED + 1)]
    for start in range(0, len(photos), 2_000):
        index.write(photos[start : start + 2_000])
    clause = VectorClause(space.name, space.provenance, same[space.name][0], 0.5)
    last = index.search(IndexQuery("many", clause, limit=5, offset=MAX_RANKED - 5, with_documents=False))
    assert [match.photo_id for match in last.matches] == [f"{i:05}" for i in range(MAX_RANKED - 5, MAX_RANKED)]
    assert (last.total, last.truncated) == (MAX_RANKED + 1, True)
    index.write([tombstone("00000", 2, collection="many")])
    fitting = index.search(IndexQuery("many", clause, limit=5, offset=MAX_RANKED - 5, with_documents=False))
    assert (fitting.total, fitting.truncated) == (MAX_RANKED, False)
    assert fitting.matches[-1].photo_id == f"{MAX_RANKED:05}"
    without_radius = VectorClause(space.name, space.provenance, same[space.name][0])
    assert not index.search(IndexQuery("many", without_radius)).truncated


@pytest.mark.parametrize(
    ("space", "vector", "reason"),
    [
        (WHOLE, unit(0, 1, 31)[0], "32"),
        (WHOLE, unit(0, 1, 32), "32"),
        (WHOLE, np.full(32, np.nan, np.float32), "NaN"),
        (WHOLE, unit(0, 1, 32)[0] * 2, "length 2"),
        (WHOLE, asked(0, POOLED), "int8 .* is not float32"),
        (POOLED, unit(0, 1, 8)[0], "float32 .* is not int8 .* stores int8 codes"),
        (POOLED, asked(0, POOLED)[:7], "8"),
        (POOLED, np.zeros(8, np.int8), "all codes"),
    ],
)
def test_a_question_that_cannot_be_compared_is_refused(index: Index, space: Space, vector: Vectors, reason: str) -> None:
    with pytest.raises(InvalidArgument, match=reason):
        near(index, space, vector)


WRITES = st.lists(st.tuples(st.integers(0, 11), st.booleans()), min_size=1, max_size=40)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(writes=WRITES, batch=st.integers(1, 9))
def test_rankings_hold_only_live_photos_after_writes(index: Index, writes: list[tuple[int, bool]], batch: int) -> None:
    name = f"model{next(collections)}"
    index.ensure_collection(name, spaces=SPACES)
    live: set[str] = set()
    documents = []
    for version, (number, is_deleted) in enumerate(writes, 1):
        photo_id = f"{number}.jpg"
        documents.append(
            tombstone(photo_id, version, collection=name) if is_deleted else photo(photo_id, version, collection=name)
        )
        (live.discard if is_deleted else live.add)(photo_id)
    for start in range(0, len(documents), batch):
        index.write(documents[start : start + batch])
    for space in SPACES:
        vector = asked(0, space)
        expected = brute_force(index, space, vector, sorted(live), name=name)
        answer = near(index, space, vector, name=name)
        assert [match.photo_id for match in answer.matches] == [photo_id for _, photo_id, _ in expected]
        assert answer.total == len(live)
