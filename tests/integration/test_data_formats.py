"""A data folder of every format that was ever released opens in this program, with all that it held."""

import logging
import shutil
from pathlib import Path

import apsw
import pytest
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.adapters.sqlite_index.schema import FORMAT
from miradouro.core.document import Document
from miradouro.core.errors import NotFound
from miradouro.core.query import IndexQuery, KeywordClause, OwnerIs, TextClause, VectorClause

from tests.photo_documents import COLLECTION, SPACES, photo
from tools.write_data_format import OTHER, ROOT, documents

GOLDEN = Path(__file__).parents[1] / "golden"
FORMATS = range(1, FORMAT + 1)
LIVE = {document.photo_id: document for document in documents()}
del LIVE["trips/4.jpg"]


@pytest.fixture(params=FORMATS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copy(GOLDEN / f"data-format-{request.param}.db", folder / "miradouro.db")
    (folder / "format.json").write_text(f'{{"format": {request.param}}}\n')
    return folder


def schema(path: Path) -> list[tuple[str, list[tuple[object, ...]]]]:
    """Tables and their columns, without their order: a migrated database has those of a new one."""
    database = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'index')")]
        return sorted((name, sorted(database.execute("SELECT name, type FROM pragma_table_info(?)", (name,)))) for name in tables)
    finally:
        database.close()


def check(index: SqliteIndex) -> None:
    assert [(one.name, one.root, one.photos, one.deleted, one.failed) for one in index.stats()] == [
        (OTHER, "", 0, 0, 0),
        (COLLECTION, ROOT, 11, 1, 1),
    ]
    for photo_id, document in LIVE.items():
        found = index.get(COLLECTION, photo_id)
        expected = Document(**{**vars(document), "tags": found.tags, "vectors": {}, "provenances": {}})
        assert (found, set(found.tags)) == (expected, set(document.tags))
        for space in SPACES:
            for vector in document.vectors[space.name]:
                clause = VectorClause(space.name, space.provenance, vector)
                answer = index.search(IndexQuery(COLLECTION, clause, limit=1))
                assert (answer.matches[0].photo_id, answer.total) == (photo_id, len(LIVE))
    with pytest.raises(NotFound):
        index.get(COLLECTION, "trips/4.jpg")
    for clause in (KeywordClause(("dog",)), TextClause(("dogs",), (), ())):
        assert index.search(IndexQuery(COLLECTION, clause, (OwnerIs("rui"),))).total == 2
    assert [(one.photo_id, one.reason) for one in index.list()[0]] == [("trips/torn.jpg", "truncated")]


def test_a_writer_brings_an_older_folder_to_this_format(folder: Path, tmp_path: Path) -> None:
    with SqliteIndex.open(folder, writer=True) as index:
        check(index)
        assert index.settle(timeout_s=60)
        check(index)
        index.write([photo("trips/4.jpg", 3), photo("new.jpg")])
        assert index.stats()[1].photos == 13
    assert (folder / "format.json").read_text() == f'{{"format": {FORMAT}}}\n'
    with SqliteIndex.open(tmp_path / "new", writer=True) as new:
        new.ensure_collection("first", spaces=SPACES)
        new.ensure_collection("second", spaces=SPACES[:1])
    assert schema(folder / "miradouro.db") == schema(tmp_path / "new/miradouro.db")


def test_a_reader_that_comes_first_reads_it_all_the_same(folder: Path) -> None:
    with SqliteIndex.open(folder, writer=False) as index:
        check(index)


def test_a_change_of_format_that_does_not_end_leaves_the_older_one_whole(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = apsw.Connection(str(folder / "miradouro.db"))
    old = int(before.pragma("user_version"))
    if old == FORMAT:
        before.close()
        with caplog.at_level(logging.INFO), SqliteIndex.open(folder, writer=True):
            assert "brought from format" not in caplog.text
        return
    before.execute("CREATE TABLE store(in_the_way)")
    before.close()
    with pytest.raises(apsw.SQLError, match="store"):
        SqliteIndex.open(folder, writer=True)
    after = apsw.Connection(str(folder / "miradouro.db"))
    assert int(after.pragma("user_version")) == old
    after.execute("DROP TABLE store")
    after.close()
    with SqliteIndex.open(folder, writer=True) as index:
        check(index)
