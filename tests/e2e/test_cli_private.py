"""The data folder is for its owner alone: the modes of its files, and what another user of the machine gets."""

import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command import COMMAND, START_S, run, up
from tests.e2e.conftest import make_photos

OTHER_USER = 65_534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which root alone may do")


def miradouro(*words: object) -> "subprocess.CompletedProcess[str]":
    """`miradouro WORDS` as a process of its own, under a umask that lets everybody read."""
    command = [COMMAND, *(str(word) for word in words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=True, umask=0o022)


def wide(folder: Path) -> dict[str, str]:
    """Path → mode of everything in a folder, itself included, that others have any right to."""
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in (folder, *folder.rglob("*"))}
    return {str(path): oct(mode) for path, mode in modes.items() if mode & 0o077}


def as_nobody(*command: object) -> "subprocess.CompletedProcess[str]":
    """A command, run as the user `nobody`."""
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=START_S, check=False,
        user=OTHER_USER, group=OTHER_USER, extra_groups=[], cwd="/",
    )  # fmt: skip


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that every user of the machine can enter; pytest's own are closed to them."""
    with tempfile.TemporaryDirectory(prefix="reachable-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.mark.usefixtures("models_dir")
def test_every_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    photos, data = make_photos(tmp_path / "photos"), tmp_path / "data"
    miradouro("index", photos, "--data", data)
    assert wide(data) == {}
    with up(data):
        miradouro("search", "--data", data, "--keyword", "dog")
        assert (data / "miradouro.db-wal").exists()
        assert wide(data) == {}, "the database's log and the server's lock too"
        assert [path.name for path in data.rglob("*") if "token" in path.name] == ["token"]
    miradouro("snapshot", f"{tmp_path}/copies/", "--data", data)
    assert wide(tmp_path / "copies") == {}
    [copy] = (tmp_path / "copies").iterdir()
    miradouro("restore", copy, "--data", tmp_path / "back")
    assert wide(tmp_path / "back") == {}


def test_a_folder_with_wider_modes_is_narrowed(tmp_path: Path) -> None:
    photos, data = make_photos(tmp_path / "photos", ["one.jpg"]), tmp_path / "data"
    miradouro("index", photos, "--data", data)
    data.chmod(0o755)
    miradouro("index", photos, "--data", data)
    assert wide(data) == {}
    empty = tmp_path / "empty"
    empty.mkdir()
    empty.chmod(0o777)
    miradouro("index", photos, "--data", empty)
    assert wide(empty) == {}


def test_a_wide_unrelated_folder_is_left_alone(tmp_path: Path) -> None:
    """A home folder, or /tmp, must not be closed by a slip."""
    photos, home = make_photos(tmp_path / "photos", ["one.jpg"]), tmp_path / "home"
    home.mkdir()
    home.chmod(0o755)
    (home / "letter").write_text("mine")
    for words in (("index", photos), ("up", "--listen", "127.0.0.1:0", "--http", "off")):
        done = run(*words, "--data", home)
        assert done.code == 1
        assert f"{home} is not empty (letter), holds no index, and other users may enter it (mode 0755)" in done.err
    assert [path.name for path in home.iterdir()] == ["letter"]
    assert stat.S_IMODE(home.stat().st_mode) == 0o755


@needs_root
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    photos, data = make_photos(tmp_path / "photos", ["one.jpg"]), tmp_path / "data"
    data.mkdir()
    os.chown(data, OTHER_USER, OTHER_USER)
    for words in (("index", photos), ("up", "--listen", "127.0.0.1:0", "--http", "off")):
        done = run(*words, "--data", data)
        assert done.code == 1
        assert f"data folder {data} belongs to user {OTHER_USER}, and this process runs as user 0" in done.err
    assert list(data.iterdir()) == []


@needs_root
def test_another_user_reads_and_locks_nothing(reachable: Path) -> None:
    """A shared lock on the writer's file, held by another user, stopped the owner."""
    photos, data = make_photos(reachable / "photos", ["one.jpg"]), reachable / "data"
    miradouro("index", photos, "--data", data)
    assert as_nobody("ls", reachable / "photos").stdout == "one.jpg\n"
    assert "Permission denied" in as_nobody("ls", data).stderr
    for name in ("writer.lock", "miradouro.db", "format.json"):
        assert (data / name).exists()
        assert "Permission denied" in as_nobody("cat", data / name).stderr
    assert "Permission denied" in as_nobody("flock", "--shared", data / "writer.lock", "sleep", "60").stderr
