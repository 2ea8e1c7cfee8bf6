"""Questions in words, conditions, ties and pages: what `PhotoIndex.search` promises whichever engine is behind it.

Tolerances: scores of tags within 1e-6 (an engine may keep 9 bits of a probability: then 2e-3), BM25 by its order alone.
"""

import math
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from miradouro.core.document import Document, GeoPoint, TakenAt
from miradouro.core.errors import InvalidArgument
from miradouro.core.query import (
    MAX_TEXT_TERMS,
    AttributeIn,
    Clause,
    Condition,
    FileNamePrefix,
    InBox,
    IndexQuery,
    KeywordClause,
    Matches,
    Near,
    NoneOf,
    OwnerIs,
    TagIs,
    TakenBetween,
    TextClause,
    VectorClause,
)

from tests.conformance.engines import Index
from tests.photo_documents import COLLECTION, SPACES, WHOLE, label, parent, photo, tombstone, unit, user_tag, vectors_of

SCORE_ERROR = 2e-3
CASES = tomllib.loads((Path(__file__).parents[1] / "golden/text_cases.toml").read_text(encoding="utf-8"))["case"]
PLACES = [
    GeoPoint(0, 0),
    GeoPoint(0, 180),
    GeoPoint(0, -179.5),
    GeoPoint(10, 179.5),
    GeoPoint(89.9, 30),
    GeoPoint(89.9, -150),
    GeoPoint(-90, 0),
    GeoPoint(38.7167, -9.1333),
    GeoPoint(38.7168, -9.1334),
    GeoPoint(41.15, -8.61),
]
NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)


def library() -> list[Document]:
    """60 photos that differ in everything that a condition or a clause can ask for; a third lack time or place."""
    return [
        photo(
            f"{'ab'[i % 2]}/{'xyz'[i % 3]}{i}.jpg",
            caption=" ".join(word for word, every in (("alpha", 2), ("bravo", 3), ("carol", 5)) if i % every == 0),
            tags=tuple(label(f"t{k}", (i * k % 19 + 1) / 20) for k in range(1, 8) if i % k == 0),
            owner=["", "ana", "rui"][i % 3],
            attributes={"camera": f"c{i % 4}", "iso": str(i % 5)} if i % 4 else {},
            place=PLACES[i % len(PLACES)] if i % 3 else None,
            taken_at=TakenAt(NOON + timedelta(hours=i), None) if i % 5 else None,
        )
        for i in range(60)
    ]


@pytest.fixture(autouse=True)
def collection(index: Index) -> None:
    index.ensure_collection(COLLECTION, spaces=SPACES)


def ask(index: Index, clause: Clause, *conditions: Condition, limit: int = 1_000, offset: int = 0) -> Matches:
    return index.search(IndexQuery(COLLECTION, clause, conditions, limit=limit, offset=offset))


def ids(matches: Matches) -> list[str]:
    return [match.photo_id for match in matches.matches]


def great_circle_m(a: GeoPoint, b: GeoPoint) -> float:
    """By the angle between two vectors: another formula than the engines'."""

    def point(place: GeoPoint) -> np.ndarray:
        latitude, longitude = math.radians(place.latitude), math.radians(place.longitude)
        return np.array([math.cos(latitude) * math.cos(longitude), math.cos(latitude) * math.sin(longitude), math.sin(latitude)])

    one, other = point(a), point(b)
    return 6_371_008.8 * math.atan2(float(np.linalg.norm(np.cross(one, other))), float(one @ other))


def taken(document: Document, start: datetime | None, end: datetime | None) -> bool:
    at = document.taken_at.instant if document.taken_at else None
    return at is not None and (start is None or at >= start) and (end is None or at < end)


def carries(document: Document, name: str) -> bool:
    return any(tag.label == name for tag in document.tags)


CONDITIONS: dict[str, tuple[Condition, Callable[[Document], bool]]] = {
    "tag": (TagIs("t3"), lambda d: carries(d, "t3")),
    "owner": (OwnerIs("ana"), lambda d: d.owner == "ana"),
    "attribute": (AttributeIn("camera", ("c1", "c3", "none")), lambda d: d.attributes.get("camera") in ("c1", "c3")),
    "attribute of another name": (AttributeIn("iso", ("c1",)), lambda _: False),
    "taken from": (TakenBetween(NOON + timedelta(hours=9), None), lambda d: taken(d, NOON + timedelta(hours=9), None)),
    "taken until": (TakenBetween(None, NOON + timedelta(hours=9)), lambda d: taken(d, None, NOON + timedelta(hours=9))),
    "taken at all": (TakenBetween(None, None), lambda d: d.taken_at is not None),
    "taken between, in another zone": (
        TakenBetween(datetime(2024, 6, 1, 14, tzinfo=timezone(timedelta(hours=1))), NOON + timedelta(hours=20)),
        lambda d: taken(d, NOON + timedelta(hours=1), NOON + timedelta(hours=20)),
    ),
    "near a city": (Near(GeoPoint(38.7167, -9.1333), 20), lambda d: d.place in PLACES[7:9]),
    "near, a city further": (Near(GeoPoint(38.7167, -9.1333), 300_000), lambda d: d.place in PLACES[7:]),
    "near the antimeridian": (Near(GeoPoint(0, 179.9), 100_000), lambda d: d.place in PLACES[1:3]),
    "near a pole": (Near(GeoPoint(89.95, 0), 20_000), lambda d: d.place in PLACES[4:6]),
    "near everywhere": (Near(GeoPoint(10, 10), 20_037_509), lambda d: d.place is not None),
    "box": (InBox(GeoPoint(30, -10), GeoPoint(45, -8)), lambda d: d.place in PLACES[7:]),
    "box with its corner on a photo": (InBox(PLACES[7], PLACES[9]), lambda d: d.place in (PLACES[7], PLACES[9])),
    "box across the antimeridian": (InBox(GeoPoint(-1, 179), GeoPoint(20, -179)), lambda d: d.place in PLACES[1:4]),
    "file name": (FileNamePrefix("x"), lambda d: d.photo_id.split("/")[-1].startswith("x")),
    "file name, whole": (FileNamePrefix("y1.jpg"), lambda d: d.photo_id == "b/y1.jpg"),
    "file name is not the folder": (FileNamePrefix("a/"), lambda _: False),
    "any file name": (FileNamePrefix(""), lambda _: True),
    "neither": (
        NoneOf((OwnerIs("ana"), TakenBetween(None, NOON + timedelta(hours=30)), NoneOf((TagIs("t2"),)))),
        lambda d: d.owner != "ana" and not taken(d, None, NOON + timedelta(hours=30)) and carries(d, "t2"),
    ),
    "not near": (NoneOf((Near(GeoPoint(0, 0), 10),)), lambda d: d.place != PLACES[0]),
}  # fmt: skip
CLAUSES: dict[str, tuple[Clause, Callable[[Document], bool]]] = {
    "keyword": (KeywordClause(("t2", "t5")), lambda d: carries(d, "t2") or carries(d, "t5")),
    "text": (
        TextClause(("alpha", "bravo"), (), ("carol",)),
        lambda d: ("alpha" in d.caption or "bravo" in d.caption) and "carol" not in d.caption,
    ),
    "vector": (VectorClause(WHOLE.name, WHOLE.provenance, unit("asked", 1, 32)[0]), lambda _: True),
}  # fmt: skip


def test_every_condition_narrows_every_clause_exactly(index: Index) -> None:
    documents = library()
    index.write(documents)
    index.write([photo("gone.jpg"), tombstone("gone.jpg", 2)])
    for clause_name, (clause, finds) in CLAUSES.items():
        for name, (condition, holds) in CONDITIONS.items():
            expected = sorted(one.photo_id for one in documents if finds(one) and holds(one))
            answer = ask(index, clause, condition)
            assert sorted(ids(answer)) == expected, (clause_name, name)
            assert (answer.total, answer.total_is_exact) == (len(expected), True), (clause_name, name)
        both = (CONDITIONS["owner"], CONDITIONS["tag"])
        expected = sorted(one.photo_id for one in documents if finds(one) and all(holds(one) for _, holds in both))
        assert sorted(ids(ask(index, clause, *(condition for condition, _ in both)))) == expected


def test_great_circle_distance_decides_to_the_metre(index: Index) -> None:
    index.write([photo(f"{i}.jpg", place=place) for i, place in enumerate(PLACES)])
    for center in (GeoPoint(38.7, -9.1), GeoPoint(-89, 12), GeoPoint(0, -180)):
        for i, place in enumerate(PLACES):
            distance = great_circle_m(center, place)
            assert f"{i}.jpg" in ids(ask(index, CLAUSES["vector"][0], Near(center, distance + 1)))
            if distance > 1:
                assert f"{i}.jpg" not in ids(ask(index, CLAUSES["vector"][0], Near(center, distance - 1)))


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("IMG_", ["IMG_1.jpg", "IMG_2.jpg"]),
        ("img_", ["img_3.jpg"]),
        ("IMG%", ["IMG%.jpg"]),
        ("IMG*", []),
        ("é", ["e\u0301b.jpg", "éa.jpg"]),
        ("e", []),
        ("\ud7ff", ["\ud7ff.jpg"]),
        ("\U0010ffff", ["\U0010ffff.jpg"]),
    ],
)
def test_a_file_name_begins_with_exactly_these_characters(index: Index, prefix: str, names: list[str]) -> None:
    every = [
        "IMG_1.jpg",
        "IMG_2.jpg",
        "IMGX.jpg",
        "IMG%.jpg",
        "img_3.jpg",
        "éa.jpg",
        "e\u0301b.jpg",
        "\ud7ff.jpg",
        "\ue000.jpg",
        "\U0010ffff.jpg",
    ]
    index.write([photo(f"IMG_/{name}") for name in every])
    assert sorted(ids(ask(index, CLAUSES["vector"][0], FileNamePrefix(prefix)))) == sorted(f"IMG_/{name}" for name in names)


def test_keywords_rank_by_the_sum_of_probabilities(index: Index) -> None:
    index.write(
        [
            photo("elkhound.jpg", tags=(label("Norwegian Elkhound", 0.6), parent("dog", 0.75))),
            photo("beagle.jpg", tags=(label("beagle", 0.25), parent("dog", 0.25))),
            photo("mine.jpg", tags=(user_tag("Dog"), label("hot dog", 0.5))),
            photo("cat.jpg", tags=(label("tabby", 0.9),)),
        ]
    )
    dogs = ask(index, KeywordClause(("dog",)))
    assert [(match.photo_id, match.score) for match in dogs.matches] == [
        ("mine.jpg", pytest.approx(1, abs=SCORE_ERROR)),
        ("elkhound.jpg", pytest.approx(0.75, abs=SCORE_ERROR)),
        ("beagle.jpg", pytest.approx(0.25, abs=SCORE_ERROR)),
    ]
    assert {(match.distance, match.region) for match in dogs.matches} == {(None, None)}
    both = ask(index, KeywordClause(("norwegian elkhound", "dog", "nothing")))
    assert (both.matches[0].photo_id, both.matches[0].score) == ("elkhound.jpg", pytest.approx(1.35, abs=SCORE_ERROR))
    assert ids(ask(index, KeywordClause(("dog", "dog")))) == ids(dogs)
    assert ids(ask(index, KeywordClause(("elkhound",)))) == []


@pytest.mark.parametrize("tag", ["dr. dog", "1.5", ".", "a..b", ".net", "etc."])
def test_a_tag_with_dots_is_an_ordinary_keyword(index: Index, tag: str) -> None:
    index.write([photo("dotted.jpg", tags=(label(tag, 0.5),)), photo("other.jpg", tags=(label("dr", 0.5), label("5", 0.5)))])
    assert [(one.photo_id, one.score) for one in ask(index, KeywordClause((tag,))).matches] == [
        ("dotted.jpg", pytest.approx(0.5, abs=SCORE_ERROR))
    ]


@pytest.mark.parametrize("case", CASES, ids=[case["text"] for case in CASES])
@pytest.mark.parametrize("field", ["caption", "title", "tag"])
def test_text_is_found_by_its_words_however_written(index: Index, case: dict[str, list[str]], field: str) -> None:
    text = str(case["text"])
    index.write([photo("a.jpg", tags=(user_tag(text),)) if field == "tag" else photo("a.jpg", **{field: text})])
    for query in case["found_by"]:
        assert ids(ask(index, TextClause((query,), (), ()))) == ["a.jpg"], query
        assert ids(ask(index, TextClause((), (query,), ()))) == ["a.jpg"], query
    for query in case["not_found_by"]:
        assert ids(ask(index, TextClause((query,), (), ()))) == [], query


def test_phrases_must_occur_and_excluded_words_must_not(index: Index) -> None:
    captions = {"1": "red boat", "2": "boat red sail", "3": "red boat at anchor", "4": "blue boat", "5": "anchor"}
    index.write([photo(name, caption=caption) for name, caption in captions.items()])
    assert sorted(ids(ask(index, TextClause(("red", "anchor"), (), ())))) == ["1", "2", "3", "5"]
    assert sorted(ids(ask(index, TextClause((), ("red boat",), ())))) == ["1", "3"]
    assert sorted(ids(ask(index, TextClause(("blue",), ("red boat",), ("anchor",))))) == ["1"]
    assert sorted(ids(ask(index, TextClause((), ("red boat", "anchor"), ())))) == ["3"]
    assert sorted(ids(ask(index, TextClause(("boats",), (), ("blue boat",))))) == ["1", "2", "3"]
    assert ids(ask(index, TextClause((), (), ("boat",)))) == []
    assert ids(ask(index, TextClause(("anchor",), ("boat",), ())))[0] == "3", "a word that may occur still counts"


def test_a_phrase_does_not_span_two_tags(index: Index) -> None:
    index.write([photo("a.jpg", tags=(user_tag("red"), user_tag("boat")), title="green", caption="sail")])
    assert ids(ask(index, TextClause(("red", "boat"), (), ()))) == ["a.jpg"]
    for phrase in ("red boat", "boat red", "green sail", "sail red"):
        assert ids(ask(index, TextClause((), (phrase,), ()))) == []


def test_better_texts_stand_first(index: Index) -> None:
    filler = [photo(f"{i}.jpg", caption=f"a view of something number {i}") for i in range(20)]
    index.write(
        [
            *filler,
            photo("one.jpg", caption="a lighthouse among many other things to see there"),
            photo("two.jpg", caption="lighthouse"),
        ]
    )
    answer = ask(index, TextClause(("lighthouse",), (), ()))
    assert ids(answer) == ["two.jpg", "one.jpg"]
    assert answer.matches[0].score > answer.matches[1].score > 0
    assert ids(ask(index, TextClause(("lighthouse", "view"), (), ())))[:2] == ["two.jpg", "one.jpg"], "rare words weigh more"


@pytest.mark.parametrize(
    "clause", [TextClause(("the", "de"), (), ()), TextClause((), ("não",), ()), TextClause((), (), ()), KeywordClause(())]
)
def test_nothing_to_look_for_finds_nothing(index: Index, clause: Clause) -> None:
    index.write([photo("a.jpg", caption="the boat de la mer não")])
    answer = ask(index, clause)
    assert (answer.matches, answer.total, answer.truncated, answer.exact) == ((), 0, False, True)


def test_many_words_are_one_question(index: Index) -> None:
    """As many as the doors take."""
    index.write([photo("a.jpg", caption="w87")])
    assert ids(
        ask(index, TextClause(tuple(f"w{i}" for i in range(88)), (), tuple(f"v{i}" for i in range(MAX_TEXT_TERMS - 88))))
    ) == ["a.jpg"]


@pytest.mark.parametrize("clause_name", CLAUSES)
def test_ties_page_seamlessly_in_code_point_order(index: Index, clause_name: str) -> None:
    names = ["Z", "a", "a/b", "é", "\uff5e", "\U0001f600", *(f"n{i:02}" for i in range(30))]
    same = vectors_of("same")
    index.write([photo(name, tags=(label("t2", 0.5),), caption="alpha", vectors=same) for name in reversed(names)])
    index.write(
        [
            photo(
                "best",
                tags=(label("t2", 0.5), label("t5", 0.5)),
                caption="alpha bravo",
                vectors={WHOLE.name: unit("asked", 1, 32)},
            )
        ]
    )
    clause, _ = CLAUSES[clause_name]
    whole = ask(index, clause)
    assert ids(whole) == ["best", *sorted(names)]
    for limit in (1, 5, 7, 100):
        pages = [ask(index, clause, limit=limit, offset=offset) for offset in range(0, len(names) + 1, limit)]
        assert [match for page in pages for match in page.matches] == list(whole.matches)
        assert {page.total for page in pages} == {len(names) + 1}
    beyond = ask(index, clause, offset=500, limit=10)
    assert (beyond.matches, beyond.total) == ((), len(names) + 1)


def test_documents_come_with_the_matches_or_not(index: Index) -> None:
    index.write(library())
    for clause, _ in CLAUSES.values():
        query = IndexQuery(COLLECTION, clause, limit=7)
        assert [match.document for match in index.search(query).matches] == [
            index.get(COLLECTION, match.photo_id) for match in index.search(query).matches
        ]
        bare = index.search(IndexQuery(COLLECTION, clause, limit=7, with_documents=False))
        assert [match.document for match in bare.matches] == [None] * 7


@pytest.mark.parametrize(("offset", "limit"), [(0, 0), (-1, 10), (0, 10_001), (9_999, 2)])
def test_a_window_beyond_the_rankable_is_refused(index: Index, offset: int, limit: int) -> None:
    with pytest.raises(InvalidArgument, match="limit"):
        ask(index, KeywordClause(("a",)), offset=offset, limit=limit)
