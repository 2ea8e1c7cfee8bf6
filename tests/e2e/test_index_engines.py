"""Index engines of other packages, chosen by MIRADOURO_INDEX."""

from pathlib import Path

import pytest
from miradouro.adapters.index_engines import load_engine
from miradouro.core.errors import ConfigurationError
from miradouro.core.index_engine import Opening

from tests.e2e.command import run
from tests.e2e.conftest import make_photos
from tests.pictures import jpeg


@pytest.fixture(autouse=True)
def third_party(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package, installed."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "third_party"))


def test_a_third_partys_engine_indexes_and_finds(models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert models_dir.is_dir()
    monkeypatch.setenv("MIRADOURO_INDEX", "memory")
    monkeypatch.setenv("MIRADOURO_SPACES", "efficientnet-lite0/look")
    photos = make_photos(tmp_path / "photos", ("a.jpg", "b.jpg", "c.jpg"))
    (photos / "broken.jpg").write_bytes(b"not a photo")
    data = tmp_path / "data"

    assert run("index", photos, "--data", data, "--json").json["indexed"] == 3
    assert run("index", photos, "--data", data, "--json").json["unchanged"] == 3
    (tmp_path / "question.jpg").write_bytes(jpeg(240, 200, seed=1, quality=90))
    answer = run("search", "--photo", tmp_path / "question.jpg", "--data", data, "--json").json
    assert (answer["hits"][0]["photo_id"], answer["total"]) == ("b.jpg", 3)
    assert [one["photo_id"] for one in run("failures", "--data", data, "--json").json["failures"]] == ["broken.jpg"]
    assert not list(data.glob("*.db")), "no other engine was opened"


def test_an_unknown_engine_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRADOURO_INDEX", "sqlit")
    done = run("stats", "--data", tmp_path)
    assert done.code == 1
    assert "MIRADOURO_INDEX='sqlit' is not an index engine; installed: broken, memory, opensearch, sqlite" in done.err


def test_an_engine_that_cannot_be_loaded_is_named() -> None:
    with pytest.raises(ConfigurationError, match="index engine broken cannot be loaded from memory_index:not_there"):
        load_engine("broken")


def test_a_name_that_two_packages_offer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("one", "two"):
        folder = tmp_path / f"{package}-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
        (folder / "entry_points.txt").write_text(f"[miradouro.indexes]\nsame = {package}:opened\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigurationError, match="index engine same is offered twice"):
        load_engine("same")


def test_engines_refuse_a_place_that_they_cannot_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="MIRADOURO_INDEX=sqlite is the index of one machine"):
        load_engine("sqlite")(Opening())
    monkeypatch.setenv("MIRADOURO_INDEX", "opensearch")
    done = run("stats", "--data", tmp_path)
    assert "MIRADOURO_INDEX=opensearch keeps no dead letters" in done.err
