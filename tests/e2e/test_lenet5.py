"""The page on networks: LeNet-5 is trained, added as a bundle, and finds handwritten digits by example."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documentation import ROOT, marked
from tests.e2e.command import up


def run(*words: str | Path, folder: Path) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_held_out_digits_find_their_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("MIRADOURO_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("MIRADOURO_BUNDLES_DIR", str(tmp_path / "bundles"))
    [commands] = marked("lenet5")
    found = run("bash", "-ec", commands, folder=tmp_path)
    assert "1,198 indexed" in found
    assert re.search(r"^ +1 .* 3/\d{4}\.png", found, re.M), found
    for name, value in re.findall(r"(MIRADOURO_\w+)=(\S+)", commands):
        monkeypatch.setenv(name, value)
    digits = tmp_path / "build" / "digits"
    with up(digits / "data") as address:
        neighbours = [sys.executable, "-m", "examples.lenet5.neighbours", digits / "held-out"]
        said = run(*neighbours, "--server", address, "--token-file", digits / "data" / "token", folder=tmp_path)
    assert float(said.split()[0]) >= 0.97, said
    assert "of 599 digits" in said
