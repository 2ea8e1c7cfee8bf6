"""A data folder keeps the precision that it was made with, whatever the default is."""

from tests.e2e.command import run
from tests.e2e.conftest import make_photos
from tests.pictures import jpeg


def test_a_data_folder_keeps_its_precision(models_dir, tmp_path, monkeypatch):
    assert models_dir.is_dir()
    photos, data = make_photos(tmp_path / "photos", ("one.jpg", "two.jpg")), tmp_path / "data"
    monkeypatch.setenv("MIRADOURO_PRECISION", "fp32")
    assert run("index", photos, "--data", data, "--json").json["indexed"] == 2
    made = run("stats", "--data", data, "--json").json["collections"][0]["spaces"]
    monkeypatch.delenv("MIRADOURO_PRECISION")

    found = run("search", "--photo", photos / "two.jpg", "--data", data, "--json").json["hits"][0]
    assert (found["photo_id"], found["distance"] < 1e-3) == ("two.jpg", True)
    (photos / "three.jpg").write_bytes(jpeg(240, 200, seed=3))
    assert run("index", photos, "--data", data, "--json").json["indexed"] == 1
    now = run("stats", "--data", data, "--json").json["collections"][0]["spaces"]
    assert [space["provenance"] for space in now] == [space["provenance"] for space in made]

    monkeypatch.setenv("MIRADOURO_PRECISION", "int8")
    refused = run("search", "--photo", photos / "two.jpg", "--data", data)
    assert refused.code == 1
    assert "the other MIRADOURO_PRECISION" in refused.err
