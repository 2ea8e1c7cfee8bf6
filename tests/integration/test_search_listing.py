"""Listings, order by time, facets and page tokens through the search service, over gRPC."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from miradouro.adapters.onnx_embedder import OnnxEmbedder
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.bundles.words import load_words
from miradouro.core.document import TakenAt
from miradouro.embedding.composition import run_embedding
from miradouro.query.service import SearchService
from miradouro.runtime.grpc_client import open_channel
from miradouro.runtime.grpc_server import Service, running
from miradouro.runtime.security import OPEN_TO_ALL
from miradouro.v1 import search_service_pb2 as pb
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub
from prometheus_client import CollectorRegistry

from tests.photo_documents import SPACES, WHOLE, label, photo, tombstone, unit
from tests.reading import READER, READING
from tests.tiny_bundle import tiny_bundles
from tests.waiting import WAIT_S

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
IDS = [f"{i:02}.jpg" for i in range(12)]
EVERYTHING = pb.EverythingQuery()
Ask = Callable[[pb.SearchRequest], pb.SearchResponse]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SqliteIndex]:
    """Twelve photos: a month apart, newest first; the last two without a time."""
    with SqliteIndex.open(tmp_path / "data", writer=True) as opened:
        opened.ensure_collection("photos", spaces=SPACES)
        opened.write(
            [
                photo(
                    photo_id,
                    owner="ana" if i % 3 else "rui",
                    tags=(label("dog", 0.99 - i / 20), *((label("cat", 0.5),) if i % 2 else ())),
                    attributes={"camera": "Leica Q3" if i < 5 else "X100"},
                    taken_at=TakenAt(NOON - timedelta(days=30 * i), 60) if i < 10 else None,
                )
                for i, photo_id in enumerate(IDS)
            ]
        )
        yield opened


@pytest.fixture
def ask(index: SqliteIndex, tmp_path: Path) -> Iterator[Ask]:
    networks = OnnxEmbedder(tiny_bundles(tmp_path / "bundles"), threads=1)
    with run_embedding(networks, reading=READING, registry=CollectorRegistry()) as parts:
        service = SearchService(
            index=index, embedder=parts.embedder, reader=READER, lexicon=load_words, default_space=WHOLE.name, page_key=b"k" * 32
        )
        wire = Service(pb.DESCRIPTOR.services_by_name["SearchService"], service)
        with running([wire], security=OPEN_TO_ALL) as server, open_channel(server.target) as channel:
            stub = SearchServiceStub(channel)
            yield lambda request: stub.Search(request, timeout=WAIT_S)


def ids(answer: pb.SearchResponse) -> list[str]:
    return [hit.photo_id for hit in answer.hits]


def refused(ask: Ask, request: pb.SearchRequest) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        ask(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    return str(caught.value.details())


def test_filtered_photos_are_listed_newest_first(ask):
    request = pb.SearchRequest(everything=EVERYTHING, filters=[pb.Filter(owner="ana")], sort=pb.SORT_ORDER_TAKEN, limit=100)
    answer = ask(request)
    assert ids(answer) == [photo_id for i, photo_id in enumerate(IDS) if i % 3]
    assert (answer.total, answer.total_is_exact, answer.exact, answer.next_page_token) == (8, True, True, "")
    assert answer.hits[0].taken_at.instant.ToDatetime(UTC) == NOON - timedelta(days=30)
    assert answer.hits[0].taken_at.utc_offset_minutes == 60
    assert not answer.hits[-1].HasField("taken_at")
    assert {(hit.score, hit.HasField("distance"), hit.space) for hit in answer.hits} == {(0.0, False, "")}
    assert ids(ask(pb.SearchRequest(everything=EVERYTHING, limit=100))) == IDS


@pytest.mark.parametrize(
    "query",
    [{"everything": EVERYTHING}, {"keyword": {"words": ["dog"]}}, {"everything": EVERYTHING, "sort": pb.SORT_ORDER_TAKEN}],
)
def test_pages_keep_their_place_while_photos_change(ask, index, query):
    first = ask(pb.SearchRequest(**query, limit=5))
    assert ids(first) == IDS[:5]
    early = photo("00-new.jpg", tags=(label("dog", 1.0),), taken_at=TakenAt(NOON + timedelta(days=1), None))
    index.write([early, tombstone(IDS[1], 2), tombstone(IDS[4], 2)])
    second = ask(pb.SearchRequest(**query, limit=3, page_token=first.next_page_token))
    last = ask(pb.SearchRequest(**query, limit=100, page_token=second.next_page_token))
    assert ids(second) + ids(last) == IDS[5:]
    assert (second.total, last.total, last.next_page_token) == (11, 11, "")


def test_the_last_page_is_marked_even_when_full(ask):
    answer = ask(pb.SearchRequest(everything=EVERYTHING, limit=12))
    assert (len(answer.hits), answer.next_page_token) == (12, "")
    assert ask(pb.SearchRequest(everything=EVERYTHING, limit=11)).next_page_token


def test_a_token_is_good_for_its_question_alone(ask):
    dogs = {"keyword": {"words": ["dog"]}}
    token = ask(pb.SearchRequest(**dogs, limit=3)).next_page_token
    assert ids(ask(pb.SearchRequest(**dogs, limit=4, page_token=token, facets=[pb.Facet(field="FACET_FIELD_TAG")]))) == IDS[3:7]
    for other in (
        {"keyword": {"words": ["cat"]}},
        {"everything": EVERYTHING},
        {**dogs, "sort": pb.SORT_ORDER_TAKEN},
        {**dogs, "filters": [pb.Filter(owner="ana")]},
        {**dogs, "collection": "other"},
    ):
        assert "page_token: not a token of this question" in refused(ask, pb.SearchRequest(**other, page_token=token))
    altered = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    assert "page_token: not a token of this question" in refused(ask, pb.SearchRequest(**dogs, page_token=altered))


def test_facets_count_all_matches_in_the_requested_order(ask):
    facets = [
        pb.Facet(field=pb.FACET_FIELD_YEAR),
        pb.Facet(field=pb.FACET_FIELD_CAMERA),
        pb.Facet(field=pb.FACET_FIELD_TAG, size=1),
        pb.Facet(field=pb.FACET_FIELD_OWNER),
    ]

    def counts(**query) -> list[tuple[dict[str, int], int]]:
        answer = ask(pb.SearchRequest(**query, facets=facets, limit=1))
        assert [facet.field for facet in answer.facets] == [facet.field for facet in facets]
        return [({one.value: one.photos for one in facet.counts}, facet.values) for facet in answer.facets]

    whole = [({"2024": 6, "2023": 4}, 2), ({"Leica Q3": 5, "X100": 7}, 2), ({"dog": 12}, 2), ({"ana": 8, "rui": 4}, 2)]
    assert counts(everything=EVERYTHING) == whole
    assert counts(like={"photo_id": IDS[0]}) == whole, "without max_distance every photo is in the ranking"
    assert counts(keyword={"words": ["cat"]}, filters=[pb.Filter(owner="rui")]) == [
        ({"2024": 1, "2023": 1}, 2),
        ({"Leica Q3": 1, "X100": 1}, 2),
        ({"cat": 2}, 2),
        ({"rui": 2}, 1),
    ]
    assert counts(like={"photo_id": IDS[0]}, max_distance=0.01) == [
        ({"2024": 1}, 1),
        ({"Leica Q3": 1}, 1),
        ({"dog": 1}, 1),
        ({"rui": 1}, 1),
    ]


def test_listing_neighbours_by_time_needs_a_maximum_distance(ask, index):
    near = {WHOLE.name: unit("same", 1, 32)}
    provenances = {WHOLE.name: WHOLE.provenance}
    index.write(
        [
            photo(f"near{i}.jpg", vectors=near, provenances=provenances, taken_at=TakenAt(NOON + timedelta(days=i), None))
            for i in range(3)
        ]
    )
    like = {"like": {"photo_id": "near0.jpg"}, "sort": pb.SORT_ORDER_TAKEN}
    answer = ask(pb.SearchRequest(**like, max_distance=0.1, limit=2))
    assert (ids(answer), answer.total) == (["near2.jpg", "near1.jpg"], 3)
    assert [hit.distance for hit in answer.hits] == pytest.approx([0, 0], abs=1e-3)
    assert ids(ask(pb.SearchRequest(**like, max_distance=0.1, page_token=answer.next_page_token))) == ["near0.jpg"]
    assert refused(ask, pb.SearchRequest(**like)).startswith("sort: every photo has some distance, so all would be listed;")
