"""README's questions give the answers that stand there, on the sample photos of `miradouro demo`."""

import re
import shlex
from pathlib import Path

import pytest

from tests.documentation import marked
from tests.e2e.command import run

_HIT = re.compile(r"^ +(\d+) +(\d\.\d+) +(?:distance (\d\.\d+) +)?(\S+) ", re.M)


@pytest.fixture(scope="module")
def demo(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `miradouro demo` keeps."""
    assert models_dir.is_dir()
    folder = tmp_path_factory.mktemp("readme") / "demo"
    done = run("demo", "--folder", folder, "--no-serve")
    assert done.code == 0, done.err
    return folder


def test_the_questions_of_readme_have_these_answers(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo)
    [block] = marked("answers")
    questions = re.findall(r"^\$ (miradouro search [^\n]*)\n((?: [^\n]*\n)+)", block, re.M)
    assert len(questions) == 5
    for command, printed in questions:
        done = run(*shlex.split(command, comments=True)[1:], "--data", "data")
        assert done.code == 0, done.err
        written, found = _HIT.findall(printed), _HIT.findall(done.out)
        assert len(written) == printed.count("\n")
        # Scores differ in their last digits from one kind of processor to another.
        assert [(rank, name) for rank, _, _, name in written] == [(rank, name) for rank, _, _, name in found]
        assert [float(one[1]) for one in found] == pytest.approx([float(one[1]) for one in written], abs=0.05)
        assert [float(one[2] or 0) for one in found] == pytest.approx([float(one[2] or 0) for one in written], abs=0.05)
