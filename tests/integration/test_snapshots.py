"""`miradouro snapshot` and `miradouro restore`: a copy of one moment while others write, and a folder that works made from it."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from miradouro.adapters.sqlite_index import SqliteIndex, Tuning
from miradouro.core.query import IndexQuery, KeywordClause, TextClause, VectorClause

from tests.photo_documents import COLLECTION, SPACES, WHOLE, label, photo

TUNING = Tuning(exact_vectors=50, growing_vectors=50)


def miradouro(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "miradouro.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def refused(*arguments: object) -> str:
    done = miradouro(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line


def write(index: SqliteIndex, start: int, stop: int) -> None:
    index.write([photo(f"{i:03}.jpg", caption="the harbour", tags=(label("pier", 0.5),)) for i in range(start, stop)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def index(folder: Path) -> Iterator[SqliteIndex]:
    with SqliteIndex.open(folder, writer=True, tuning=TUNING) as opened:
        opened.ensure_collection(COLLECTION, spaces=SPACES)
        write(opened, 0, 120)
        yield opened


def test_a_snapshot_during_writes_holds_one_state(index: SqliteIndex, tmp_path: Path) -> None:
    stop = threading.Event()
    written = []

    def keep_writing() -> None:
        number = 200
        while not stop.is_set():
            write(index, number, number + 2)  # two by two: no moment has an odd number
            written.append(number)
            number += 2

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        done = miradouro("snapshot", tmp_path / "copy.db", "--data", tmp_path / "data", "--json")
    finally:
        stop.set()
        writer.join()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"snapshot": str(tmp_path / "copy.db"), "bytes": (tmp_path / "copy.db").stat().st_size}
    assert written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "data"]
    assert miradouro("restore", tmp_path / "copy.db", "--data", tmp_path / "second").returncode == 0
    with SqliteIndex.open(tmp_path / "second", writer=True, tuning=TUNING) as restored:
        (stats,) = restored.stats()
        assert stats.photos >= 120
        assert stats.photos % 2 == 0
        assert restored.settle(timeout_s=120)
        assert list((tmp_path / "second/segments").glob("*.graph")), "derived files come back"
        like = VectorClause(WHOLE.name, WHOLE.provenance, photo("007.jpg").vectors[WHOLE.name][0])
        answer = restored.search(IndexQuery(COLLECTION, like, limit=1))
        assert (answer.matches[0].photo_id, answer.total, answer.exact) == ("007.jpg", stats.photos, False)
        for clause in (KeywordClause(("pier",)), TextClause(("harbour",), (), ())):
            assert restored.search(IndexQuery(COLLECTION, clause)).total == stats.photos
        write(restored, 1_000_000, 1_000_001)  # beyond what the writer reaches
        assert restored.stats()[0].photos == stats.photos + 1


def test_a_snapshot_in_a_folder_has_the_time(index: SqliteIndex, tmp_path: Path) -> None:
    (tmp_path / "copies").mkdir()
    done = miradouro("snapshot", tmp_path / "copies", "--data", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    (made,) = (tmp_path / "copies").iterdir()
    assert made.name.startswith("miradouro-2")
    assert made.suffix == ".db"
    assert str(made) in done.stdout
    assert index.stats()[0].photos == 120
    new = miradouro("snapshot", f"{tmp_path / 'new'}/", "--data", tmp_path / "data")
    assert new.returncode == 0, new.stderr
    assert len(list((tmp_path / "new").iterdir())) == 1, "a name that ends in a slash is a folder, made if it is not there"


@pytest.mark.usefixtures("index")
def test_a_snapshot_needs_an_index_and_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert "exists already" in refused("snapshot", tmp_path / "mine.txt", "--data", tmp_path / "data")
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert "does not exist" in refused("snapshot", tmp_path / "no/copy.db", "--data", tmp_path / "data")
    assert "holds no index" in refused("snapshot", tmp_path / "copy.db", "--data", tmp_path / "nothing")
    assert not (tmp_path / "copy.db").exists()


def test_a_restore_replaces_nothing(index: SqliteIndex, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    assert miradouro("snapshot", copy, "--data", tmp_path / "data").returncode == 0
    assert "writes to it" in refused("restore", copy, "--data", tmp_path / "data")
    index.close()
    assert "is not empty" in refused("restore", copy, "--data", tmp_path / "data")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/letter.txt").write_text("mine")
    assert "letter.txt" in refused("restore", copy, "--data", tmp_path / "other")
    assert (tmp_path / "other/letter.txt").read_text() == "mine"


def test_only_intact_snapshots_of_this_format_are_restored(index: SqliteIndex, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    assert miradouro("snapshot", copy, "--data", tmp_path / "data").returncode == 0
    assert "is no file" in refused("restore", tmp_path / "nothing.db", "--data", tmp_path / "new")
    (tmp_path / "text.db").write_text("a letter, and no database at all" * 100)
    assert "no SQLite database" in refused("restore", tmp_path / "text.db", "--data", tmp_path / "new")
    other = apsw.Connection(str(tmp_path / "other.db"))
    other.execute("CREATE TABLE letters(text)")
    other.close()
    assert "no snapshot of Miradouro" in refused("restore", tmp_path / "other.db", "--data", tmp_path / "new")
    newer = apsw.Connection(str(copy))
    newer.pragma("user_version", 99)
    newer.close()
    assert "format 99" in refused("restore", copy, "--data", tmp_path / "new")
    torn = tmp_path / "torn.db"
    assert miradouro("snapshot", torn, "--data", tmp_path / "data").returncode == 0
    content = bytearray(torn.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    torn.write_bytes(content)
    assert "damaged" in refused("restore", torn, "--data", tmp_path / "new")
    assert not (tmp_path / "new/miradouro.db").exists()
    assert index.stats()[0].photos == 120
