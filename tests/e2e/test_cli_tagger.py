"""A VGG16 file of one's own, from the command line: pulled, quantized, made the tagger of a collection, and searched by fc7."""

from pathlib import Path

import pytest
from miradouro.bundles.labels import load_labels

from tests.e2e.command import run
from tests.narrow_vgg16 import NAME, add_narrow_bundle
from tests.pictures import encode
from tests.scenes import scene
from tests.vgg16_files import he_weights, pth_zip


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models_dir: Path) -> Path:
    """A folder of photos, and the narrow bundle built from a file."""
    monkeypatch.setenv("MIRADOURO_BUNDLES_DIR", str(tmp_path / "bundles"))
    monkeypatch.setenv("MIRADOURO_MODELS_DIR", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    for file in models_dir.glob("efficientnet-lite0-int8-*"):
        (tmp_path / "models" / file.name).symlink_to(file)
    add_narrow_bundle(tmp_path / "bundles")
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(3):
        (folder / f"{seed}.png").write_bytes(encode(scene(seed), "PNG"))
    return folder


def test_a_file_of_vgg16_tags_and_finds(photos: Path, tmp_path: Path) -> None:
    state = he_weights()
    state["classifier.6.weight"] *= 30  # classes that are likely enough for tags
    pth_zip(state, tmp_path / "mine.pth")
    data = ("--data", tmp_path / "data", "--offline")
    [pulled] = run("models", "pull", NAME, "--weights", tmp_path / "mine.pth", "--json").json
    assert (pulled["name"], pulled["precision"], pulled["state"]) == (NAME, "fp32", "ready")
    assert run("models", "quantize", NAME, "--photos", photos, "--json").json["precision"] == "int8"
    spaces = f"efficientnet-lite0/look,{NAME}/fc7"
    report = run("index", photos, *data, "--spaces", spaces, "--tagger", NAME, "--json").json
    assert (report["indexed"], report["failed"]) == (3, [])
    [collection] = run("stats", "--data", tmp_path / "data", "--json").json["collections"]
    assert [space["name"] for space in collection["spaces"]] == ["efficientnet-lite0/look", f"{NAME}/fc7", f"{NAME}/softmax"]
    found = run("search", *data, "--photo", photos / "1.png", "--space", f"{NAME}/fc7", "--json").json
    assert found["hits"][0]["photo_id"] == "1.png"
    assert found["hits"][0]["distance"] < 0.01
    likely = [each["label"] for each in run("embed", photos / "1.png", "--space", f"{NAME}/softmax", "--json").json[0]["tags"]]
    stored = [tag["label"] for tag in found["hits"][0]["tags"] if tag["kind"] == "label"]
    assert stored
    assert set(stored) <= set(likely) <= set(load_labels().labels)


def test_another_tagger_is_refused(photos: Path, tmp_path: Path) -> None:
    words = ("index", photos, "--data", tmp_path / "data", "--offline", "--preset", "lean")
    assert run(*words, "--json").json["indexed"] == 3
    done = run(*words, "--tagger", NAME)
    assert (done.code, "is tagged by efficientnet-lite0, not by narrow-vgg16" in done.err) == (1, True)
    assert "'vgg17' has no space softmax" in run(*words, "--tagger", "vgg17").err
