"""Listings, order by time, pages by key and facets: what `PhotoIndex.search` promises whichever engine is behind it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from miradouro.core.codes import stored_form
from miradouro.core.document import Document, TakenAt
from miradouro.core.errors import InvalidArgument
from miradouro.core.query import (
    After,
    AttributeIn,
    Clause,
    EverythingClause,
    Facet,
    FacetField,
    IndexQuery,
    KeywordClause,
    Match,
    Matches,
    Order,
    OwnerIs,
    TagIs,
    TextClause,
    VectorClause,
)

from tests.conformance.engines import Index
from tests.photo_documents import COLLECTION, PARTS, SPACES, WHOLE, asked, label, photo, tombstone, unit, user_tag

START = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
ASKED = unit("asked", 1, 32)[0]
EVERYTHING = EverythingClause()
ALL_FACETS = tuple(Facet(field, 1_000) for field in FacetField)


def library() -> list[Document]:
    """40 photos: every fifth without a time, pairs taken at one instant, around the turns of years and of the epoch."""
    return [
        photo(
            f"{'ab'[i % 2]}/{i:02}.jpg",
            caption="alpha" if i % 2 else "alpha bravo",
            tags=tuple(label(f"t{k}", (i * k % 19 + 1) / 20) for k in range(1, 6) if i % k == 0),
            owner=["", "ana", "rui"][i % 3],
            attributes={"camera": f"c{i % 4}", "iso": "100"} if i % 4 else {"iso": "100"},
            taken_at=TakenAt(START + timedelta(days=200) * (i // 2) * (-1) ** i, None) if i % 5 else None,
            vectors={WHOLE.name: unit(i, 1, 32), **({PARTS.name: stored_form(unit(i, 14, 16), PARTS)} if i % 3 else {})},
        )
        for i in range(40)
    ]


@pytest.fixture(autouse=True)
def documents(index: Index) -> list[Document]:
    index.ensure_collection(COLLECTION, spaces=SPACES)
    index.ensure_collection("other", spaces=SPACES)
    found = library()
    index.write(found)
    index.write([photo("gone.jpg", owner="ana", tags=(label("t1", 1),)), tombstone("gone.jpg", 2)])
    index.write([photo("elsewhere.jpg", collection="other", owner="ana", tags=(label("t1", 1),))])
    return found


def distance_of(document: Document) -> float:
    return float(((document.vectors[WHOLE.name][0].astype("f2").astype(float) - ASKED) ** 2).sum() ** 0.5)


RADIUS = 1.4
CLAUSES: dict[str, tuple[Clause, Callable[[Document], bool]]] = {
    "everything": (EVERYTHING, lambda _: True),
    "keyword": (KeywordClause(("t2",)), lambda d: carries(d, "t2")),
    "keywords": (KeywordClause(("t2", "t3", "t5")), lambda d: any(carries(d, tag) for tag in ("t2", "t3", "t5"))),
    "text": (TextClause(("bravo",), (), ()), lambda d: "bravo" in d.caption),
    "radius": (VectorClause(WHOLE.name, WHOLE.provenance, ASKED, max_distance=RADIUS), lambda d: distance_of(d) <= RADIUS),
    "vector": (VectorClause(WHOLE.name, WHOLE.provenance, ASKED), lambda _: True),
    "a space that not every photo has": (
        VectorClause(PARTS.name, PARTS.provenance, asked(1, PARTS)),
        lambda d: PARTS.name in d.vectors,
    ),
}
CONDITIONS = {
    "no condition": ((), lambda _: True),
    "ana's": ((OwnerIs("ana"),), lambda d: d.owner == "ana"),
    "two": (
        (TagIs("t2"), AttributeIn("camera", ("c2", "c3"))),
        lambda d: carries(d, "t2") and d.attributes.get("camera") in {"c2", "c3"},
    ),
    "none": ((OwnerIs("nobody"),), lambda _: False),
}
BY_KEY = ("everything", "keyword", "keywords")


def carries(document: Document, name: str) -> bool:
    return any(tag.label == name for tag in document.tags)


def by_time(document: Document) -> tuple[float, str]:
    taken = document.taken_at
    return (-(taken.instant - START).total_seconds() if taken else float("inf"), document.photo_id)


def ask(index: Index, clause: Clause, **options) -> Matches:
    return index.search(IndexQuery(COLLECTION, clause, **({"limit": 1_000} | options)))


def ids(matches: Matches) -> list[str]:
    return [match.photo_id for match in matches.matches]


def after(match: Match) -> After:
    taken = match.document.taken_at if match.document else None
    return After(match.photo_id, match.score, taken.instant if taken else None)


def pages(index: Index, query: IndexQuery) -> list[Match]:
    found: list[Match] = []
    while True:
        page = index.search(query).matches
        assert not set(page_ids := [match.photo_id for match in page]) & {match.photo_id for match in found}, page_ids
        found += page
        if len(page) < query.limit:
            return found
        query = replace(query, after=after(page[-1]))


def test_a_listing_has_equal_scores_by_photo_id(index, documents):
    answer = ask(index, EVERYTHING)
    assert ids(answer) == sorted(one.photo_id for one in documents)
    assert {(match.score, match.distance, match.region) for match in answer.matches} == {(0.0, None, None)}
    assert (answer.total, answer.total_is_exact, answer.truncated, answer.exact) == (40, True, False, True)
    assert [match.document for match in answer.matches] == [index.get(COLLECTION, photo_id) for photo_id in ids(answer)]
    assert (
        ids(ask(index, EVERYTHING, conditions=(OwnerIs("ana"),), limit=3))
        == sorted(one.photo_id for one in documents if one.owner == "ana")[:3]
    )
    assert ids(ask(index, EVERYTHING, offset=38)) == ids(answer)[38:]


@pytest.mark.parametrize("clause_name", CLAUSES)
@pytest.mark.parametrize("condition_name", CONDITIONS)
def test_every_question_can_be_answered_newest_first(index, documents, clause_name, condition_name):
    clause, finds = CLAUSES[clause_name]
    conditions, holds = CONDITIONS[condition_name]
    expected = [one.photo_id for one in sorted(documents, key=by_time) if finds(one) and holds(one)]
    query = IndexQuery(COLLECTION, clause, conditions, limit=1_000, order=Order.TAKEN)
    answer = index.search(query)
    assert ids(answer) == expected
    assert (answer.total, answer.truncated) == (len(expected), False)
    best = {match.photo_id: match for match in index.search(replace(query, order=Order.RELEVANCE)).matches}
    assert [replace(match, document=None) for match in answer.matches] == [
        replace(best[match.photo_id], document=None) for match in answer.matches
    ], "score, distance and region are those of the photo, whatever the order"
    for limit in (1, 3, 7):
        assert pages(index, replace(query, limit=limit)) == list(answer.matches)


@pytest.mark.parametrize("clause_name", BY_KEY)
@pytest.mark.parametrize("condition_name", CONDITIONS)
def test_pages_by_key_join_and_keep_the_total(index, clause_name, condition_name):
    query = IndexQuery(COLLECTION, CLAUSES[clause_name][0], CONDITIONS[condition_name][0], limit=1_000)
    whole = index.search(query)
    for limit in (1, 4, 40):
        assert pages(index, replace(query, limit=limit)) == list(whole.matches)
    for match in whole.matches:
        assert index.search(replace(query, limit=2, after=after(match))).total == whole.total


@pytest.mark.parametrize("clause_name", BY_KEY)
@pytest.mark.parametrize("order", Order)
def test_pages_stay_complete_while_photos_change(index, clause_name, order):
    clause, _ = CLAUSES[clause_name]
    query = IndexQuery(COLLECTION, clause, limit=5, order=order)
    expected = [match.photo_id for match in index.search(replace(query, limit=1_000)).matches]
    first = index.search(query)
    everywhere = [
        photo(f"{name}.jpg", tags=tuple(label(f"t{k}", score) for k in range(1, 6)), taken_at=TakenAt(at, None))
        for name, score, at in (
            ("0", 1.0, START + timedelta(days=100_000)),
            ("a/zz", 0.5, START),
            ("z", 0.01, START - timedelta(days=100_000)),
        )
    ]
    index.write([*everywhere, tombstone(expected[2], 2), tombstone(expected[4], 2)])
    rest = pages(index, replace(query, limit=5, after=after(first.matches[-1])))
    added = {one.photo_id for one in everywhere}
    assert [one for one in [*ids(first), *(match.photo_id for match in rest)] if one not in added] == expected


def test_a_ranking_has_no_pages_by_key(index):
    for name in ("text", "radius", "vector"):
        with pytest.raises(InvalidArgument, match="pages by offset"):
            ask(index, CLAUSES[name][0], after=After("a/00.jpg", 0.5))
    with pytest.raises(InvalidArgument, match="pages by offset"):
        ask(index, EVERYTHING, after=After("a/00.jpg"), offset=1)


def counted(documents: list[Document], field: FacetField) -> list[tuple[str, int]]:
    values: Counter[str] = Counter()
    for one in documents:
        match field:
            case FacetField.TAG:
                values.update({tag.label for tag in one.tags})
            case FacetField.OWNER:
                values.update([one.owner] if one.owner else [])
            case FacetField.YEAR:
                values.update([f"{one.taken_at.instant.year:04}"] if one.taken_at else [])
            case FacetField.CAMERA:
                values.update([one.attributes["camera"]] if "camera" in one.attributes else [])
    return sorted(values.items(), key=lambda entry: (-entry[1], entry[0]))


@pytest.mark.parametrize("clause_name", CLAUSES)
@pytest.mark.parametrize("condition_name", CONDITIONS)
@pytest.mark.parametrize("order", Order)
def test_facets_count_every_photo_that_satisfies_the_question(index, documents, clause_name, condition_name, order):
    clause, finds = CLAUSES[clause_name]
    conditions, holds = CONDITIONS[condition_name]
    passing = [one for one in documents if finds(one) and holds(one)]
    answer = index.search(IndexQuery(COLLECTION, clause, conditions, limit=2, order=order, facets=ALL_FACETS))
    assert [facet.field for facet in answer.facets] == [facet.field for facet in ALL_FACETS]
    for facet in answer.facets:
        expected = counted(passing, facet.field)
        assert [(one.value, one.photos) for one in facet.counts] == expected, facet.field
        assert facet.values == len(expected)
    assert index.search(IndexQuery(COLLECTION, clause, conditions, limit=2, order=order)).facets == ()


def test_a_facet_reports_common_values_and_their_number(index, documents):
    [facet] = ask(index, EVERYTHING, facets=(Facet(FacetField.YEAR, 3),), limit=1).facets
    expected = counted(documents, FacetField.YEAR)
    assert [(one.value, one.photos) for one in facet.counts] == expected[:3]
    assert facet.values == len(expected) > 3
    [tags] = ask(index, KeywordClause(("t4",)), facets=(Facet(FacetField.TAG, 1),), limit=1, offset=5).facets
    assert [(one.value, one.photos) for one in tags.counts] == [("t1", 10)], "a page counts what is outside of it, too"


def test_tags_from_every_source_count_like_filters(index):
    index.write([photo("new.jpg", owner="eva", tags=(user_tag("Golden  Hour"), label("Norwegian Elkhound", 0.5)))])
    [facet] = ask(index, EVERYTHING, conditions=(OwnerIs("eva"),), facets=(Facet(FacetField.TAG),)).facets
    assert [(one.value, one.photos) for one in facet.counts] == [("golden hour", 1), ("norwegian elkhound", 1)]
    for one in facet.counts:
        assert ids(ask(index, EVERYTHING, conditions=(TagIs(one.value),))) == ["new.jpg"]


@pytest.mark.parametrize("clause", [KeywordClause(()), TextClause((), (), ()), TextClause(("the",), (), ())])
def test_nothing_to_look_for_counts_nothing(index, clause):
    answer = ask(index, clause, facets=ALL_FACETS)
    assert [(facet.counts, facet.values) for facet in answer.facets] == [((), 0)] * len(ALL_FACETS)
