"""Snapshots from anybody: what this program would not have written is refused with a sentence, and no folder is believed."""

import json
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miradouro.adapters.photo_store import PhotoStores, PhotoStoreSettings, file_uri
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.adapters.sqlite_index.restore import restore_snapshot
from miradouro.adapters.sqlite_index.snapshot import take_snapshot
from miradouro.adapters.sqlite_index.tokenizer import register_tokenizer
from miradouro.core.document import Failure
from miradouro.core.errors import Corrupt, FailedPrecondition, InvalidArgument, MiradouroError
from miradouro.core.event import MAX_VERSION
from miradouro.core.query import EverythingClause, IndexQuery, KeywordClause, VectorClause
from miradouro.query.originals import Originals

from tests.integration.test_snapshots import miradouro
from tests.photo_documents import COLLECTION, SPACES, WHOLE, label, photo, tombstone

SHA256 = "ab" * 32


def quiet(_done: int, _all: int) -> None:
    pass


def make(folder: Path, root: str = "/home/ana/photos") -> Path:
    """A snapshot of a few photos of a folder, and of a collection that is fed by events."""
    with SqliteIndex.open(folder / "first", writer=True) as index:
        index.ensure_collection(COLLECTION, spaces=SPACES, root=root)
        index.ensure_collection("events", spaces=SPACES[:1])
        fields = {"sha256": SHA256, "caption": "the harbour", "tags": (label("pier", 0.5),), "owner": "ana"}
        index.write(
            [photo(f"{i}.jpg", uri=file_uri(f"{root}/{i}.jpg"), attributes={"a": "b"}, **fields) for i in range(20)]
            + [photo("gone.jpg", sha256=SHA256)]
        )
        index.write([tombstone("gone.jpg", 2)])
        index.put([Failure(COLLECTION, "torn.jpg", 1, "truncated", "it ends early", "", datetime.now(UTC))])
    take_snapshot(folder / "first", folder / "copy.db", progress=quiet)
    return folder / "copy.db"


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make(tmp_path_factory.mktemp("honest")).read_bytes()


@pytest.fixture
def copy(tmp_path: Path, honest: bytes) -> Path:
    (tmp_path / "copy.db").write_bytes(honest)
    return tmp_path / "copy.db"


def harm(path: Path, *statements: str) -> None:
    """Runs statements on the database as anybody may who has the file."""
    connection = apsw.Connection(str(path))
    register_tokenizer(connection)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    connection.pragma("writable_schema", "on")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def schema_of(table: str, old: str, new: str) -> str:
    return f"UPDATE sqlite_schema SET sql = replace(sql, '{old}', '{new}') WHERE name = '{table}'"


BODY = "UPDATE bodies SET body = json_set(body, '$.{}', {}) WHERE row_id = 3"
PROGRAMS = {
    "trigger": ["CREATE TRIGGER t AFTER INSERT ON documents BEGIN DELETE FROM documents; END"],
    "view": ["CREATE VIEW v AS SELECT * FROM documents"],
    "table in a view's place": [
        "ALTER TABLE attributes RENAME TO hidden",
        "CREATE VIEW attributes AS SELECT collection_id, name, value, row_id FROM hidden",
    ],
    "table": ["CREATE TABLE more(a)"],
    "virtual table": ["CREATE VIRTUAL TABLE more USING fts5(a)"],
    "index": ["CREATE INDEX more ON documents(owner)"],
    "index with an expression": ["DROP INDEX tags_by_row", "CREATE INDEX tags_by_row ON tags(row_id, abs(row_id))"],
    "column": ["ALTER TABLE documents ADD COLUMN more TEXT"],
    "generated column": ["ALTER TABLE documents ADD COLUMN more INTEGER AS (abs(version))"],
    "check": [schema_of("bodies", "body TEXT NOT NULL", "body TEXT NOT NULL CHECK (body > 1)")],
    "default": [schema_of("vectors_1", "BLOB NOT NULL", "BLOB NOT NULL DEFAULT (randomblob(9))")],
    "table of full text": [schema_of("text_1_config", "v", "v DEFAULT (random())")],
    "tokenizer": [schema_of("text_1", "porter miradouro", "unicode61")],
    "missing index": ["DROP INDEX documents_by_taken"],
    "statistics": ["ANALYZE"],
}
VALUES = {
    "a path for a digest": "UPDATE documents SET sha256 = '../../../etc/passwd' WHERE row_id = 3",
    "a short digest": "UPDATE documents SET sha256 = substr(sha256, 2) WHERE row_id = 3",
    "a digest in capitals": f"UPDATE documents SET sha256 = '{SHA256.upper()}' WHERE row_id = 3",
    "a collection's name": "UPDATE collections SET name = '../photos' WHERE name = 'events'",
    "a relative folder": "UPDATE collections SET root = 'photos' WHERE name = 'photos'",
    "a count": "UPDATE collections SET photos = 1000000 WHERE name = 'photos'",
    "a photo's id": "UPDATE documents SET photo_id = '' WHERE row_id = 3",
    "a long id": "UPDATE documents SET photo_id = hex(zeroblob(9000)) WHERE row_id = 3",
    "a version": "UPDATE documents SET version = -1 WHERE row_id = 3",
    "a change": "UPDATE documents SET change = 1000 WHERE row_id = 3",
    "a latitude": "UPDATE documents SET latitude = 91, longitude = 0 WHERE row_id = 3",
    "a local time": "UPDATE documents SET taken_local_us = 0 WHERE row_id = 3",
    "a time": f"UPDATE documents SET taken_us = {MAX_VERSION} WHERE row_id = 3",
    "a file name": "UPDATE documents SET file_name = 'b' WHERE row_id = 3",
    "an owner that is no text": "UPDATE documents SET owner = CAST(x'ff' AS TEXT) WHERE row_id = 3",
    "a tag that is no text": "UPDATE tags SET label = CAST(x'ff' AS TEXT) WHERE row_id = 3",
    "an origin": "UPDATE documents SET origin = '[1, 2]' WHERE row_id = 3",
    "no JSON": "UPDATE bodies SET body = '[' WHERE row_id = 3",
    "deep JSON": "UPDATE bodies SET body = replace(hex(zeroblob(500000)), '0', '[') WHERE row_id = 3",
    "a width": BODY.format("width", "'wide'"),
    "a URI": BODY.format("uri", "char(10)"),
    "half a character": BODY.format("title", "json('\"\\ud800\"')"),
    "a probability": BODY.format("tags", "json('[[\"a\", 2, 2, 0]]')"),
    "texts of no photo": "INSERT INTO bodies VALUES (1000, '{}')",
    "a short vector": "UPDATE vectors_1 SET vectors = zeroblob(2) WHERE row_id = 3",
    "a vector of zeros": "UPDATE vectors_1 SET vectors = zeroblob(64) WHERE row_id = 3",
    "another's vector": "UPDATE vectors_1 SET row_id = 1000 WHERE row_id = 3",
    "a dimension": "UPDATE spaces SET definition = json_set(definition, '$.dimension', 1000000000) WHERE space_id = 1",
    "a space": "UPDATE spaces SET definition = json_set(definition, '$.more', 1) WHERE space_id = 1",
    "a reason": "UPDATE failures SET reason = char(27) || '[2J'",
    "the state of a refused file": "UPDATE failures SET origin = '[1,2,3,4,5,6]'",
    "the last number": f"UPDATE sqlite_sequence SET seq = {MAX_VERSION} WHERE name = 'documents'",
    "two names": "INSERT INTO store VALUES ('more')",
}


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_snapshot_with_another_schema_is_refused(copy: Path, tmp_path: Path, kind: str) -> None:
    harm(copy, *PROGRAMS[kind])
    with pytest.raises(Corrupt, match="program"):
        restore_snapshot(copy, tmp_path / "new", progress=quiet)
    assert {path.name for path in (tmp_path / "new").iterdir()} <= {"writer.lock"}
    folder = tmp_path / "cloned"
    folder.mkdir()
    copy.rename(folder / "miradouro.db")
    for writer in (True, False):
        with pytest.raises(MiradouroError):
            SqliteIndex.open(folder, writer=writer)


@pytest.mark.parametrize("kind", VALUES)
def test_a_snapshot_with_a_wrong_value_is_refused(copy: Path, tmp_path: Path, kind: str) -> None:
    harm(copy, VALUES[kind])
    with pytest.raises(Corrupt, match=r"program never writes|snapshot is damaged"):
        restore_snapshot(copy, tmp_path / "new", progress=quiet)
    assert {path.name for path in (tmp_path / "new").iterdir()} <= {"writer.lock"}


def test_rows_of_segments_are_not_taken_over(copy: Path, tmp_path: Path) -> None:
    harm(copy, "DELETE FROM segments", "INSERT INTO replaced SELECT collection_id, change, 99 FROM documents WHERE deleted = 0")
    restore_snapshot(copy, tmp_path / "new", progress=quiet)
    with SqliteIndex.open(tmp_path / "new", writer=True) as index:
        like = VectorClause(WHOLE.name, WHOLE.provenance, photo("7.jpg").vectors[WHOLE.name][0])
        answer = index.search(IndexQuery(COLLECTION, like, limit=1))
        assert (answer.matches[0].photo_id, answer.total) == ("7.jpg", 20)
        assert index.settle(60)
        assert index.search(IndexQuery(COLLECTION, like, limit=1)).total == 20


def test_only_confirmed_folders_are_read(tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    (album / "0.jpg").write_bytes(b"a photo")
    copy = make(tmp_path, str(album))
    done = miradouro("restore", copy, "--data", tmp_path / "plain")
    assert (done.returncode, f"--root photos={album}" in done.stderr) == (0, True)
    done = miradouro("restore", copy, "--data", tmp_path / "confirmed", "--root", f"photos={album}", "--json")
    assert json.loads(done.stdout) == {"data": str(tmp_path / "confirmed"), "unconfirmed": {}}
    for name, is_read in (("plain", False), ("confirmed", True)):
        with SqliteIndex.open(tmp_path / name, writer=False) as index:
            assert index.search(IndexQuery(COLLECTION, KeywordClause(("pier",)))).total == 20
            originals = Originals(index=index, photo_store=PhotoStores(PhotoStoreSettings()).below)
            document = index.get(COLLECTION, "0.jpg")
            if is_read:
                assert originals.read_as_it_is(document) == b"a photo"
            else:
                with pytest.raises(FailedPrecondition, match="--root photos=DIR"):
                    originals.read_as_it_is(document)


@pytest.mark.parametrize(
    ("root", "named"),
    [("photos=/", "lie below '/home/ana/photos', not '/'"), ("events=/a", "there is: photos"), ("more=/a", "there is: photos")],
)
def test_a_folder_must_be_confirmed_by_its_name(copy: Path, tmp_path: Path, root: str, named: str) -> None:
    name, _, folder = root.partition("=")
    with pytest.raises(InvalidArgument, match=named):
        restore_snapshot(copy, tmp_path / "new", progress=quiet, roots={name: folder})
    assert not (tmp_path / "new/miradouro.db").exists()


@settings(max_examples=60, deadline=None)
@given(
    page=st.integers(0, 400),
    offset=st.integers(0, 8_191) | st.integers(0, 100),
    noise=st.binary(min_size=1, max_size=64),
    length=st.integers(0, 1 << 22),
)
def test_a_damaged_snapshot_is_refused_or_answers(
    honest: bytes, tmp_path_factory: pytest.TempPathFactory, page: int, offset: int, noise: bytes, length: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(honest)
    place = (page * 8_192 + offset) % len(content)
    content[place : place + len(noise)] = noise
    (folder / "copy.db").write_bytes(bytes(content[: length or None]))
    try:
        restore_snapshot(folder / "copy.db", folder / "new", progress=quiet)
    except MiradouroError:
        assert not (folder / "new/miradouro.db").exists()
        return
    with SqliteIndex.open(folder / "new", writer=False) as index:
        for stats in index.stats():
            index.search(IndexQuery(stats.name, EverythingClause()))


@given(st.binary(max_size=2_000))
def test_bytes_that_are_no_database_are_refused(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    folder = tmp_path_factory.mktemp("noise")
    for prefix in (b"", b"SQLite format 3\0"):
        (folder / "copy.db").write_bytes(prefix + noise)
        with pytest.raises(MiradouroError):
            restore_snapshot(folder / "copy.db", folder / "new", progress=quiet)
