"""Questions by a part of a photo: what is compared, which box a hit names, and what is refused."""

import hashlib
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from miradouro.adapters.onnx_embedder import OnnxEmbedder
from miradouro.adapters.photo_store import FileStore, file_uri
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.bundles.words import load_words
from miradouro.core.codes import stored_form
from miradouro.core.decode import decode
from miradouro.core.document import Document
from miradouro.core.errors import FailedPrecondition, InvalidArgument, NotFound
from miradouro.core.spaces import Region, Space, needed_geometries
from miradouro.embedding.batcher import Batcher
from miradouro.embedding.composition import run_embedding
from miradouro.query.originals import Originals
from miradouro.query.service import SearchService
from miradouro.runtime.call import Call
from miradouro.runtime.grpc_client import open_channel
from miradouro.runtime.grpc_server import Service, running
from miradouro.runtime.security import OPEN_TO_ALL
from miradouro.v1 import search_service_pb2 as pb
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub
from PIL import Image
from prometheus_client import CollectorRegistry

from tests.pictures import jpeg
from tests.reading import READER, READING
from tests.tiny_bundle import BOXES, SPACES, tiny_bundles
from tests.waiting import WAIT_S

REGIONS = "tiny/deep/regions"
NAMES = [f"{name}.png" for name in "abcdef"]


@dataclass(frozen=True)
class Library:
    """Six photos in a folder, pairs of halves of which no two are alike, and a service over their index."""

    folder: Path
    index: SqliteIndex
    embedder: Batcher
    service: SearchService

    def data(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batcher]:
    networks = OnnxEmbedder(tiny_bundles(tmp_path_factory.mktemp("bundles")), threads=1)
    with run_embedding(networks, reading=READING, registry=CollectorRegistry()) as parts:
        yield parts.embedder


@pytest.fixture
def library(embedder: Batcher, tmp_path: Path) -> Iterator[Library]:
    folder = tmp_path / "photos"
    folder.mkdir()
    with SqliteIndex.open(tmp_path / "data", writer=True) as index:
        index.ensure_collection("photos", spaces=_spaces(embedder), root=str(folder))
        for seed, name in enumerate(NAMES):
            (folder / name).write_bytes(_pair(2 * seed, 2 * seed + 1))
            index.write([_document(name, (folder / name).read_bytes(), embedder, uri=file_uri(str(folder / name)))])
        yield Library(folder, index, embedder, _service(index, embedder))


def _service(index: SqliteIndex, embedder: Batcher) -> SearchService:
    originals = Originals(index=index, photo_store=FileStore)
    return SearchService(
        index=index,
        embedder=embedder,
        reader=READER,
        lexicon=load_words,
        default_space="tiny/deep",
        page_key=b"k" * 32,
        original=originals.read,
    )


def _spaces(embedder: Batcher) -> list[Space]:
    return [space for bundle in embedder.describe() for space in bundle.spaces]


def _half(seed: int) -> Image.Image:
    return Image.open(io.BytesIO(jpeg(48, 96, seed=seed, quality=95)))


def _pair(left: int, right: int) -> bytes:
    picture, out = Image.new("RGB", (96, 96)), io.BytesIO()
    picture.paste(_half(left), (0, 0))
    picture.paste(_half(right), (48, 0))
    picture.save(out, "PNG")
    return out.getvalue()


def _document(name: str, data: bytes, embedder: Batcher, *, uri: str) -> Document:
    return Document(
        collection="photos",
        photo_id=name,
        version=1,
        uri=uri,
        sha256=hashlib.sha256(data).hexdigest(),
        vectors=_embedded(data, embedder),
        provenances={space.name: space.provenance for space in _spaces(embedder)},
    )


def _embedded(data: bytes, embedder: Batcher, region: Region | None = None) -> dict[str, np.ndarray]:
    geometries = needed_geometries(embedder.describe(), SPACES, tags=False)
    [embedding] = embedder.embed([decode(data, geometries, region=region).tensors], spaces=SPACES)
    return {space.name: stored_form(embedding.vectors[space.name], space) for space in _spaces(embedder)}


def _box(x: float = 0.0, y: float = 0.0, width: float = 1.0, height: float = 1.0) -> dict[str, float]:
    return {"x": x, "y": y, "width": width, "height": height}


def _ask(library: Library, **request) -> pb.SearchResponse:
    return library.service.Search(pb.SearchRequest(**request), Call())


RIGHT = _box(x=0.5, width=0.5)


@pytest.mark.parametrize("space", ["", REGIONS])
@pytest.mark.parametrize("region", [(0.5, 0.0, 0.5, 1.0), (0.1, 0.2, 0.5, 0.4)])
def test_a_hit_has_its_nearest_regions_box(library, region, space):
    asked = _embedded(library.data("c.png"), library.embedder, Region(*region))[REGIONS][0]
    answer = _ask(library, photo={"data": library.data("c.png"), "region": _box(*region)}, space=space)
    assert {hit.space for hit in answer.hits} == {REGIONS}
    assert len(answer.hits) == len(NAMES)
    assert [hit.distance for hit in answer.hits] == sorted(hit.distance for hit in answer.hits)
    for hit in answer.hits:
        distances = np.linalg.norm(library.index.vector("photos", hit.photo_id, REGIONS) - asked, axis=1)
        assert hit.distance == pytest.approx(distances.min(), abs=1e-3)
        box = BOXES[int(distances.argmin())]
        assert (hit.region.x, hit.region.width) == (box.x, box.width)


def test_a_region_covering_everything_is_the_whole_photo(library):
    whole = _ask(library, photo={"data": library.data("b.png")}, space=REGIONS)
    assert list(_ask(library, photo={"data": library.data("b.png"), "region": _box()}).hits) == list(whole.hits)


def test_an_indexed_photos_region_searches_like_its_bytes(library):
    by_photo = _ask(library, photo={"data": library.data("e.png"), "region": RIGHT}, max_distance=1.2)
    by_id = _ask(library, like={"photo_id": "e.png", "region": RIGHT}, max_distance=1.2)
    assert list(by_id.hits) == list(by_photo.hits)
    assert by_id.total == by_photo.total >= 1


def test_filters_narrow_a_question_by_region(library):
    answer = _ask(library, like={"photo_id": "e.png", "region": RIGHT}, filters=[{"file_name_prefix": "a"}])
    assert [hit.photo_id for hit in answer.hits] == ["a.png"]


def test_an_unreachable_original_error_suggests_sending_the_photo(library, tmp_path):
    inline = _document("inline.png", library.data("a.png"), library.embedder, uri="")
    elsewhere = tmp_path / "elsewhere.png"
    elsewhere.write_bytes(library.data("a.png"))
    outside = replace(inline, photo_id="outside.png", uri=file_uri(str(elsewhere)))
    library.index.write([inline, outside])
    (library.folder / "b.png").unlink()
    (library.folder / "c.png").write_bytes(library.data("d.png"))
    for photo_id, message in (
        ("inline.png", "'inline.png' came inline and its original was not kept"),
        ("outside.png", "does not lie below an allowed folder"),
        ("b.png", "is not there (any more)"),
        ("c.png", "has changed since it was indexed"),
    ):
        with pytest.raises(FailedPrecondition) as caught:
            _ask(library, like={"photo_id": photo_id, "region": RIGHT})
        assert message in caught.value.message
        assert "send the photo itself instead (--photo)" in caught.value.message
        assert _ask(library, like={"photo_id": photo_id}).hits, "without a region the stored vectors are enough"
    with pytest.raises(NotFound, match=r"photo 'nowhere\.png'"):
        _ask(library, like={"photo_id": "nowhere.png", "region": RIGHT})


@pytest.mark.parametrize(
    ("region", "message"),
    [
        (_box(x=0.6, width=0.5), "region.width: 0.5 from 0.6 on does not lie in the photo"),
        (_box(x=-0.1), "region.x: -0.1 is not within 0"),
        (_box(y=1.0), "region.y: 1.0 is not within 0"),
        (_box(width=0), "region.width: 0.0 from 0.0 on"),
        (_box(height=0), "region.height: 0.0 from 0.0 on"),
        (_box(x=10, y=20, width=300, height=200), "region.x: 10 looks like pixels; expected are fractions"),
        (_box(width=300, height=200), "region.width: 300 looks like pixels; expected are fractions"),
        (_box(x=math.nan), "region.x: nan"),
        (_box(height=math.nan), "region.height: nan"),
        (_box(width=math.inf), "region.width: inf"),
        ({}, "region.width: 0.0 from 0.0 on"),
    ],
)
def test_an_invalid_region_error_names_its_field(library, region, message):
    for kind, query in (("photo", {"data": library.data("a.png")}), ("like", {"photo_id": "a.png"})):
        with pytest.raises(InvalidArgument) as caught:
            _ask(library, **{kind: {**query, "region": region}})
        assert caught.value.message.startswith(f"{kind}.{message}")


@pytest.mark.parametrize("space", ["tiny/deep", "wee/features"])
def test_a_space_without_regions_refuses_a_region(library, space):
    with pytest.raises(InvalidArgument, match=f"space: {space} has no regions to compare one with; allowed: {REGIONS}, or none"):
        _ask(library, photo={"data": library.data("a.png"), "region": RIGHT}, space=space)


def test_without_region_spaces_whole_photos_are_compared(embedder, tmp_path):
    query = {"photo": {"data": _pair(0, 1), "region": RIGHT}}
    with SqliteIndex.open(tmp_path / "data", writer=True) as index:
        index.ensure_collection("photos", spaces=[space for space in _spaces(embedder) if not space.regions])
        index.write([replace(_document("a.png", _pair(0, 1), embedder, uri=""), provenances={}, vectors={})])
        answer = _service(index, embedder).Search(pb.SearchRequest(**query), Call())
    assert answer.whole_photos


def test_several_spaces_of_regions_need_a_choice(embedder, tmp_path):
    spaces = _spaces(embedder)
    [regional] = [space for space in spaces if space.regions]
    other = replace(regional, layer="other")
    query = {"photo": {"data": _pair(0, 1), "region": RIGHT}}
    with SqliteIndex.open(tmp_path / "data", writer=True) as index:
        index.ensure_collection("two", spaces=[regional, other])
        service = _service(index, embedder)
        with pytest.raises(InvalidArgument, match=f"space: it is not set, .*; allowed: {REGIONS}, tiny/other/regions"):
            service.Search(pb.SearchRequest(collection="two", **query), Call())
        assert service.Search(pb.SearchRequest(collection="two", space=REGIONS, **query), Call()).total == 0


def test_regions_go_over_grpc(library):
    service = Service(pb.DESCRIPTOR.services_by_name["SearchService"], library.service)
    request = pb.SearchRequest(like=pb.LikeQuery(photo_id="a.png", region=RIGHT), limit=3)
    with running([service], security=OPEN_TO_ALL) as server, open_channel(server.target) as channel:
        there = SearchServiceStub(channel).Search(request, timeout=WAIT_S)
    assert list(there.hits) == list(library.service.Search(request, Call()).hits)
    assert there.hits[0].region.width > 0
