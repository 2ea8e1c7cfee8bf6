"""Thumbnails in a folder: those that were used last, no more bytes than allowed, under names that no stored text decides."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.document import Document
from miradouro.core.errors import Corrupt
from miradouro.core.thumbnail import thumbnail_name
from miradouro.query.pictures import thumbnail_mark
from miradouro.query.thumbnail_cache import ThumbnailCache

ROOT = Path(__file__).parents[2]
PICTURE = bytes(4_096)
ROOM = 256 * 10 * len(PICTURE)  # ten pictures in each sub-folder
HASHES = [f"{number:064x}" for number in range(100)]  # all in sub-folder 00


def unmade() -> bytes:
    raise AssertionError("it is kept")


def used(path: Path, hours_ago: int) -> None:
    """Sets back when the file was used last."""
    then = path.stat().st_mtime_ns - hours_ago * 3_600 * 10**9
    os.utime(path, ns=(then, then))


def kept(folder: Path) -> set[str]:
    return {path.name[:64] for path in folder.rglob("*.jpg")}


def fill(folder: Path, first: int) -> int:
    """Asks for pictures in every sub-folder as one of several processes does."""
    cache = ThumbnailCache(folder, most_bytes=ROOM)
    names = [hashlib.sha256(f"{first + i}".encode()).hexdigest() for i in range(600)]
    return sum(len(cache.get(name, 320, lambda: PICTURE)) for name in names)


def test_thumbnails_used_longest_ago_are_removed(tmp_path: Path) -> None:
    cache = ThumbnailCache(tmp_path, most_bytes=ROOM)
    for age, name in enumerate(HASHES[:10]):
        cache.get(name, 320, lambda: PICTURE)
        used(tmp_path / thumbnail_name(name, 320), hours_ago=100 - age)
    assert cache.get(HASHES[0], 320, unmade) == PICTURE
    cache.get(HASHES[10], 320, lambda: PICTURE)
    assert kept(tmp_path) == {HASHES[0], *HASHES[3:11]}, "a tenth of the bytes makes room; what was just asked for stays"


def test_a_folder_filled_before_the_bound_shrinks(tmp_path: Path) -> None:
    for name in HASHES:
        ThumbnailCache(tmp_path).get(name, 320, lambda: PICTURE)
    assert len(kept(tmp_path)) == len(HASHES)
    ThumbnailCache(tmp_path, most_bytes=ROOM).get("0" * 62 + "ff", 320, lambda: PICTURE)
    assert len(kept(tmp_path)) == 9


def test_processes_share_one_bounded_folder(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from tests.integration.test_thumbnail_cache import fill; "
    calls = [f"{script}print(fill(Path(sys.argv[1]), {first}))" for first in (0, 300, 10_000)]
    processes = [
        subprocess.Popen([sys.executable, "-c", call, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT) for call in calls
    ]
    assert [int(process.communicate(timeout=120)[0]) for process in processes] == [600 * len(PICTURE)] * 3
    for _ in range(3):
        fill(tmp_path, 20_000)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.jpg")) <= ROOM
    assert list(tmp_path.rglob(".*")) == []


@given(st.one_of(st.text(), st.from_regex(r"(\.\./){1,3}[0-9a-f]{55,64}", fullmatch=True), st.just("A" * 64), st.just("é" * 64)))
def test_an_invalid_digest_has_no_file_name(sha256: str) -> None:
    with pytest.raises(Corrupt, match="SHA-256"):
        thumbnail_name(sha256, 320)
    with pytest.raises(Corrupt, match="SHA-256"):
        thumbnail_mark(Document("photos", "a", 1, sha256=sha256), 320)
