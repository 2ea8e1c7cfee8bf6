"""Which files may hold a token: no other user may read or replace them, on one machine and in a pod."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from miradouro.core.errors import ConfigurationError, FailedPrecondition
from miradouro.runtime.tokens import Tokens
from miradouro.standalone.owner_token import make_owner_token, owner_token

from tests.certificates import token, write_secret
from tests.ingest_fixture import not_root

OTHER_USER = 65_534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other users, which root alone may do")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_secret(tmp_path / "token", token())


def owned(path: Path, *, user: int, mode: int) -> Path:
    os.chown(path, user, user)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o620, 0o666])
def test_a_file_accessible_to_others_is_refused(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=rf"^MIRADOURO_TOKEN_FILE=.*mode {mode:04o}.*chmod 600"):
        Tokens(path)


@needs_root
def test_a_group_may_only_read_roots_files(path: Path) -> None:
    """Kubernetes mounts a secret with mode 0440, owned by root, with the pod's fsGroup as its group."""
    path.chmod(0o440)
    assert Tokens(path).first
    with tempfile.TemporaryDirectory() as reachable:
        os.chmod(reachable, 0o755)
        theirs = owned(write_secret(Path(reachable) / "token", token()), user=OTHER_USER, mode=0o440)
        with not_root(), pytest.raises(ConfigurationError, match=r"mode 0440"):
            Tokens(theirs)


@needs_root
def test_a_file_of_another_user_is_refused(path: Path) -> None:
    owned(path, user=OTHER_USER, mode=0o600)
    with pytest.raises(ConfigurationError, match=rf"it belongs to user {OTHER_USER}, who could replace it"):
        Tokens(path)


def test_pipes_folders_and_long_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(0o700)
    write_secret(tmp_path / "long", f"{token()}\n" * 2_000)
    for name, refusal in (("pipe", "not a regular file"), ("folder", "not a regular file"), ("long", "more than 65,536 bytes")):
        with pytest.raises(ConfigurationError, match=refusal):
            Tokens(tmp_path / name)


def test_a_data_folder_gets_one_token_for_good(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = make_owner_token(data).first
    assert make_owner_token(data).first == owner_token(data).first == first
    assert [path.name for path in data.iterdir()] == ["token"]
    assert (data / "token").read_text() == f"{first}\n"
    assert (data / "token").stat().st_mode & 0o777 == 0o600
    assert len(first) >= 32


def test_starts_at_once_agree_on_the_token(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        for number in range(20):
            made = set(pool.map(lambda _, data=tmp_path / str(number): make_owner_token(data).first, range(16)))
            assert len(made) == 1
            assert [path.name for path in (tmp_path / str(number)).iterdir()] == ["token"]


def test_the_data_folders_token_is_no_link(tmp_path: Path, path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(0o700)
    (data / "token").symlink_to(path)
    with pytest.raises(ConfigurationError, match=r"^the token of the data folder, .*symbolic links"):
        make_owner_token(data)
    (data / "token").unlink()
    (data / "token").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match=r"symbolic links"):
        make_owner_token(data)
    assert not (tmp_path / "nowhere").exists(), "nothing is made where a link points"
    (data / "token").unlink()
    os.link(path, data / "token")
    with pytest.raises(ConfigurationError, match=r"has 2 names, wanted: user \d+ and one name; delete it"):
        make_owner_token(data)


@needs_root
def test_the_data_folders_token_is_its_owners(tmp_path: Path) -> None:
    data = tmp_path / "data"
    make_owner_token(data)
    owned(data / "token", user=OTHER_USER, mode=0o600)
    with pytest.raises(ConfigurationError, match=rf"it belongs to user {OTHER_USER}"):
        make_owner_token(data)
    owned(data / "token", user=0, mode=0o640)
    with pytest.raises(ConfigurationError, match=r"mode 0640"):
        make_owner_token(data)
    (data / "token").unlink()
    owned(data, user=OTHER_USER, mode=0o777)
    with pytest.raises(FailedPrecondition, match=rf"data folder .* belongs to user {OTHER_USER}"):
        make_owner_token(data)
    assert list(data.iterdir()) == []
