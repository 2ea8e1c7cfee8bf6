"""The wheel stands alone: installed with `[cpu]` outside of the checkout it finds a photo, and names the extras that it lacks."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.rendering import ROOT
from tests.deploy.test_image import copy_of_the_context
from tests.pictures import jpeg


@pytest.fixture(scope="module")
def command(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`miradouro` in an environment that holds the wheel, its extra `cpu`, and nothing else."""
    assert models_dir.is_dir()
    folder = tmp_path_factory.mktemp("wheel")
    built = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*built, "--wheel-dir", folder, "."], cwd=copy_of_the_context(folder / "context"), check=True)
    [wheel] = folder.glob("miradouro-*.whl")
    # The versions that everything else is tested with; an extra's other packages are constraints that nothing asks for.
    locked = re.findall(r"^[\w.-]+==[^\\\n]+", (ROOT / "requirements" / "cpu.lock").read_text(), re.M)
    (folder / "constraints.txt").write_text("\n".join(locked))
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    install = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--constraint", folder / "constraints.txt", f"{wheel}[cpu]"], check=True)
    return environment / "bin" / "miradouro"


def run(command: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run([command, *map(str, words)], cwd="/", env=environment, capture_output=True, text=True, timeout=300)


def test_the_installed_wheel_finds_a_photo(command: Path, tmp_path: Path) -> None:
    photos, data = tmp_path / "photos", tmp_path / "data"
    photos.mkdir()
    for seed in range(3):
        (photos / f"{seed}.jpg").write_bytes(jpeg(240, 200, seed=seed, quality=90))
    indexed = run(command, "index", photos, "--data", data)
    assert indexed.returncode == 0, indexed.stderr
    found = run(command, "search", "--photo", photos / "1.jpg", "--data", data, "--json")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["hits"][0]["photo_id"] == "1.jpg"


@pytest.mark.parametrize(
    ("words", "extra"),
    [("serve ingest", "kafka"), ("events schema", "kafka"), ("audit events", "kafka"), ("serve query --no-token", "opensearch")],
)
def test_a_missing_extra_is_one_line(command: Path, words: str, extra: str) -> None:
    done = run(command, *words.split())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: this needs the extra {extra!r}, which is not installed: pip install 'miradouro[{extra}]'\n"
