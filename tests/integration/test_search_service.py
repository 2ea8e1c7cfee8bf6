"""The search service over the real index and real (small) networks: every kind of question, its pages, and its refusals."""

from collections.abc import Iterator
from dataclasses import replace

import grpc
import numpy as np
import pytest
from miradouro.adapters.onnx_embedder import OnnxEmbedder
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.bundles.words import load_words
from miradouro.core.codes import stored_form
from miradouro.core.decode import decode
from miradouro.core.document import Document, GeoPoint, Tag, TagKind
from miradouro.core.errors import (
    BadPhoto,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    MiradouroError,
    NotFound,
    ProvenanceMismatch,
)
from miradouro.core.spaces import Preset, Space, Storage, needed_geometries
from miradouro.core.understood import Meaning
from miradouro.embedding.batcher import Batcher
from miradouro.embedding.composition import run_embedding
from miradouro.query.service import SearchService
from miradouro.runtime.call import Call
from miradouro.runtime.grpc_client import open_channel, typed_error
from miradouro.runtime.grpc_server import Service, running
from miradouro.runtime.security import OPEN_TO_ALL
from miradouro.v1 import search_service_pb2 as pb
from miradouro.v1.photo_event_pb2 import Region
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub
from prometheus_client import CollectorRegistry

from tests import photo_documents
from tests.pictures import jpeg, png_that_claims
from tests.reading import READER, READING
from tests.tiny_bundle import SPACES, tiny_bundles
from tests.waiting import WAIT_S

PHOTOS = {f"trip/{name}.jpg": jpeg(64, 48, seed=seed, quality=95) for seed, name in enumerate("abcdefgh")}
IDS = sorted(PHOTOS)
KEY = b"k" * 32
DEFAULT = "tiny/deep"
QUARTER = Region(x=0, y=0, width=0.5, height=0.5)


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batcher]:
    networks = OnnxEmbedder(tiny_bundles(tmp_path_factory.mktemp("bundles")), threads=1)
    with run_embedding(networks, reading=READING, registry=CollectorRegistry()) as parts:
        yield parts.embedder


@pytest.fixture(scope="module")
def index(embedder: Batcher, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteIndex]:
    with SqliteIndex.open(tmp_path_factory.mktemp("data"), writer=True) as opened:
        opened.ensure_collection("photos", spaces=_spaces(embedder))
        opened.write([_document(photo_id, number, embedder) for number, photo_id in enumerate(IDS)])
        yield opened


@pytest.fixture(scope="module")
def search(index: SqliteIndex, embedder: Batcher) -> SearchService:
    return _service(index, embedder)


def _service(index: SqliteIndex, embedder: Batcher, **options) -> SearchService:
    defaults = {"lexicon": load_words, "default_space": DEFAULT, "page_key": KEY}
    return SearchService(index=index, embedder=embedder, reader=READER, **(defaults | options))


def _spaces(embedder: Batcher) -> list[Space]:
    return [space for bundle in embedder.describe() for space in bundle.spaces]


def _document(photo_id: str, number: int, embedder: Batcher) -> Document:
    """Photo `number`: tagged elkhound with 0.9, 0.8, …, dog with half a tenth more; even ones Ana's, captioned, by the sea."""
    is_even = number % 2 == 0
    tags = [Tag("dog", 0.95 - number / 10, TagKind.PARENT), Tag("elkhound", 0.9 - number / 10, TagKind.LABEL)]
    if number == 3:
        tags.append(Tag("couch", 1.0, TagKind.USER))
    if number == 4:
        tags.append(Tag("sofa", 0.4, TagKind.LABEL))
    geometries = needed_geometries(embedder.describe(), SPACES, tags=False)
    [embedding] = embedder.embed([decode(PHOTOS[photo_id], geometries).tensors], spaces=SPACES)
    return Document(
        collection="photos",
        photo_id=photo_id,
        version=number + 1,
        uri=f"file:///{photo_id}",
        sha256=f"{number:064x}",
        perceptual_hash=f"{number:016x}",
        width=64,
        height=48,
        title="Beach" if is_even else "",
        caption="Waves at the red lighthouse" if is_even else "A quiet street",
        tags=tuple(tags),
        owner="Ana" if is_even else "Rui",
        attributes={"rating": str(number)},
        place=GeoPoint(38.7, -9.4) if is_even else None,
        vectors={space.name: stored_form(embedding.vectors[space.name], space) for space in _spaces(embedder)},
        provenances={space.name: space.provenance for space in _spaces(embedder)},
    )


def _example(photo_id: str, **options) -> pb.SearchRequest:
    return pb.SearchRequest(photo=pb.ExampleQuery(data=PHOTOS[photo_id]), **options)


def _ids(response: pb.SearchResponse) -> list[str]:
    return [hit.photo_id for hit in response.hits]


def test_a_keyword_ranks_its_photos_by_probability(search):
    response = search.Search(pb.SearchRequest(keyword=pb.KeywordQuery(words=["elkhound"])), Call())
    assert _ids(response) == IDS
    assert [hit.score for hit in response.hits] == pytest.approx([0.9 - number / 10 for number in range(8)])
    assert (response.total, response.total_is_exact, response.truncated, response.exact) == (8, True, False, True)
    assert not any(hit.HasField("distance") or hit.space or hit.HasField("region") for hit in response.hits)
    assert response.took_ms > 0


def test_a_hit_shows_stored_fields_user_tags_first(search):
    [hit] = search.Search(pb.SearchRequest(keyword=pb.KeywordQuery(words=["couch"]), limit=1), Call()).hits
    assert (hit.photo_id, hit.uri, hit.caption, hit.caption_is_generated) == (
        IDS[3],
        f"file:///{IDS[3]}",
        "A quiet street",
        False,
    )
    kinds = [pb.TAG_KIND_USER, pb.TAG_KIND_LABEL, pb.TAG_KIND_PARENT]
    assert [(tag.label, tag.kind) for tag in hit.tags] == list(zip(["couch", "elkhound", "dog"], kinds, strict=True))


def test_a_synonym_finds_its_label_and_user_tags(search):
    assert load_words().meanings("couch") == (Meaning("sofa", 0),)
    response = search.Search(pb.SearchRequest(keyword=pb.KeywordQuery(words=["Couch"])), Call())
    assert [(hit.photo_id, hit.score) for hit in response.hits] == [(IDS[3], 1.0), (IDS[4], pytest.approx(0.4))]


def test_the_words_of_a_keyword_question_add_up(search):
    response = search.Search(pb.SearchRequest(keyword=pb.KeywordQuery(words=["dog", "elkhound"]), limit=1), Call())
    assert response.hits[0].score == pytest.approx(1.85)


def test_text_search_stems_words_and_excludes_others(search):
    def found(text):
        return sorted(_ids(search.Search(pb.SearchRequest(text=pb.TextQuery(text=text)), Call())))

    assert found("wave") == IDS[::2]
    assert found('"red lighthouses"') == IDS[::2]
    assert found('"lighthouse red"') == []
    assert found("streets beach") == IDS
    assert found("street -quiet") == []
    assert found("elkhound -beach") == IDS[1::2]


@pytest.mark.parametrize("space", SPACES)
def test_every_photo_finds_itself_by_bytes_and_id(search, space):
    for photo_id in IDS:
        for request in (_example(photo_id, space=space), pb.SearchRequest(like=pb.LikeQuery(photo_id=photo_id), space=space)):
            response = search.Search(request, Call())
            hit = response.hits[0]
            assert (hit.photo_id, hit.space, response.total) == (photo_id, space, 8)
            assert hit.distance < 0.01
            assert [one.score for one in response.hits] == pytest.approx([1 - one.distance / 2 for one in response.hits])
            assert [one.distance for one in response.hits] == sorted(one.distance for one in response.hits)


def test_a_region_hit_has_its_box_and_distance(search, index):
    response = search.Search(pb.SearchRequest(like=pb.LikeQuery(photo_id=IDS[0]), space="tiny/deep/regions"), Call())
    assert (response.hits[0].region.x, response.hits[0].region.width) == (0, 1)
    asked = index.vector("photos", IDS[0], "tiny/deep/regions")[0]
    for hit in response.hits:
        rows = index.vector("photos", hit.photo_id, "tiny/deep/regions")
        assert hit.distance == pytest.approx(np.linalg.norm(rows - asked, axis=1).min(), abs=1e-3)


def test_the_default_space_and_pooling_apply(search, index, embedder):
    assert {hit.space for hit in search.Search(_example(IDS[0]), Call()).hits} == {DEFAULT}
    other = _service(index, embedder, default_space="tiny/shallow")
    assert {hit.space for hit in other.Search(_example(IDS[0]), Call()).hits} == {"tiny/shallow/avg"}


def test_max_distance_bounds_the_hits_and_the_total(search):
    everything = search.Search(_example(IDS[0]), Call())
    limit = (everything.hits[2].distance + everything.hits[3].distance) / 2
    near = search.Search(_example(IDS[0], max_distance=limit), Call())
    assert _ids(near) == _ids(everything)[:3]
    assert (near.total, near.truncated) == (3, False)


@pytest.mark.parametrize("limit", [8, 2])
def test_more_mixes_the_first_hits_into_the_example(search, index, limit):
    plain = search.Search(pb.SearchRequest(like=pb.LikeQuery(photo_id=IDS[0]), space="tiny/deep"), Call())
    nearest = _ids(plain)[1:4]  # the photo itself is the first
    request = pb.SearchRequest(like=pb.LikeQuery(photo_id=IDS[0]), space="tiny/deep", more=True, limit=limit)
    pages = [search.Search(request, Call())]
    while pages[-1].next_page_token:
        request.page_token = pages[-1].next_page_token
        pages.append(search.Search(request, Call()))
    assert {tuple(page.mixed_in) for page in pages} == {tuple(nearest)}
    [space] = [space for space in index.spaces("photos") if space.name == "tiny/deep"]
    assert space.storage is Storage.INT8
    codes = {photo_id: index.vector("photos", photo_id, space.name) for photo_id in IDS}
    vectors = {photo_id: rows[0] / np.linalg.norm(rows[0].astype(np.float64)) for photo_id, rows in codes.items()}
    example = vectors[IDS[0]]
    mixture = example + sum(max(example @ vectors[one], 0) ** 3 * vectors[one] for one in nearest)
    [asked] = stored_form((mixture / np.linalg.norm(mixture)).astype(np.float32)[None], space)
    distances = {one: photo_documents.distances(rows, asked)[0] for one, rows in codes.items()}
    hits = [hit for page in pages for hit in page.hits]
    assert [hit.photo_id for hit in hits] == sorted(IDS, key=distances.__getitem__)
    assert [hit.distance for hit in hits] == pytest.approx(sorted(distances.values()), abs=1e-5)


def test_more_of_one_photo_alone_is_that_photo(search):
    request = _example(IDS[1], space="tiny/deep", more=True, filters=[pb.Filter(file_name_prefix="b.jpg")])
    answer = search.Search(request, Call())
    assert (_ids(answer), list(answer.mixed_in)) == ([IDS[1]], [IDS[1]])


def test_filters_narrow_every_kind_of_question(search):
    anas = [pb.Filter(owner="Ana")]
    for request in (
        pb.SearchRequest(keyword=pb.KeywordQuery(words=["dog"]), filters=anas),
        pb.SearchRequest(text=pb.TextQuery(text="waves street"), filters=anas),
        _example(IDS[1], filters=anas),
        pb.SearchRequest(like=pb.LikeQuery(photo_id=IDS[1]), filters=anas),
    ):
        response = search.Search(request, Call())
        assert set(_ids(response)) == set(IDS[::2])
        assert response.total == 4
    far = pb.Filter(
        **{"not": pb.NotFilter(filters=[pb.Filter(near=pb.NearFilter(center={"latitude": 38.7, "longitude": -9.4}, radius_m=9))])}
    )
    assert _ids(search.Search(pb.SearchRequest(keyword=pb.KeywordQuery(words=["dog"]), filters=[far]), Call())) == IDS[1::2]


def test_pages_show_every_hit_once_until_the_last(search):
    for request in (pb.SearchRequest(keyword=pb.KeywordQuery(words=["dog"]), limit=3), _example(IDS[0], limit=3)):
        whole = pb.SearchRequest()
        whole.CopyFrom(request)
        whole.limit = 100
        pages = []
        while True:
            response = search.Search(request, Call())
            pages.append(_ids(response))
            if not response.next_page_token:
                break
            request.page_token = response.next_page_token
        assert [len(page) for page in pages] == [3, 3, 2]
        assert sum(pages, []) == _ids(search.Search(whole, Call()))  # noqa: RUF017 # three short lists


def test_an_altered_or_foreign_page_token_is_refused(search):
    first = search.Search(_example(IDS[0], limit=3), Call())
    token = first.next_page_token
    for request in (
        _example(IDS[0], limit=3, page_token=token[:-1] + ("A" if token[-1] != "A" else "B")),
        _example(IDS[1], limit=3, page_token=token),
        _example(IDS[0], limit=3, page_token=token, space="wee/features"),
    ):
        with pytest.raises(InvalidArgument, match="page_token: not a token of this question"):
            search.Search(request, Call())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"space": "tiny/pool9"}, InvalidArgument, "space: 'tiny/pool9' is not a known space; allowed: tiny/shallow/avg,"),
        ({"space": "tiny/deep/regions", "more": True}, InvalidArgument, "more: tiny/deep/regions compares parts of photos"),
        (
            {"photo": pb.ExampleQuery(data=PHOTOS[IDS[0]], region=QUARTER), "more": True},
            InvalidArgument,
            "more: it is set, and so is a",
        ),
        ({"keyword": pb.KeywordQuery(words=["dog"]), "photo": None, "more": True}, InvalidArgument, "more: it is set, but words"),
        ({"collection": "trips"}, NotFound, "collection 'trips' does not exist"),
        ({"photo": pb.ExampleQuery()}, BadPhoto, "photo: the photo has 0 bytes"),
        ({"photo": pb.ExampleQuery(data=b"nonsense")}, BadPhoto, "no picture format"),
        ({"photo": pb.ExampleQuery(data=jpeg(64, 48)[:-300])}, BadPhoto, "the JPEG data ends after"),
        ({"photo": pb.ExampleQuery(data=png_that_claims(20_000, 10_000))}, BadPhoto, "20,000 x 10,000 pixels"),
    ],
)
def test_an_invalid_question_names_its_mistake(search, change, error, message):
    request = pb.SearchRequest(**({"photo": pb.ExampleQuery(data=PHOTOS[IDS[0]])} | change))
    with pytest.raises(error) as caught:
        search.Search(request, Call())
    assert message in caught.value.message


def test_an_unindexed_photo_id_is_not_found(search):
    with pytest.raises(NotFound, match=r"photo 'nowhere\.jpg'"):
        search.Search(pb.SearchRequest(like=pb.LikeQuery(photo_id="nowhere.jpg")), Call())


@pytest.mark.parametrize("query", [{"keyword": {"words": ["dog"]}}, {"text": {"text": "dog"}}, {"like": {"photo_id": "a"}}])
def test_an_unknown_collection_is_never_found(search, query):
    with pytest.raises(NotFound, match="collection 'trips'"):
        search.Search(pb.SearchRequest(collection="trips", **query), Call())


def test_an_expired_question_is_not_embedded(search):
    with pytest.raises(DeadlineExceeded):
        search.Search(_example(IDS[0]), Call(deadline=0.0))


def test_vectors_of_another_provenance_are_never_compared(embedder, tmp_path):
    spaces = [replace(space, provenance="e" * 64) for space in _spaces(embedder)]
    with SqliteIndex.open(tmp_path, writer=True) as index:
        index.ensure_collection("photos", spaces=spaces)
        with pytest.raises(ProvenanceMismatch, match="e" * 64):
            _service(index, embedder).Search(_example(IDS[0]), Call())


def test_an_unloaded_bundles_space_is_a_failed_precondition(embedder, tmp_path):
    other = Space("other", "features", "", 4, "e" * 64, preset=Preset.STANDARD, is_default_pooling=True)
    with SqliteIndex.open(tmp_path, writer=True) as index:
        index.ensure_collection("photos", spaces=[other])
        with pytest.raises(FailedPrecondition, match="its bundle other is not loaded; loaded: tiny, wee"):
            _service(index, embedder).Search(_example(IDS[0], space="other/features"), Call())


def test_get_photo_returns_stored_fields_and_spaces(search):
    photo = search.GetPhoto(pb.GetPhotoRequest(photo_id=IDS[2]), Call()).photo
    assert (photo.collection, photo.version, photo.width, photo.height) == ("photos", 3, 64, 48)
    assert (photo.title, photo.owner, dict(photo.attributes)) == ("Beach", "Ana", {"rating": "2"})
    assert (photo.place.latitude, photo.place.longitude) == (38.7, -9.4)
    assert not photo.HasField("taken_at")
    assert sorted(photo.spaces) == sorted(SPACES)


def test_get_photo_lists_only_spaces_with_its_vectors(embedder, tmp_path):
    whole = _document(IDS[0], 0, embedder)
    with SqliteIndex.open(tmp_path, writer=True) as index:
        index.ensure_collection("photos", spaces=_spaces(embedder))
        index.write([replace(whole, vectors={DEFAULT: whole.vectors[DEFAULT]})])
        photo = _service(index, embedder).GetPhoto(pb.GetPhotoRequest(photo_id=IDS[0]), Call()).photo
    assert list(photo.spaces) == [DEFAULT]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (pb.GetPhotoRequest(photo_id="nowhere.jpg"), NotFound),
        (pb.GetPhotoRequest(photo_id="a", collection="trips"), NotFound),
        (pb.GetPhotoRequest(), InvalidArgument),
        (pb.GetPhotoRequest(photo_id="a", collection="No Name"), InvalidArgument),
    ],
)
def test_get_photo_refuses_unknown_and_invalid_names(search, request_, error):
    with pytest.raises(error):
        search.GetPhoto(request_, Call())


def test_stats_count_every_collection_and_space(search, embedder):
    response = search.Stats(pb.StatsRequest(), Call())
    [photos] = response.collections
    assert (photos.name, photos.root, photos.photos, photos.deleted, photos.failed) == ("photos", "", 8, 0, 0)
    assert {space.name: space.vectors for space in photos.spaces} == {
        space.name: 8 * space.vectors_per_photo for space in _spaces(embedder)
    }
    assert response.bytes > 8 * 1_000


def test_the_same_answers_and_errors_come_over_grpc(search):
    service = Service(pb.DESCRIPTOR.services_by_name["SearchService"], search)
    with running([service], security=OPEN_TO_ALL) as server, open_channel(server.target) as channel:
        stub = SearchServiceStub(channel)
        request = _example(IDS[0], limit=3)
        here, there = search.Search(request, Call()), stub.Search(request, timeout=WAIT_S)
        assert [*here.hits] == [*there.hits]
        assert here.next_page_token == there.next_page_token
        for wrong in (_example(IDS[0], limit=0), _example(IDS[0], collection="trips")):
            with pytest.raises(MiradouroError) as expected:
                search.Search(wrong, Call())
            with pytest.raises(grpc.RpcError) as raised:
                stub.Search(wrong, timeout=WAIT_S)
            error = typed_error(raised.value, peer=server.target)
            assert (type(error), error.message) == (type(expected.value), expected.value.message)
