"""Vector queries where an index may use approximate structures: `exact` and the counts are correct, and recall is high.

An index without such structures passes as well: then every answer is exact.
"""

import pytest
from miradouro.core.document import Vectors
from miradouro.core.query import AttributeIn, Condition, Facet, FacetField, IndexQuery, Matches, Order, VectorClause
from miradouro.core.spaces import Space

from tests.conformance.engines import Index
from tests.photo_documents import COLLECTION, POOLED, SPACES, WHOLE, asked, distances, photo, tombstone, vectors_of

LEAST_RECALL = 0.98
PHOTOS = 240
NAMES = [f"{i:03}.jpg" for i in range(PHOTOS)]


@pytest.fixture(autouse=True)
def photos(index: Index) -> None:
    index.ensure_collection(COLLECTION, spaces=SPACES)
    for start in range(0, PHOTOS, 120):
        index.write([photo(name, attributes=groups(i)) for i, name in enumerate(NAMES) if start <= i < start + 120])


def groups(number: int) -> dict[str, str]:
    return {"half": str(number % 2), "twentieth": str(number % 20)}


def near(
    index: Index, space: Space, vector: Vectors, *conditions: Condition, exact: bool = False, limit: int = 10, offset: int = 0
) -> Matches:
    clause = VectorClause(space.name, space.provenance, vector, exact=exact)
    return index.search(IndexQuery(COLLECTION, clause, conditions, limit=limit, offset=offset, with_documents=False))


def ids(answer: Matches) -> list[str]:
    return [match.photo_id for match in answer.matches]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
@pytest.mark.parametrize("conditions", [(), (AttributeIn("half", ("1",)),), (AttributeIn("twentieth", ("7",)),)], ids=len)
def test_the_nearest_have_their_exact_distances(index: Index, space: Space, conditions: tuple[Condition, ...]) -> None:
    hits = 0
    for number in range(20):
        vector = asked(number, space)
        truth = near(index, space, vector, *conditions, exact=True)
        answer = near(index, space, vector, *conditions)
        assert truth.exact
        assert (answer.total, answer.total_is_exact, answer.truncated) == (truth.total, True, False)
        distances = {match.photo_id: (match.distance, match.region) for match in truth.matches}
        for match in answer.matches:
            assert distances.get(match.photo_id, (match.distance, match.region)) == (match.distance, match.region)
        assert [match.distance for match in answer.matches] == sorted(match.distance or 0.0 for match in answer.matches)
        hits += len(set(ids(truth)) & set(ids(answer)))
        assert len(answer.matches) == 10
        if answer.exact:
            assert answer == truth
    assert hits >= LEAST_RECALL * 20 * 10


def test_every_photo_finds_itself_by_each_vector(index: Index) -> None:
    for space in SPACES:
        for name in NAMES[::9]:
            for number, vector in enumerate(vectors_of((name, 1))[space.name]):
                (first,) = near(index, space, vector, limit=1).matches
                assert first.photo_id == name
                assert first.region == (space.regions[number] if space.regions else None)


@pytest.mark.parametrize("conditions", [(), (AttributeIn("half", ("1",)),)], ids=len)
def test_facets_and_total_count_every_matching_photo(index: Index, conditions: tuple[Condition, ...]) -> None:
    some = [photo(f"some {i}.jpg", owner="eva" if i % 3 else "ana", attributes={"half": "1"}) for i in range(30)]
    bare = [photo(f"bare {i}.jpg", owner="eva", attributes={"half": "1"}, vectors={}) for i in range(30)]
    index.write([*some, *bare])
    counted = []
    for exact in (True, False):
        clause = VectorClause(WHOLE.name, WHOLE.provenance, asked(4, WHOLE), exact=exact)
        facet = Facet(FacetField.OWNER)
        answer = index.search(IndexQuery(COLLECTION, clause, conditions, limit=5, facets=(facet,)))
        [owners] = answer.facets
        counted.append((answer.total, {one.value: one.photos for one in owners.counts}))
    assert counted[0] == counted[1]
    assert counted[0][0] == (PHOTOS // 2 if conditions else PHOTOS) + 30
    assert (counted[0][1]["ana"], counted[0][1]["eva"]) == (10, 20)


def test_pages_of_a_ranking_fit_together(index: Index) -> None:
    vector = asked(1, WHOLE)
    pages = [photo_id for offset in range(0, 30, 10) for photo_id in ids(near(index, WHOLE, vector, offset=offset))]
    assert len(set(pages)) == 30
    assert pages == ids(near(index, WHOLE, vector, limit=30))


@pytest.mark.parametrize("space", [WHOLE, POOLED], ids=lambda space: space.storage)
def test_radius_and_time_order_miss_no_photo(index: Index, space: Space) -> None:
    vector = asked(2, space)
    within = VectorClause(space.name, space.provenance, vector, 1.3)
    answer = index.search(IndexQuery(COLLECTION, within, limit=3, with_documents=False))
    everyone = near(index, space, vector, exact=True, limit=PHOTOS)
    inside = [match.photo_id for match in everyone.matches if (match.distance or 0.0) <= 1.3]
    assert 3 < len(inside) < PHOTOS
    assert (ids(answer), answer.total, answer.exact) == (inside[:3], len(inside), True)
    clause = VectorClause(space.name, space.provenance, vector)
    by_time = index.search(IndexQuery(COLLECTION, clause, limit=10, order=Order.TAKEN, with_documents=False))
    assert (ids(by_time), by_time.total, by_time.exact) == (NAMES[:10], PHOTOS, True)


def test_graph_search_follows_replacements_and_deletions(index: Index) -> None:
    index.write([tombstone(name, 2) for name in NAMES[:40]])
    index.write([photo(name, 2, attributes={}) for name in NAMES[40:80]])
    for name in NAMES[:80:3]:
        before = vectors_of((name, 1))[WHOLE.name][0]
        answer = near(index, WHOLE, before)
        assert answer.matches[0].distance is not None
        assert answer.matches[0].distance > 0.1
        assert answer.total == PHOTOS - 40
        assert not set(ids(answer)) & set(NAMES[:40])
    for name in NAMES[40:80:3]:
        assert ids(near(index, WHOLE, vectors_of((name, 2))[WHOLE.name][0]))[0] == name
    assert near(index, WHOLE, asked(0, WHOLE), AttributeIn("half", ("0",))).total == PHOTOS // 2 - 40


def test_copies_of_a_photo_are_all_found_ordered(index: Index) -> None:
    """Copies link only to each other in a graph: photos that it does not reach are compared separately."""
    same = vectors_of("same")
    names = [f"copy {i:02}.jpg" for i in range(60)]
    index.write([photo(name, vectors=same) for name in names])
    for space in SPACES:
        answer = near(index, space, same[space.name][0], limit=10)
        assert ids(answer) == names[:10]
        assert ids(near(index, space, same[space.name][0], limit=30, offset=10)) == names[10:40]


def test_a_filter_matching_only_far_photos_is_answered(index: Index) -> None:
    vector = vectors_of(("000.jpg", 1))[WHOLE.name][0]
    order = ids(near(index, WHOLE, vector, exact=True, limit=PHOTOS))
    far = order[PHOTOS // 2 :]
    index.write([photo(name, 2, vectors=vectors_of((name, 1)), attributes={"far": "1"}) for name in far])
    answer = near(index, WHOLE, vector, AttributeIn("far", ("1",)))
    assert (ids(answer), answer.total) == (far[:10], len(far))


def test_a_question_for_exact_answers_gets_them(index: Index) -> None:
    for space in (WHOLE, POOLED):
        vector = asked(3, space)
        measured = {name: float(distances(index.vector(COLLECTION, name, space.name), vector)[0]) for name in NAMES}
        answer = near(index, space, vector, exact=True)
        assert answer.exact
        assert ids(answer) == sorted(NAMES, key=lambda name: measured[name])[:10]
