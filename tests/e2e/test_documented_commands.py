"""The commands of each page succeed, one after the other."""

import os
import shlex
from pathlib import Path

import pytest
from miradouro.bundles.settings import BundleSettings

from tests.documentation import marked, pages_with
from tests.e2e.command import run
from tests.e2e.conftest import make_photos
from tests.foreign_networks import named_as_in_a_vgg, network

PHOTOS = ("lisbon/tram.jpg", "beach.jpg", "dog.jpg")


@pytest.fixture
def home(models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's home with Pictures, holiday.jpg and a network; it is the current folder."""
    assert models_dir == BundleSettings().folder
    monkeypatch.setenv("MIRADOURO_MODELS_DIR", str(models_dir))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("MIRADOURO_BUNDLES_DIR", str(tmp_path / "bundles"))
    monkeypatch.chdir(tmp_path)
    make_photos(tmp_path / "Pictures", PHOTOS)
    make_photos(tmp_path, ["holiday.jpg"], first_seed=9)
    named_as_in_a_vgg(network(tmp_path / "my-vgg16.onnx"))
    [sidecar] = marked("sidecar")
    (tmp_path / "Pictures" / "lisbon" / "tram.json").write_text(sidecar)
    return tmp_path


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("page", pages_with("commands"))
def test_every_command_of_a_page_succeeds(page: str) -> None:
    for line in "".join(marked("commands", pages_with("commands")[page])).splitlines():
        program, *words = shlex.split(os.path.expandvars(line), comments=True)
        assert program == "miradouro"
        done = run(*(os.path.expanduser(word) for word in words))
        assert done.code == 0, f"{line}: {done.out}{done.err}"
