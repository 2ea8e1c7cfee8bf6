"""The embedded index and OpenSearch, side by side over the same documents: who moves to the other gets the same answers.

Tolerances. Vectors, all compared: the same photos in the same order, where distances that differ by less than 1e-3 may change
places (one index stores 16 bits of a number, the other 32); distances within 1e-3, below 0.05 within 3e-3. Tags: the same photos,
in an order that is free where scores differ by less than 0.5 % (rank features keep 9 bits). Text: the same photos, of the first
ten at least eight (BM25 is computed over different statistics). Totals, flags, facets, versions, pages and errors: the same.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product

import numpy as np
import pytest
from miradouro.adapters.opensearch import OpenSearchIndex
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.core.codes import stored_form, unit_vectors
from miradouro.core.document import Document, GeoPoint, Tag, TakenAt, Vectors
from miradouro.core.errors import MiradouroError
from miradouro.core.ports import WriteStatus
from miradouro.core.query import (
    After,
    AttributeIn,
    Clause,
    Condition,
    EverythingClause,
    Facet,
    FacetField,
    InBox,
    IndexQuery,
    KeywordClause,
    Match,
    Matches,
    Near,
    NoneOf,
    Order,
    OwnerIs,
    TagIs,
    TakenBetween,
    TextClause,
    VectorClause,
)
from miradouro.core.spaces import Space

from tests.conformance.engines import opensearch_on_shards
from tests.photo_documents import (
    COLLECTION,
    PARTS,
    POOLED,
    SPACES,
    WHOLE,
    asked,
    label,
    parent,
    photo,
    tombstone,
    unit,
    user_tag,
    vectors_of,
)

PHOTOS = 240
SCENES = ["harbour", "boat", "lighthouse", "sunset", "dog", "snow", "tram", "bridge", "old red", "again"]
WORDS = [*SCENES, *(f"word{i}" for i in range(290))]  # as rare as words are: the i-th is i times as rare as the first
RARITY = 1 / np.arange(10, 10 + len(WORDS))
START = datetime(2019, 3, 1, tzinfo=UTC)
APART, CLOSE, CLOSE_APART = 1e-3, 0.05, 3e-3
SCORE_RATIO = 5e-3
EQUAL_SCORES = 1e-6


@dataclass(frozen=True)
class Pair:
    embedded: SqliteIndex
    cluster: OpenSearchIndex

    def both(self, query: IndexQuery) -> tuple[Matches, Matches]:
        return self.embedded.search(query), self.cluster.search(query)


def library() -> list[Document]:
    """Photos with near duplicates, equal ones, some without places, times or regions; in versions that come out of order."""
    documents = []
    for i in range(PHOTOS):
        draw = np.random.default_rng(i)
        vectors = vectors_of(i // 8 if i % 8 == 0 else i)
        if i % 8 == 1:  # nearly the photo before it
            for space in (WHOLE, POOLED):
                vectors[space.name] = vectors_near(documents[-1].vectors[space.name], space, 0.02, seed=i)
        if i % 8 == 2:  # the very same look as two before
            vectors = dict(documents[-2].vectors)
        if i % 5 == 0:
            del vectors[PARTS.name]
        documents.append(
            photo(
                f"{'abc'[i % 3]}/{i:03}.jpg",
                1 + i % 4,
                title=said(draw, 2),
                caption=said(draw, 4 + i % 12),
                tags=tags_of(i),
                owner=["", "ana", "rui", "eva"][i % 4],
                attributes={"camera": f"c{i % 6}"} if i % 7 else {},
                place=GeoPoint(38 + i % 10 / 10, -9 + i % 13 / 10) if i % 3 else None,
                taken_at=TakenAt(START + timedelta(days=5 * (i // 2)), None) if i % 6 else None,
                vectors=vectors,
            )
        )
    return documents


def tags_of(i: int) -> tuple[Tag, ...]:
    """Ten of them, as a tagger gives about as many to every photo: their number weighs in BM25, not the same in both."""
    given = [label(f"t{k}", (i * k % 97 + 1) / 98) for k in range(1, 8) if i % k == 0]
    given += [parent("thing", 0.3 + i / 1_000)] if i % 4 else []
    given += [user_tag("Mine")] if i % 9 == 0 else []
    return (*given, *(label(f"u{i}{k}", 0.01) for k in range(len(given), 10)))


def said(draw: np.random.Generator, count: int) -> str:
    return " ".join(draw.choice(WORDS, count, p=RARITY / RARITY.sum()))


def vectors_near(vectors: Vectors, space: Space, by: float, *, seed: int) -> Vectors:
    moved = unit_vectors(vectors, space) + by * unit(("moved", seed), *vectors.shape)
    return stored_form((moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32), space)


@pytest.fixture(scope="module", params=[1, 3], ids=lambda shards: f"{shards} shards")
def pair(request: pytest.FixtureRequest, opensearch: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("agree")
    with SqliteIndex.open(folder / "data", writer=True) as embedded, opensearch_on_shards(opensearch, request.param) as cluster:
        documents = library()
        events = [
            *documents,
            *(replace(one, version=1, caption="too late") for one in documents[::7]),
            *(tombstone(one.photo_id, 9) for one in documents[::11]),
            *(replace(one, version=8, caption="after its deletion") for one in documents[::22]),
            *(replace(one, version=7, caption=f"again {one.caption}") for one in documents[5::11]),
        ]
        statuses = []
        for index in (embedded, cluster):
            index.ensure_collection(COLLECTION, spaces=SPACES)
            statuses.append([index.write(events[start : start + 50]) for start in range(0, len(events), 50)])
        assert statuses[0] == statuses[1]
        assert {status for batch in statuses[0] for status in batch} == set(WriteStatus)
        yield Pair(embedded, cluster)


CONDITIONS: dict[str, tuple[Condition, ...]] = {
    "all": (),
    "ana's": (OwnerIs("ana"),),
    "with t2 by two cameras": (TagIs("t2"), AttributeIn("camera", ("c1", "c4"))),
    "in a year and a box": (
        TakenBetween(START + timedelta(days=200), START + timedelta(days=500)),
        InBox(GeoPoint(38, -9), GeoPoint(38.6, -8.2)),
    ),
    "near, not rui's": (Near(GeoPoint(38.5, -8.5), 40_000), NoneOf((OwnerIs("rui"),))),
    "none": (OwnerIs("nobody"),),
}
VECTORS = [
    VectorClause(space.name, space.provenance, vector, radius, exact=exact)
    for space, radius, exact in product(SPACES, (None, 0.3, 1.35), (False, True))
    for vector in (asked(0, space), vectors_of(3)[space.name][0])
]
TAGS = (("t1",), ("t3",), ("thing",), ("mine",), ("t2", "t5", "t7"), ("thing", "t6"), ("no",))
KEYWORDS = [KeywordClause(words) for words in TAGS]
TEXTS = [
    *(TextClause((word,), (), ()) for word in WORDS[:30:3]),
    *(TextClause(tuple(WORDS[i : i + 40 : 13]), (), ()) for i in range(0, 60, 6)),
    TextClause(("harbours", "SUNSETS"), (), ("dog",)),
    TextClause((), ("old red",), ()),
    TextClause(("word0",), ("boat",), ("snow",)),
    TextClause(("again",), (), ()),
    TextClause(("late", "deletion"), (), ()),
]
FACETS = tuple(Facet(field, 5) for field in FacetField)


def ask(clause: Clause, conditions: Sequence[Condition] = (), **options: object) -> IndexQuery:
    return IndexQuery(COLLECTION, clause, tuple(conditions), **({"limit": 1_000} | options))  # type: ignore[arg-type] # of IndexQuery


def ids(answer: Matches) -> list[str]:
    return [match.photo_id for match in answer.matches]


def check_around(ours: Matches, theirs: Matches) -> None:
    """What must be the same whatever the ranking."""
    assert sorted(ids(ours)) == sorted(ids(theirs))
    assert (ours.total, ours.total_is_exact, ours.truncated, ours.exact) == (
        theirs.total,
        theirs.total_is_exact,
        theirs.truncated,
        theirs.exact,
    )
    assert ours.facets == theirs.facets
    documents = {match.photo_id: match.document for match in theirs.matches}
    for match in ours.matches:
        assert match.document == documents[match.photo_id]


def check_order(
    ours: Matches, theirs: Matches, key: Callable[[Match], float], may_change_places: Callable[[float, float], bool]
) -> None:
    """In the order of `theirs`, what stands before another in ours stands so there too, unless the two may change places."""
    of_ours = {match.photo_id: key(match) for match in ours.matches}
    in_their_order = [of_ours[name] for name in ids(theirs)]
    worst = -np.inf
    for value in in_their_order:
        assert value >= worst or may_change_places(worst, value), f"{value} stands behind {worst}"
        worst = max(worst, value)


@pytest.mark.parametrize("conditions", CONDITIONS.values(), ids=CONDITIONS)
def test_vectors_give_the_same_ranking_in_both(pair: Pair, conditions: tuple[Condition, ...]) -> None:
    for clause in VECTORS:
        ours, theirs = pair.both(ask(clause, conditions, facets=FACETS))
        check_around(ours, theirs)
        check_order(ours, theirs, lambda match: match.distance or 0.0, lambda one, other: abs(one - other) <= APART)
        distances = {match.photo_id: match.distance for match in theirs.matches}
        regions = {match.photo_id: match.region for match in theirs.matches}
        for match in ours.matches:
            computed = distances[match.photo_id]
            assert match.distance is not None
            assert computed is not None
            assert abs(match.distance - computed) <= (CLOSE_APART if match.distance < CLOSE else APART)
            assert match.region == regions[match.photo_id]


def test_identical_photos_are_ordered_by_id(pair: Pair) -> None:
    clause = VectorClause(POOLED.name, POOLED.provenance, asked(0, POOLED), exact=True)
    for answer in pair.both(ask(clause)):
        found = answer.matches
        equal = [(one, other) for one, other in pairwise(found) if one.distance == other.distance]
        assert len(equal) >= 20
        assert all(one.photo_id < other.photo_id for one, other in equal)


@pytest.mark.parametrize("conditions", CONDITIONS.values(), ids=CONDITIONS)
def test_tags_agree_up_to_nine_bits_of_precision(pair: Pair, conditions: tuple[Condition, ...]) -> None:
    for clause in KEYWORDS:
        ours, theirs = pair.both(ask(clause, conditions, facets=FACETS))
        check_around(ours, theirs)
        check_order(ours, theirs, lambda match: -match.score, lambda one, other: abs(one - other) <= SCORE_RATIO * abs(one))
        scores = {match.photo_id: match.score for match in theirs.matches}
        for match in ours.matches:
            assert match.score == pytest.approx(scores[match.photo_id], rel=SCORE_RATIO)


@pytest.mark.parametrize("conditions", CONDITIONS.values(), ids=CONDITIONS)
def test_words_agree_on_eight_of_ten_hits(pair: Pair, conditions: tuple[Condition, ...]) -> None:
    for clause in TEXTS:
        ours, theirs = pair.both(ask(clause, conditions, facets=FACETS))
        check_around(ours, theirs)
        first = set(ids(ours)[:10])
        cut = ours.matches[min(10, len(ours.matches)) - 1].score if ours.matches else 0.0
        level = {match.photo_id for match in ours.matches if abs(match.score - cut) <= EQUAL_SCORES}  # as good as the tenth
        assert len(set(ids(theirs)[:10]) & (first | level)) >= 0.8 * len(first), clause


@pytest.mark.parametrize("order", Order)
def test_listings_are_the_same_page_by_page(pair: Pair, order: Order) -> None:
    clauses: list[Clause] = [EverythingClause(), KeywordClause(("thing", "t3")), TextClause(("boat",), (), ()), VECTORS[0]]
    for clause, conditions in product(clauses, CONDITIONS.values()):
        query = ask(clause, conditions, order=order, facets=FACETS)
        if order is Order.RELEVANCE and not isinstance(clause, EverythingClause):
            continue  # see the tests of each ranking
        ours, theirs = pair.both(query)
        check_around(ours, theirs)
        assert ids(ours) == ids(theirs)
        for index in (pair.embedded, pair.cluster):
            assert pages(index, replace(query, limit=17)) == ids(ours)


def pages(index: SqliteIndex | OpenSearchIndex, query: IndexQuery) -> list[str]:
    found: list[str] = []
    while True:
        answer = index.search(query)
        found += ids(answer)
        if len(answer.matches) < query.limit:
            return found
        last = answer.matches[-1]
        assert last.document is not None
        query = replace(query, after=After(last.photo_id, last.score, last.document.taken_at and last.document.taken_at.instant))


@pytest.mark.parametrize("clause", [VECTORS[0], VECTORS[-1], TEXTS[7]], ids=["vector", "region in a radius", "text"])
def test_ranking_pages_join_to_the_whole_in_both(pair: Pair, clause: Clause) -> None:
    for index in (pair.embedded, pair.cluster):
        whole = index.search(ask(clause))
        windows = [index.search(ask(clause, limit=9, offset=start)) for start in range(0, len(whole.matches) + 9, 9)]
        joined = [match for window in windows for match in window.matches]
        assert joined == list(whole.matches)


def test_both_store_the_same_states_and_counts(pair: Pair) -> None:
    assert list(pair.embedded.origins(COLLECTION)) == list(pair.cluster.origins(COLLECTION))
    assert list(pair.embedded.stats()) == list(pair.cluster.stats())
    for name in ("a/000.jpg", "b/001.jpg", "c/005.jpg"):
        errors = [error_of(lambda index=index, name=name: index.get(COLLECTION, name)) for index in (pair.embedded, pair.cluster)]
        assert errors[0] == errors[1]


def error_of(call: Callable[[], object]) -> object:
    """What the call gives, or the kind of the error and the field that it names."""
    try:
        return call()
    except MiradouroError as exc:
        return type(exc), getattr(exc, "field", "")


def test_wrong_questions_and_writes_meet_the_same_errors(pair: Pair) -> None:
    asked = unit("asked", 1, 32)[0]
    right = VectorClause(WHOLE.name, WHOLE.provenance, asked)
    wrong: list[Callable[[SqliteIndex | OpenSearchIndex], object]] = [
        lambda index: index.search(ask(replace(right, space="small/none"))),
        lambda index: index.search(ask(replace(right, provenance="f" * 64))),
        lambda index: index.search(ask(replace(right, vector=asked[:31]))),
        lambda index: index.search(ask(replace(right, vector=asked * 2))),
        lambda index: index.search(ask(right, limit=0)),
        lambda index: index.search(ask(right, limit=10_001)),
        lambda index: index.search(ask(right, offset=9_999, limit=2)),
        lambda index: index.search(ask(right, after=After("a", 0.5))),
        lambda index: index.search(replace(ask(right), collection="nowhere")),
        lambda index: index.write([photo("x.jpg", vectors={WHOLE.name: unit(0, 1, 31)})]),
        lambda index: index.write([photo("x.jpg", provenances={space.name: "f" * 64 for space in SPACES})]),
        lambda index: index.write([photo("x.jpg", collection="nowhere")]),
        lambda index: index.ensure_collection(COLLECTION, spaces=SPACES[:1]),
        lambda index: index.ensure_collection(COLLECTION, spaces=SPACES, root="/photos"),
        lambda index: index.ensure_collection("Wrong", spaces=SPACES),
        lambda index: index.vector(COLLECTION, "b/001.jpg", "small/none"),
        lambda index: index.vector(COLLECTION, "b/999.jpg", WHOLE.name),
    ]
    for number, call in enumerate(wrong):
        ours, theirs = (error_of(lambda index=index, call=call: call(index)) for index in (pair.embedded, pair.cluster))
        assert isinstance(ours, tuple), f"number {number} is no error: {ours!r:.100}"
        assert ours == theirs, number
