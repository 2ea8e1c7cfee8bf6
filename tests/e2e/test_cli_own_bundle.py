"""A bundle of one's own, from its ONNX file to answers: inspect, add, index, search, remove."""

import json
from pathlib import Path

import pytest

from tests.e2e.command import run
from tests.e2e.conftest import make_photos
from tests.foreign_networks import LABELS, bundle_folder, network

NAMES = ("a.jpg", "b.jpg", "c.jpg")


@pytest.fixture
def own(models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own bundles in use, and of model files beside those that are there."""
    monkeypatch.setenv("MIRADOURO_BUNDLES_DIR", str(tmp_path / "bundles"))
    (tmp_path / "models").mkdir()
    for file in models_dir.iterdir():
        (tmp_path / "models" / file.name).symlink_to(file)
    monkeypatch.setenv("MIRADOURO_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path


def listed() -> dict[str, dict]:
    return {each["name"]: each for each in run("models", "list", "--json").json["bundles"]}


def test_a_drafted_manifest_can_be_added(own: Path) -> None:
    file = network(own / "mine" / "My Net.onnx")
    found = run("models", "inspect", file, "--json").json
    assert [(each["tensor"], each["shape"]) for each in found["candidates"] if each["is_layer"]] == [
        ("map", [6, 7, 7]),
        ("logits", [5]),
    ]
    assert found["written"]
    assert found["manifest"] == str(file.parent / "my-net.toml")
    done = run("models", "inspect", file)
    assert "is there already and stays as it is" in done.out
    assert "6 x 7 x 7" in done.out
    assert "added my-net: my-net/map/avg, my-net/logits" in run("models", "add", found["manifest"]).out
    assert listed()["my-net"]["origin"] == "added"


def test_an_own_layer_answers_questions(own: Path) -> None:
    run("models", "add", bundle_folder(own / "mine"))
    photos = make_photos(own / "photos", NAMES)
    words = ("--data", own / "data", "--offline")
    report = run("index", photos, *words, "--spaces", "small/map,small/logits", "--tagger", "small", "--json").json
    assert report["indexed"] == len(NAMES)
    [collection] = run("stats", "--data", own / "data", "--json").json["collections"]
    assert {space["name"] for space in collection["spaces"]} == {"small/map/avg", "small/logits", "small/softmax"}
    answer = run("search", "--photo", photos / "b.jpg", "--space", "small/map", *words, "--json").json
    assert answer["hits"][0]["photo_id"] == "b.jpg"
    assert answer["hits"][0]["distance"] == pytest.approx(0, abs=0.01)
    tags = {(tag["label"], tag["kind"]) for hit in answer["hits"] for tag in hit["tags"]}
    assert tags <= {(label, "label") for label in LABELS}, "its labels are tags, without parents in WordNet"
    assert tags
    assert run("index", photos, *words, "--json").json["unchanged"] == len(NAMES), "the collection's bundle is loaded again"


def test_a_removed_bundle_leaves_nothing(own: Path) -> None:
    run("models", "add", bundle_folder(own / "mine"))
    assert list((own / "models").glob("small-*"))
    assert run("models", "remove", "small").out == "removed small\n"
    assert "small" not in listed()
    assert not list((own / "models").glob("small-*"))
    assert list((own / "bundles").iterdir()) == []
    assert "only bundles that were added can be removed" in run("models", "remove", "vgg16-conv").err


def test_a_broken_manifest_hides_no_other_bundle(own: Path) -> None:
    run("models", "add", bundle_folder(own / "mine"))
    broken = own / "bundles" / "small" / "bundle.toml"
    broken.write_text(broken.read_text().replace("recipe =", "recipie ="))
    rows = listed()
    assert "there is no key 'recipie' in a manifest" in rows["small"]["reason"]
    assert rows["efficientnet-lite0"]["reason"] == ""
    assert json.loads(run("models", "describe", "efficientnet-lite0", "--json").out)["can_tag"]
