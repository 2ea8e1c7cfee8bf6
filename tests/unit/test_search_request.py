"""Requests of the search service: what is taken, and which field is named when something is wrong."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.document import GeoPoint
from miradouro.core.errors import InvalidArgument
from miradouro.core.query import (
    AttributeIn,
    FileNamePrefix,
    InBox,
    Match,
    Matches,
    Near,
    NoneOf,
    Order,
    OwnerIs,
    TagIs,
    TakenBetween,
    TextClause,
)
from miradouro.core.question import Example, Keywords, Like, Question, Text, keyword_clause, page_of, plan
from miradouro.core.understood import Term, TermOrigin, UnderstoodWord
from miradouro.query.wire import question_bytes, question_from
from miradouro.v1.search_service_pb2 import (
    AttributeFilter,
    BoxFilter,
    EverythingQuery,
    ExampleQuery,
    Facet,
    Filter,
    KeywordQuery,
    LikeQuery,
    NearFilter,
    NotFilter,
    SearchRequest,
    TextQuery,
)

LISBON = {"latitude": 38.71, "longitude": -9.14}
DOG = KeywordQuery(words=["dog"])


def test_a_request_of_words_alone_gets_defaults():
    assert question_from(SearchRequest(keyword=DOG)) == Question(collection="photos", sought=Keywords(("dog",)), limit=10)


@pytest.mark.parametrize(
    ("query", "sought"),
    [
        ({"keyword": {"words": ["dog", "golden retriever"]}}, Keywords(("dog", "golden retriever"))),
        ({"text": {"text": 'a "red car" -blue'}}, Text(TextClause(("a",), ("red car",), ("blue",)))),
        ({"photo": {"data": b"\xff\xd8"}}, Example(b"\xff\xd8")),
        ({"like": {"photo_id": "a/b c.jpg"}}, Like("a/b c.jpg")),
    ],
)
def test_each_kind_of_query_is_read(query, sought):
    assert question_from(SearchRequest(**query)).sought == sought


def test_every_option_of_an_example_is_read():
    request = SearchRequest(
        collection="trips", photo=ExampleQuery(data=b"x"), space="a/b", limit=1_000, max_distance=0.5, exact=True, page_token="t"
    )
    assert question_from(request, read_page=lambda token: {"t": 7}[token]) == Question(
        "trips", Example(b"x"), space="a/b", limit=1_000, page=7, max_distance=0.5, exact=True
    )


@pytest.mark.parametrize("max_distance", [0.0, 2.0])
def test_the_range_of_distances_includes_its_ends(max_distance):
    request = SearchRequest(like=LikeQuery(photo_id="a"), max_distance=max_distance)
    assert question_from(request).max_distance == max_distance


def _like(**options):
    return SearchRequest(like=LikeQuery(photo_id="a"), **options)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (SearchRequest(), "query: it is missing; allowed: one of keyword, text, photo, like, everything"),
        (SearchRequest(keyword=DOG, collection="My Photos"), "collection: 'My Photos' is not a collection name"),
        (SearchRequest(keyword=KeywordQuery()), "keyword.words: 0 words; allowed: 1 to 64"),
        (SearchRequest(keyword=KeywordQuery(words=["dog"] * 65)), "keyword.words: 65 words; allowed: 1 to 64"),
        (SearchRequest(keyword=KeywordQuery(words=["dog", " "])), "keyword.words: ' ' has 1 characters; allowed: 1 to 128"),
        (SearchRequest(keyword=KeywordQuery(words=[""])), "keyword.words: '' has 0 characters; allowed: 1 to 128"),
        (SearchRequest(keyword=KeywordQuery(words=["x" * 129])), "has 129 characters; allowed: 1 to 128"),
        (SearchRequest(text=TextQuery()), "text.text: '' has no word to look for"),
        (SearchRequest(text=TextQuery(text="x" * 1_025)), "text.text: 1,025 characters; allowed: 1 to 1,024"),
        (SearchRequest(like=LikeQuery()), "like.photo_id: 0 bytes; allowed: 1 to 1,024"),
        (SearchRequest(like=LikeQuery(photo_id="é" * 513)), "like.photo_id: 1,026 bytes; allowed: 1 to 1,024"),
        (_like(limit=0), "limit: 0; allowed: 1 to 1,000"),
        (_like(limit=1_001), "limit: 1,001; allowed: 1 to 1,000"),
        (_like(limit=10**9), "limit: 1,000,000,000; allowed: 1 to 1,000"),
        (_like(max_distance=math.nan), "max_distance: nan; allowed: 0 to 2"),
        (_like(max_distance=-0.1), "max_distance: -0.1; allowed: 0 to 2"),
        (_like(max_distance=2.1), "max_distance: 2.1; allowed: 0 to 2"),
        (_like(max_distance=math.inf), "max_distance: inf; allowed: 0 to 2"),
        (SearchRequest(keyword=DOG, max_distance=1.0), "max_distance: it is set, but words have no max_distance"),
        (SearchRequest(text=TextQuery(text="dog"), space="a/b"), "space: it is set, but words have no space"),
        (SearchRequest(everything=EverythingQuery(), space="a/b"), "space: it is set, but words have no space"),
        (SearchRequest(everything=EverythingQuery(), max_distance=1), "max_distance: it is set, but words have no max_distance"),
        (SearchRequest(keyword=DOG, sort=7), "sort: 7 is no order of this version"),
        (SearchRequest(keyword=DOG, facets=[Facet()]), "facets[0].field: 0 is no field to count; allowed: tag, owner"),
        (SearchRequest(keyword=DOG, facets=[Facet(field=9)]), "facets[0].field: 9 is no field"),
        (SearchRequest(keyword=DOG, facets=[Facet(field=1, size=0)]), "facets[0].size: 0; allowed: 1 to 1,000"),
        (SearchRequest(keyword=DOG, facets=[Facet(field=1, size=1_001)]), "facets[0].size: 1,001; allowed"),
        (SearchRequest(keyword=DOG, facets=[Facet(field=1)] * 2), "facets[1].field: tag is asked twice"),
    ],
)
def test_a_wrong_request_names_field_value_and_alternatives(request_, message):
    with pytest.raises(InvalidArgument) as caught:
        question_from(request_)
    assert message in caught.value.message
    assert caught.value.field == caught.value.message.split(":")[0]


def test_pages_beyond_the_ranking_are_refused():
    with pytest.raises(InvalidArgument, match="page_token: answers can be paged up to hit 10,000"):
        question_from(_like(page_token="t"), read_page=lambda _: 10_000)


@pytest.mark.parametrize(
    ("one", "condition"),
    [
        (Filter(tag=" Golden  Retriéver "), TagIs("golden retriever")),
        (Filter(owner="Ana Silva"), OwnerIs("Ana Silva")),
        (Filter(owner=""), OwnerIs("")),
        (Filter(attribute=AttributeFilter(name="rating", values=["4", ""])), AttributeIn("rating", ("4", ""))),
        (Filter(near=NearFilter(center=LISBON, radius_m=20_037_509)), Near(GeoPoint(38.71, -9.14), 20_037_509)),
        (
            Filter(box=BoxFilter(south_west={"latitude": -1, "longitude": 170}, north_east={"latitude": 1, "longitude": -170})),
            InBox(GeoPoint(-1, 170), GeoPoint(1, -170)),
        ),
        (Filter(file_name_prefix="IMG_"), FileNamePrefix("IMG_")),
        (Filter(**{"not": NotFilter(filters=[Filter(tag="cat")])}), NoneOf((TagIs("cat"),))),
        (
            Filter(taken={"from": datetime(2024, 5, 1, tzinfo=UTC), "until": datetime(2024, 6, 1, tzinfo=UTC)}),
            TakenBetween(datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC)),
        ),
        (Filter(taken={"until": datetime(2024, 6, 1, tzinfo=UTC)}), TakenBetween(None, datetime(2024, 6, 1, tzinfo=UTC))),
        (
            Filter(taken={"local_from": "2024", "local_until": "2024-06-01T18:30"}),
            TakenBetween(datetime(2024, 1, 1), datetime(2024, 6, 1, 18, 30)),  # noqa: DTZ001 # wall clocks
        ),
    ],
)
def test_each_filter_becomes_its_condition(one, condition):
    assert question_from(SearchRequest(keyword=DOG, filters=[one])).conditions == (condition,)


def _near(latitude=0.0, longitude=0.0, radius_m=1.0):
    return Filter(near=NearFilter(center={"latitude": latitude, "longitude": longitude}, radius_m=radius_m))


def _box(south, north):
    return Filter(box=BoxFilter(south_west={"latitude": south}, north_east={"latitude": north}))


def _nested(depth):
    one = Filter(tag="dog")
    for _ in range(depth):
        one = Filter(**{"not": NotFilter(filters=[one])})
    return one


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (Filter(), "filters[0]: no condition is set; allowed: tag, owner,"),
        (Filter(tag=""), "filters[0].tag: 0 characters; allowed: 1 to 128"),
        (Filter(tag="  "), "filters[0].tag: 0 characters; allowed: 1 to 128"),
        (Filter(tag="x" * 129), "filters[0].tag: 129 characters; allowed: 1 to 128"),
        (Filter(owner="x" * 257), "filters[0].owner: 257 characters; allowed: 0 to 256"),
        (Filter(attribute=AttributeFilter(name="a")), "filters[0].attribute.values: 0 values; allowed: 1 to 64"),
        (
            Filter(attribute=AttributeFilter(name="a", values=["b"] * 65)),
            "filters[0].attribute.values: 65 values; allowed: 1 to 64",
        ),
        (Filter(attribute=AttributeFilter(values=["b"])), "filters[0].attribute.name: 0 characters; allowed: 1 to 128"),
        (_near(latitude=90.1), "filters[0].near.center.latitude: 90.1 is not within -90 to 90 degrees"),
        (_near(longitude=-180.1), "filters[0].near.center.longitude: -180.1 is not within -180 to 180 degrees"),
        (_near(latitude=math.nan), "filters[0].near.center.latitude: nan is not within"),
        (_near(radius_m=0), "filters[0].near.radius_m: 0.0 m; allowed: more than 0, at most 20,037,509"),
        (_near(radius_m=-5), "filters[0].near.radius_m: -5.0 m"),
        (_near(radius_m=2e8), "filters[0].near.radius_m: 200000000.0 m"),
        (_near(radius_m=math.nan), "filters[0].near.radius_m: nan m"),
        (Filter(near=NearFilter(radius_m=1)), "filters[0].near.center: it is missing"),
        (Filter(box=BoxFilter(north_east=LISBON)), "filters[0].box.south_west: it is missing"),
        (Filter(box=BoxFilter(south_west=LISBON)), "filters[0].box.north_east: it is missing"),
        (_box(10, 5), "filters[0].box.south_west.latitude: 10.0 lies north of the other corner's 5.0"),
        (_box(-91, 5), "filters[0].box.south_west.latitude: -91.0 is not within"),
        (Filter(file_name_prefix=""), "filters[0].file_name_prefix: 0 characters"),
        (Filter(file_name_prefix="a/b"), "filters[0].file_name_prefix: 'a/b' holds a /"),
        (Filter(**{"not": NotFilter()}), "filters[0].not.filters: 0 conditions; allowed: 1 to 256"),
        (Filter(**{"not": NotFilter(filters=[Filter(tag="")])}), "filters[0].not.filters[0].tag: 0 characters"),
        (_nested(8), "conditions lie 9 deep; allowed: at most 8"),
        (Filter(taken={"from": {"seconds": 10**12}}), "filters[0].taken.from: 1000000000000 s, 0 ns is no instant"),
        (
            Filter(taken={"from": {"seconds": 5}, "until": {"seconds": 5}}),
            "filters[0].taken.until: 1970-01-01T00:00:05+00:00 is not after",
        ),
        (Filter(taken={"local_from": "may"}), "filters[0].taken.local_from: 'may' is no time; write 2024"),
        (Filter(taken={"local_until": "2024-05-01T18:30Z"}), "filters[0].taken.local_until: '2024-05-01T18:30Z' has an offset"),
        (Filter(taken={"from": {"seconds": 5}, "local_from": "2024"}), "filters[0].taken.local_from: from is set, too"),
        (
            Filter(taken={"local_from": "2024", "local_until": "2024"}),
            "filters[0].taken.local_until: 2024-01-01T00:00:00 is not after",
        ),
    ],
)
def test_a_wrong_filter_is_refused_with_its_place(one, message):
    with pytest.raises(InvalidArgument) as caught:
        question_from(SearchRequest(keyword=DOG, filters=[one]))
    assert message in caught.value.message


def _none_of(*filters):
    return Filter(**{"not": NotFilter(filters=filters)})


TAG = Filter(tag="cat")
VALUES = Filter(attribute=AttributeFilter(name="a", values=["b"] * 64))


@pytest.mark.parametrize(
    ("allowed", "one_more"),
    [
        ([TAG] * 256, TAG),
        ([_none_of(*[TAG] * 63)] * 4, TAG),
        ([_none_of(_none_of(_none_of(*[TAG] * 252))), TAG], TAG),
        ([VALUES] * 4, TAG),
        ([_none_of(VALUES)] * 3 + [TAG] * 61, TAG),
    ],
    ids=["one level", "two levels", "four levels", "values", "values below"],
)
def test_conditions_are_limited_in_all(allowed, one_more):
    assert len(question_from(SearchRequest(keyword=DOG, filters=allowed)).conditions) == len(allowed)
    with pytest.raises(InvalidArgument, match="filters: more than 256 conditions and values in all"):
        question_from(SearchRequest(keyword=DOG, filters=[*allowed, one_more]))


def test_only_pages_of_one_answer_share_a_question():
    first = question_bytes(SearchRequest(keyword=DOG))
    assert question_bytes(SearchRequest(keyword=DOG, collection="photos", limit=5, page_token="t")) == first
    others = [
        SearchRequest(keyword=KeywordQuery(words=["cat"])),
        SearchRequest(text=TextQuery(text="dog")),
        SearchRequest(keyword=DOG, collection="trips"),
        SearchRequest(keyword=DOG, filters=[Filter(tag="cat")]),
        SearchRequest(keyword=DOG, exact=True),
    ]
    assert len({first, *map(question_bytes, others)}) == 1 + len(others)


def test_a_tag_that_two_words_lead_to_has_the_larger_weight():
    terms = [Term("dog", TermOrigin.PARENT, 0.7), Term("dog", TermOrigin.EXACT), Term("cat", TermOrigin.SPELLING, 0.8)]
    clause = keyword_clause(UnderstoodWord(term.text, (term,)) for term in terms)
    assert clause.weighted == {"dog": 1.0, "cat": 0.8}


@given(total=st.integers(0, 12_000), limit=st.integers(20, 1_000))
def test_pages_of_a_ranking_show_each_hit_once(total, limit):
    seen, page = 0, 0
    while page is not None:
        question = Question("photos", Text(TextClause(("dog",), (), ())), limit=limit, page=page)
        query = plan(question, None)
        assert query.clause == TextClause(("dog",), (), ())
        found = max(0, min(query.limit, total - page))
        shown, page = page_of(question, query, Matches((Match("a", 1.0, None, None, None),) * found, total, True, False, True))
        seen += len(shown.matches)
    assert seen == min(total, 10_000)


@given(total=st.integers(0, 12_000), limit=st.integers(500, 1_000), order=st.sampled_from(Order))
def test_pages_of_a_listing_show_each_hit_once(total, limit, order):
    everything = [Match(f"{i:05}", 1 - i / 20_000, None, None, None) for i in range(total)]
    seen, page = [], 0
    while page is not None:
        question = Question("photos", Keywords(("dog",)), limit=limit, page=page, order=order)
        query = plan(question, None)
        assert query.offset == 0
        rest = [match for match in everything if query.after is None or match.photo_id > query.after.photo_id]
        shown, page = page_of(question, query, Matches(tuple(rest[: query.limit]), total, True, False, True))
        assert len(shown.matches) <= limit
        seen += shown.matches
    assert seen == everything
