"""Photos during which the whole process ended: suspect once, refused the third time, and innocent as soon as they are read."""

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from miradouro.adapters.photo_reader.journal import Journal
from miradouro.adapters.photo_reader.limits import ReaderLimits
from miradouro.adapters.photo_reader.pool import ReaderPool
from miradouro.adapters.photo_reader.reader import JobReader
from miradouro.core.errors import BadPhoto, FailedPrecondition

from tests.pictures import SQUASH, jpeg
from tests.processes import children_of, cpu_s_of, ends, eventually
from tests.slow_photos import LARGE, MANY, SIDE

ROOT = Path(__file__).parents[2]
INGEST = """
import sys
from pathlib import Path
from miradouro.adapters.photo_reader.journal import Journal
from miradouro.adapters.photo_reader.limits import ReaderLimits
from miradouro.adapters.photo_reader.pool import ReaderPool
from miradouro.adapters.photo_reader.reader import JobReader
from miradouro.core.errors import BadPhoto
from tests.slow_photos import MANY

journal, photo, name = sys.argv[1:]
with ReaderPool(size=1, limits=ReaderLimits(wall_s=120.0, cpu_s=100)) as pool:
    reader = JobReader(Journal(Path(journal), pool).run)
    try:
        print(reader.decode(Path(photo).read_bytes(), MANY, key=name).width)
    except BadPhoto as exc:
        print(exc.reason, exc.message, len(pool.pids))
"""


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    path = tmp_path / "slow.png"
    path.write_bytes(LARGE)
    return path


def start(journal: Path, photo: Path, name: str = "photos/slow.png@1") -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", INGEST, journal, photo, name], stdout=subprocess.PIPE, text=True, cwd=ROOT)


def killed_while_reading(journal: Path, photo: Path) -> None:
    process = start(journal, photo)
    child = eventually(lambda: next((pid for pid in children_of(process.pid) if cpu_s_of(pid) > 0.8), 0))
    process.kill()
    process.communicate()
    assert ends(child)


def result(journal: Path, photo: Path, name: str = "photos/slow.png@1") -> str:
    return start(journal, photo, name).communicate(timeout=120)[0].splitlines()[-1]


def test_a_photo_that_crashed_twice_is_not_read(tmp_path: Path, slow: Path) -> None:
    journal = tmp_path / "reading"
    for _ in range(2):
        killed_while_reading(journal, slow)
    for _ in range(2):
        outcome = result(journal, slow)
        assert outcome.startswith("too_expensive photo: the process ended 2 times")
        assert outcome.endswith(" 0"), "a child was started for it"
    slow.write_bytes(jpeg())
    assert result(journal, slow) == "320", "a file that was saved anew"
    assert len(list(journal.iterdir())) == 1


def test_a_photo_in_flight_once_is_innocent(tmp_path: Path, slow: Path) -> None:
    journal = tmp_path / "reading"
    killed_while_reading(journal, slow)
    assert result(journal, slow) == str(SIDE)
    assert list(journal.iterdir()) == []


def test_others_are_read_beside_a_refused_one(tmp_path: Path, slow: Path) -> None:
    journal = tmp_path / "reading"
    killed_while_reading(journal, slow)
    assert result(journal, slow, "photos/other.jpg@1") == str(SIDE)
    [note] = journal.iterdir()
    assert note.read_text() == "1"


def test_a_suspect_is_read_alone(tmp_path: Path) -> None:
    photo, name = jpeg(), "photos/a.jpg@1"
    with ReaderPool(size=2, limits=ReaderLimits(wall_s=120.0, cpu_s=100)) as pool, ThreadPoolExecutor(2) as threads:
        reader = JobReader(Journal(tmp_path / "reading", pool).run)
        reader.decode(photo, [SQUASH])
        [child] = pool.pids
        os.kill(child, signal.SIGSTOP)
        read = threads.submit(reader.decode, photo, [SQUASH], key=name)
        [note] = eventually(lambda: list((tmp_path / "reading").iterdir()))
        eventually(lambda: note.read_text() == "1")
        shutil.copytree(tmp_path / "reading", tmp_path / "found")  # as the next process would find it
        os.kill(child, signal.SIGCONT)
        assert read.result().width == 320

        other = threads.submit(JobReader(pool.run).decode, LARGE, MANY)
        eventually(lambda: pool.taken_bytes > 200 * 2**20)
        JobReader(pool.run).decode(photo, [SQUASH])
        assert not other.done()
        assert JobReader(Journal(tmp_path / "found", pool).run).decode(photo, [SQUASH], key=name).width == 320
        assert other.done()


def test_invalid_notes_are_suspects_at_most(tmp_path: Path) -> None:
    folder = tmp_path / "reading"
    folder.mkdir()
    for number, text in enumerate(("", "x", "99", "-1", "1\n")):
        (folder / f"{number}").write_text(text)
    (folder / "folder").mkdir()
    with ReaderPool(size=1) as pool:
        assert JobReader(Journal(folder, pool).run).decode(jpeg(), [SQUASH], key="a").width == 320


def test_a_folder_behind_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "reading").symlink_to(tmp_path / "elsewhere")
    with ReaderPool(size=1) as pool, pytest.raises(FailedPrecondition, match="is a link"):
        Journal(tmp_path / "reading", pool)


def test_bad_photos_leave_no_note(tmp_path: Path) -> None:
    with ReaderPool(size=1) as pool:
        reader = JobReader(Journal(tmp_path / "reading", pool).run)
        for _ in range(3):
            with pytest.raises(BadPhoto, match="no picture format"):
                reader.decode(b"no photo", [SQUASH], key="a")
    assert list((tmp_path / "reading").iterdir()) == []
