"""`miradouro search` with regions, filters, facets and orders, on an index of real networks."""

from pathlib import Path

import numpy as np
import pytest
from miradouro.adapters.sqlite_index import SqliteIndex
from PIL import Image

from tests.e2e.command import run
from tests.e2e.conftest import PHOTOS, Indexed
from tests.photo_documents import SPACES, photo, user_tag
from tests.pictures import jpeg
from tests.scenes import scene

REGIONS = "vgg16-conv/pool5/regions"


def _search(indexed: Indexed, *words: object) -> dict:
    return run("search", *words, "--data", indexed.data, "--json").json


def _ids(answer: dict) -> list[str]:
    return [hit["photo_id"] for hit in answer["hits"]]


@pytest.fixture(scope="module")
def scenes(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    """Three pictures of two by two scenes each, 400 x 400."""
    assert models_dir.is_dir()
    place = tmp_path_factory.mktemp("scenes")
    photos = place / "photos"
    photos.mkdir()
    for i in range(3):
        rows = [np.hstack([scene(4 * i + 2 * row + column, size=200) for column in range(2)]) for row in range(2)]
        Image.fromarray(np.vstack(rows)).save(photos / f"{i}.png")
    return Indexed(photos, place / "data", run("index", photos, "--data", place / "data", "--json").json)


def _vectors(*files: Path) -> list[np.ndarray]:
    """The region vectors of files, each [14, 512]."""
    return [np.array(row["vectors"][REGIONS]) for row in run("embed", *files, "--space", REGIONS, "--json").json]


def test_a_region_query_searches_every_stored_region(scenes, tmp_path):
    files = sorted(scenes.photos.iterdir())
    with Image.open(scenes.photos / "1.png") as picture:
        picture.crop((200, 0, 400, 200)).save(tmp_path / "part.png")
    part, *indexed = _vectors(tmp_path / "part.png", *files)
    distances = {file.name: np.linalg.norm(vectors - part[0], axis=1) for file, vectors in zip(files, indexed, strict=True)}
    expected = sorted(distances, key=lambda name: distances[name].min())
    [bundle] = [run("models", "describe", "vgg16-conv", "--json").json]
    [boxes] = [space["regions"] for space in bundle["spaces"] if space["name"] == REGIONS]
    for question in (
        ("--photo", tmp_path / "part.png", "--region", "0,0,1,1"),
        ("--photo", scenes.photos / "1.png", "--region", "0.5,0,0.5,0.5"),
        ("--like", "1.png", "--region", "0.5,0,0.5,0.5"),
        ("--like", "1.png", "--region", "0.5,0,0.5,0.5", "--space", REGIONS),
    ):
        answer = _search(scenes, *question)
        assert _ids(answer) == expected
        for hit in answer["hits"]:
            near = distances[hit["photo_id"]]
            assert (hit["distance"], hit["space"]) == (pytest.approx(near.min(), abs=2e-3), REGIONS)
            assert hit["region"] == pytest.approx(boxes[int(near.argmin())])


def test_people_see_the_box(scenes):
    done = run("search", "--like", "0.png", "--region", "0,0,1,1", "--limit", 1, "--data", scenes.data)
    assert "0.png  at 0.00,0.00,1.00,1.00" in done.out


def test_a_missing_originals_region_suggests_sending_the_photo(models_dir, tmp_path):
    assert models_dir.is_dir()
    data = tmp_path / "data"
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "gone.jpg").write_bytes(jpeg(240, 200, seed=1))
    assert run("index", photos, "--data", data).code == 0
    (photos / "gone.jpg").unlink()
    done = run("search", "--like", "gone.jpg", "--region", "0,0,1,1", "--data", data)
    assert done.code == 1
    assert "is not there (any more); send the photo itself instead (--photo)" in done.err
    assert run("search", "--like", "gone.jpg", "--data", data).code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--like", "one.jpg", "--region", "0,0,120,80"], "like.region.width: 120 looks like pixels; expected are fractions"),
        (["--like", "one.jpg", "--region", "0,0,1"], "region: '0,0,1' is not X,Y,WIDTH,HEIGHT"),
        (["--like", "one.jpg", "--region", "all"], "region: 'all' is not X,Y,WIDTH,HEIGHT"),
        (["--keyword", "dog", "--region", "0,0,1,1"], "region: it is set, but words have no region"),
        (["--keyword", "dog", "--facet", "colour"], "facet: 'colour'; allowed: tag, owner, year, camera"),
        (["--keyword", "dog", "--facet", "tag:many"], "facet: 'tag:many'; allowed: tag, owner"),
        (["--keyword", "dog", "--facet", "tag:0"], "facets[0].size: 0; allowed: 1 to 1,000"),
        (["--filter", "colour:red"], "filter: column 1: 'colour' is no field"),
        (["--filter", "tag:\udcff"], "filter: column 5: this is no character"),
    ],
)
def test_a_wrong_question_names_field_and_place(indexed, words, message):
    done = run("search", *words, "--data", indexed.data, "--json")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: ")
    assert message in done.err


def test_an_error_in_a_filter_is_underlined(indexed):
    done = run("search", "--filter", "tag:dog taken:yesterday", "--data", indexed.data)
    assert done.err.splitlines()[1:] == ["  tag:dog taken:yesterday", "                ^^^^^^^^^"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["owner:Ana"], ["beach/ana.jpg"]),
        (["owner:Ana", "tag:street"], []),
        (["-owner:Ana", "-tag:street", "name:o"], ["one.jpg"]),
        (["attr.rating:4|5"], ["beach/ana.jpg"]),
        (["taken:2024-05-01"], ["beach/ana.jpg"]),  # in UTC it was the day before
        (["taken:2024-05-01T00:00:00Z.."], []),
        (["near:38.7,-9.41,2km"], ["beach/ana.jpg"]),
        (["box:38,-10,39,-9 tag:lighthouse"], ["beach/ana.jpg"]),
        (['owner:""'], list(PHOTOS[2:])),
    ],
)
def test_filters_list_alone_and_narrow_any_question(indexed, filters, found):
    words = [word for text in filters for word in ("--filter", text)]
    answer = _search(indexed, *words)
    assert (sorted(_ids(answer)), answer["total"]) == (sorted(found), len(found))
    assert sorted(_ids(_search(indexed, "--like", "one.jpg", *words))) == sorted(found)
    words_too = _search(indexed, "--keyword", "street", "lighthouse", *words)
    assert set(_ids(words_too)) == set(found) & {"beach/ana.jpg", "beach/rui.jpg"}


def test_newest_first_lists_undated_photos_last(indexed):
    answer = _search(indexed, "--sort", "taken", "--limit", 2)
    assert [(hit["photo_id"], hit["taken_at"]) for hit in answer["hits"]] == [
        ("beach/ana.jpg", "2024-05-01T00:30:00+01:00"),
        ("beach/rui.jpg", None),
    ]
    lines = run("search", "--sort", "taken", "--data", indexed.data).out.splitlines()
    assert "2024-05-01T00:30:00+01:00" in lines[0]
    assert "undated" in lines[1]
    near = _search(indexed, "--like", "one.jpg", "--max-distance", 2, "--sort", "taken")
    assert (_ids(near)[0], near["total"]) == ("beach/ana.jpg", 6)


def test_facets_count_the_questions_matches(indexed):
    answer = _search(
        indexed, "--filter", "owner:Ana", "--facet", "owner", "--facet", "year", "--facet", "camera", "--facet", "tag:1"
    )
    assert answer["facets"]["owner"] == {"counts": [{"value": "Ana", "photos": 1}], "values": 1}
    assert answer["facets"]["year"] == {"counts": [{"value": "2024", "photos": 1}], "values": 1}
    assert answer["facets"]["camera"] == {"counts": [], "values": 0}
    assert (len(answer["facets"]["tag"]["counts"]), answer["facets"]["tag"]["values"] > 1) == (1, True)
    lines = run("search", "--facet", "owner", "--facet", "camera", "--data", indexed.data).out.splitlines()
    assert lines[-3:-1] == ["owner: Ana 1, Rui 1", "camera: none"]


def test_all_hits_come_page_after_page(tmp_path):
    names = [f"{number:04}.jpg" for number in range(1_003)]
    with SqliteIndex.open(tmp_path, writer=True) as index:
        index.ensure_collection("photos", spaces=SPACES)
        index.write([photo(name, vectors={}, tags=(user_tag("dog"),)) for name in names])
    for question in (["--keyword", "dog"], ["--filter", "tag:dog", "--sort", "taken"]):
        answer = run("search", *question, "--all", "--facet", "tag", "--data", tmp_path, "--json").json
        assert _ids(answer) == names
        assert (answer["total"], answer["facets"]["tag"]["counts"]) == (1_003, [{"value": "dog", "photos": 1_003}])
    assert len(run("search", "--keyword", "dog", "--limit", "1000", "--data", tmp_path, "--json").json["hits"]) == 1_000
