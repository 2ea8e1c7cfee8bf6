"""The embedded index as a folder on a disk: one writer, any number of readers, failures in the same commit."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest
from miradouro.adapters.sqlite_index import Holder, SqliteIndex, read_holder
from miradouro.adapters.sqlite_index.schema import FORMAT
from miradouro.core.document import Document, Failure
from miradouro.core.errors import Corrupt, FailedPrecondition, MiradouroError, NotFound, StoreLocked, Unavailable
from miradouro.core.query import IndexQuery, KeywordClause, TextClause, VectorClause

from tests.photo_documents import COLLECTION, SPACES, WHOLE, label, photo, tombstone
from tests.waiting import WAIT_S

ROOT = Path(__file__).parents[2]
READER = """
import sys
from pathlib import Path
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.core.query import IndexQuery, TextClause, VectorClause
from tests.photo_documents import COLLECTION, WHOLE, photo

with SqliteIndex.open(Path(sys.argv[1]), writer=False) as index:
    for line in sys.stdin:
        name = line.strip()
        vector = VectorClause(WHOLE.name, WHOLE.provenance, photo(name).vectors[WHOLE.name][0])
        found = index.search(IndexQuery(COLLECTION, vector, limit=1)).matches
        words = index.search(IndexQuery(COLLECTION, TextClause(("harbour",), (), ())))
        print(found[0].photo_id if found else "nothing", words.total, index.stats()[0].photos, flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def index(folder: Path) -> Iterator[SqliteIndex]:
    with SqliteIndex.open(folder, writer=True) as opened:
        opened.ensure_collection(COLLECTION, spaces=SPACES)
        yield opened


def failure(photo_id: str, version: int) -> Failure:
    return Failure(COLLECTION, photo_id, version, "truncated", "cut off", "", datetime.now(UTC))


def test_a_reader_process_sees_every_commit_at_once(index: SqliteIndex, folder: Path) -> None:
    index.write([photo("first.jpg")])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "services"), str(ROOT)])}
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(folder)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        for i in range(30):
            index.write([photo(f"{i}.jpg", caption="the harbour"), tombstone(f"{i - 1}.jpg", 2)])
            reader.stdin.write(f"{i}.jpg\n")
            reader.stdin.flush()
            assert reader.stdout.readline().split() == [f"{i}.jpg", "1", "2"]
        reader.stdin.close()
        assert reader.wait(timeout=WAIT_S) == 0


def test_a_reader_needs_no_writer_and_no_log(folder: Path) -> None:
    with SqliteIndex.open(folder, writer=True) as index:
        index.ensure_collection(COLLECTION, spaces=SPACES)
        index.write([photo("a.jpg")])
    assert [path.name for path in folder.glob("miradouro.db-*")] == []
    with SqliteIndex.open(folder, writer=False) as reader, SqliteIndex.open(folder, writer=False) as other:
        assert reader.get(COLLECTION, "a.jpg") == other.get(COLLECTION, "a.jpg")
        with SqliteIndex.open(folder, writer=True) as index:
            index.write([photo("b.jpg")])
            assert reader.stats()[0].photos == 2
        assert other.stats()[0].photos == 2


def test_a_reader_does_not_write(index: SqliteIndex, folder: Path) -> None:
    index.write([photo("a.jpg")])
    with SqliteIndex.open(folder, writer=False) as reader:
        for call in (
            lambda: reader.write([photo("b.jpg")]),
            lambda: reader.put([failure("a.jpg", 1)]),
            lambda: reader.ensure_collection("second", spaces=SPACES),
            lambda: reader.refresh_origins(COLLECTION, {}),
        ):
            with pytest.raises(FailedPrecondition, match="opened for reading"):
                call()


def test_a_second_writer_learns_who_holds_the_lock(index: SqliteIndex, folder: Path) -> None:
    assert read_holder(folder) == Holder(os.getpid(), "")
    with pytest.raises(StoreLocked, match=str(os.getpid())):
        SqliteIndex.open(folder, writer=True)
    index.set_address("127.0.0.1:4711")
    assert read_holder(folder) == Holder(os.getpid(), "127.0.0.1:4711")
    with pytest.raises(StoreLocked, match=r"127\.0\.0\.1:4711"):
        SqliteIndex.open(folder, writer=True)
    index.write([photo("a.jpg")])
    index.close()
    assert read_holder(folder) is None
    with SqliteIndex.open(folder, writer=True) as next_writer:
        assert next_writer.stats()[0].photos == 1


def test_a_reader_does_not_make_the_folder(tmp_path: Path) -> None:
    assert read_holder(tmp_path / "nowhere") is None
    with pytest.raises(NotFound, match="nowhere"):
        SqliteIndex.open(tmp_path / "nowhere", writer=False)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(("other", "remedy"), [(FORMAT + 1, "update"), (FORMAT - 1, "index the photos again")])
def test_folder_of_another_format_is_refused(folder: Path, other: int, remedy: str) -> None:
    SqliteIndex.open(folder, writer=True).close()
    assert json.loads((folder / "format.json").read_text()) == {"format": FORMAT}
    (folder / "format.json").write_text(json.dumps({"format": other}))
    for writer in (True, False):
        with pytest.raises(FailedPrecondition, match=rf"format {other}.*reads format {FORMAT}.*{remedy}"):
            SqliteIndex.open(folder, writer=writer)
    assert read_holder(folder) is None


def test_a_newer_database_without_format_file_is_refused(folder: Path) -> None:
    SqliteIndex.open(folder, writer=True).close()
    (folder / "format.json").unlink()
    SqliteIndex.open(folder, writer=True).close()
    assert json.loads((folder / "format.json").read_text()) == {"format": FORMAT}
    database = apsw.Connection(str(folder / "miradouro.db"))
    database.pragma("user_version", FORMAT + 1)
    database.close()
    (folder / "format.json").unlink()
    for writer in (True, False):
        with pytest.raises(FailedPrecondition, match=f"format {FORMAT + 1}"):
            SqliteIndex.open(folder, writer=writer)


def test_damage_is_reported_as_damage(folder: Path) -> None:
    SqliteIndex.open(folder, writer=True).close()
    (folder / "format.json").write_text("{")
    with pytest.raises(Corrupt, match=r"format\.json"):
        SqliteIndex.open(folder, writer=True)
    (folder / "format.json").unlink()
    (folder / "miradouro.db").write_bytes(b"no database" * 1_000)
    for writer in (True, False):
        with pytest.raises(Corrupt, match=r"damaged|no SQLite database"):
            SqliteIndex.open(folder, writer=writer)


def test_a_closed_index_raises_a_clear_error(folder: Path) -> None:
    index = SqliteIndex.open(folder, writer=True)
    index.ensure_collection(COLLECTION, spaces=SPACES)
    index.close()
    index.close()
    with pytest.raises(Unavailable, match="closed"):
        index.write([photo("a.jpg")])
    with pytest.raises(Unavailable, match="closed"):
        index.stats()


def test_storing_a_document_clears_its_failure_atomically(index: SqliteIndex) -> None:
    index.put([failure(name, 3) for name in ("older.jpg", "same.jpg", "newer.jpg", "gone.jpg")])
    index.write([photo("older.jpg", 4), photo("same.jpg", 3), photo("newer.jpg", 2), tombstone("gone.jpg", 4)])
    assert [one.photo_id for one in index.list()[0]] == ["newer.jpg"]


def test_a_failure_older_than_the_document_is_dropped(index: SqliteIndex) -> None:
    index.write([photo("a.jpg", 4)])
    index.put([failure("a.jpg", 3), failure("a.jpg", 4)])
    assert index.list() == ([], "")
    index.put([failure("a.jpg", 5)])
    assert [one.version for one in index.list()[0]] == [5]


def test_updates_keep_row_ids_and_none_is_reused(index: SqliteIndex, folder: Path) -> None:
    index.write([photo("a.jpg"), photo("b.jpg")])
    database = apsw.Connection(str(folder / "miradouro.db"), flags=apsw.SQLITE_OPEN_READONLY)

    def row_ids() -> dict[str, int]:
        return dict(database.execute("SELECT photo_id, row_id FROM documents"))

    before = row_ids()
    index.write([photo("a.jpg", 2), tombstone("b.jpg", 2)])
    index.write([photo("b.jpg", 3), photo("c.jpg")])
    assert {name: row_id for name, row_id in row_ids().items() if name in before} == before
    assert database.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'").get == 1
    database.close()


def test_writes_reads_and_searches_run_concurrently(index: SqliteIndex) -> None:
    """Three threads search what is only ever added while one writes: no answer may lack what was there before it began."""
    stop = threading.Event()
    errors: list[str] = []
    written = [0]

    def searcher(clause: KeywordClause | TextClause | VectorClause) -> None:
        while not stop.is_set():
            least = written[0]
            try:
                answer = index.search(IndexQuery(COLLECTION, clause, limit=1_000))
            except MiradouroError as exc:
                errors.append(str(exc))
                return
            if answer.total < least or len(answer.matches) != answer.total:
                errors.append(f"{clause}: {answer.total} of {least}, {len(answer.matches)} given")

    def write(number: int) -> None:
        index.write(
            [
                photo(f"{i % 40}.jpg", number, caption="harbour", tags=(label("pier", 0.5),))
                for i in range(number % 40, number % 40 + 8)
            ]
        )

    clauses = (
        KeywordClause(("pier",)),
        TextClause(("harbour",), (), ()),
        VectorClause(WHOLE.name, WHOLE.provenance, photo("0.jpg").vectors[WHOLE.name][0]),
    )
    threads = [threading.Thread(target=searcher, args=(clause,)) for clause in clauses]
    for thread in threads:
        thread.start()
    for number in range(1, 60):
        write(number)
        written[0] = index.stats()[0].photos
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []


def test_an_unfinished_listing_lets_the_log_shrink(index: SqliteIndex, folder: Path) -> None:
    """A half-read listing is no open transaction: the log can be written back into the database and cut."""
    index.write([Document(COLLECTION, f"{i:05}.jpg", 1) for i in range(1_500)])
    states = index.origins(COLLECTION)
    next(states)
    database = apsw.Connection(str(folder / "miradouro.db"))
    assert database.pragma("journal_mode") == "wal"
    frames, copied = database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    database.close()
    assert (frames, copied) == (0, 0)
    assert sum(1 for _ in states) == 1_499


def test_a_reader_before_the_tables_finds_no_index(tmp_path: Path) -> None:
    (tmp_path / "miradouro.db").touch()
    with pytest.raises(NotFound, match="holds no index yet; index some photos into it first"):
        SqliteIndex.open(tmp_path, writer=False)
