"""Which files a watch takes for finished."""

import os
import time
from pathlib import Path

import pytest
from miradouro.adapters.folder.quiet_files import QuietFiles
from miradouro.core.document import Origin


def change(path: Path, data: bytes, *, seconds_ago: float = 0) -> str:
    path.write_bytes(data)
    os.utime(path, ns=(0, time.time_ns() - int(seconds_ago * 1e9)))
    return str(path)


def state(path: str) -> Origin:
    status = os.stat(path)
    return Origin(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, "", "")


def test_a_file_unchanged_for_long_is_quiet(tmp_path: Path) -> None:
    assert QuietFiles(10).is_quiet(change(tmp_path / "a", b"1", seconds_ago=11))


def test_a_file_changed_just_now_is_not_quiet(tmp_path: Path) -> None:
    quiet = QuietFiles(60)
    path = change(tmp_path / "a", b"1")
    assert [quiet.is_quiet(path) for _ in range(2)] == [False, False]


def test_a_future_time_counts_from_now(tmp_path: Path) -> None:
    quiet = QuietFiles(0)
    path = change(tmp_path / "a", b"1", seconds_ago=-3_600)
    assert [quiet.is_quiet(path) for _ in range(2)] == [False, True]
    change(tmp_path / "a", b"12", seconds_ago=-3_600)
    assert [quiet.is_quiet(path) for _ in range(2)] == [False, True]


@pytest.mark.parametrize(
    ("reason", "seconds_ago", "waits"), [("truncated", 1, True), ("truncated", 61, False), ("too_many_pixels", 1, False)]
)
def test_a_cut_file_may_grow_for_a_minute(tmp_path: Path, reason: str, seconds_ago: int, waits: bool) -> None:
    quiet = QuietFiles(0)
    path = change(tmp_path / "a", b"1", seconds_ago=seconds_ago)
    assert quiet.may_grow(path, state(path), reason) is waits
    assert quiet.is_quiet(path) is not waits


def test_a_missing_file_is_quiet_and_not_growing(tmp_path: Path) -> None:
    quiet = QuietFiles(60)
    assert quiet.is_quiet(str(tmp_path / "a"))
    assert not quiet.may_grow(str(tmp_path / "a"), Origin(1, 1, 1, 1, "", ""), "truncated")


def test_a_file_changed_since_reading_is_rechecked_soon(tmp_path: Path) -> None:
    quiet = QuietFiles(0)
    path = change(tmp_path / "a", b"1")
    before = state(path)
    change(tmp_path / "a", b"12")
    assert quiet.may_grow(path, before, "truncated")
    assert quiet.is_quiet(path)
