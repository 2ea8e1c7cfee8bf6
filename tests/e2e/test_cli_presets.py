"""`index --preset`: what a lean collection holds, what it needs, and what can be asked of it."""

import shutil
from pathlib import Path

import pytest
from miradouro.bundles.catalogue import find
from miradouro.bundles.registry import model_path, record_path

from tests.e2e.command import run
from tests.e2e.conftest import make_photos


@pytest.fixture(scope="module")
def lean(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder of models without VGG16, and a data folder with a lean collection of three photos."""
    folder = tmp_path_factory.mktemp("lean")
    model = model_path(models_dir, find("efficientnet-lite0"), "int8")
    (folder / "models").mkdir()
    for file in (model, record_path(model)):
        shutil.copy(file, folder / "models")
    make_photos(folder / "photos", ["a.jpg", "b.jpg", "c.jpg"])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MIRADOURO_MODELS_DIR", str(folder / "models"))
        words = ("index", folder / "photos", "--data", folder / "data", "--offline", "--json")
        assert run(*words, "--preset", "lean").json["indexed"] == 3
    return folder / "photos", folder / "data"


@pytest.fixture(autouse=True)
def without_vgg(lean: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRADOURO_MODELS_DIR", str(lean[1].parent / "models"))


def test_a_lean_collection_holds_look_alone(lean: tuple[Path, Path]) -> None:
    [collection] = run("stats", "--data", lean[1], "--json").json["collections"]
    assert collection["preset"] == "lean"
    assert [(space["name"], space["vectors"]) for space in collection["spaces"]] == [("efficientnet-lite0/look", 3)]
    assert "photos: 3 photos, 0 deleted, 0 failed, lean" in run("stats", "--data", lean[1]).out


def test_a_part_is_compared_with_whole_photos(lean: tuple[Path, Path]) -> None:
    words = ("search", "--photo", lean[0] / "a.jpg", "--region", "0,0,1,1", "--data", lean[1], "--offline")
    answer = run(*words, "--json").json
    assert answer["whole_photos"]
    assert (answer["hits"][0]["photo_id"], answer["hits"][0]["region"]) == ("a.jpg", None)
    assert "compared with whole photos" in run(*words).out


def test_a_space_that_is_missing_names_its_preset(lean: tuple[Path, Path]) -> None:
    done = run("search", "--like", "a.jpg", "--space", "vgg16-conv/pool5", "--data", lean[1])
    assert done.code == 1
    assert "does not hold vgg16-conv/pool5, which the preset standard has" in done.err
    assert "or ask in efficientnet-lite0/look" in done.err
    done = run("search", "--like", "a.jpg", "--space", "filters/gabor", "--data", lean[1])
    assert "does not hold filters/gabor: index into a collection with --spaces filters/gabor, or ask in" in done.err


def test_a_collection_keeps_its_preset(lean: tuple[Path, Path]) -> None:
    words = ("index", lean[0], "--data", lean[1], "--offline")
    assert run(*words, "--json").json["unchanged"] == 3, "without a preset it goes on as it is"
    done = run(*words, "--preset", "laboratory")
    assert "holds other spaces than 'laboratory'" in done.err
    assert (done.code, run("stats", "--data", lean[1], "--json").json["collections"][0]["preset"]) == (1, "lean")
