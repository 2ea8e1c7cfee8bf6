"""Tables, and the format version of the data folder."""

import json
import os
from pathlib import Path

import apsw

from miradouro.core.errors import Corrupt, FailedPrecondition

FORMAT = 7
FORMAT_FILE = "format.json"
DATABASE_FILE = "miradouro.db"
PAGE_BYTES = 8_192
TEXT_TABLES = {"text": "title, caption", "own": "tags", "made": "texts"}  # name → columns

_TABLES = """
CREATE TABLE collections(
    collection_id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    root TEXT NOT NULL,
    last_change INTEGER NOT NULL DEFAULT 0,
    photos INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE spaces(
    space_id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id INTEGER NOT NULL REFERENCES collections,
    definition TEXT NOT NULL,
    photos INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The identity of this database, random: segments of another database, or of another copy, are not used.
CREATE TABLE store(identity TEXT NOT NULL) STRICT;
INSERT INTO store VALUES (lower(hex(randomblob(16))));

-- The list of segments: derived files in segments/, by id. A segment that is written anew gets a new id, in the commit that puts
-- it in use. It covers the changes in (after_change, through_change], and holds none that was superseded up to made_at. The
-- growing segment has no through_change. Files with this `stamp` were verified and need not be read again.
CREATE TABLE segments(
    segment_id INTEGER PRIMARY KEY AUTOINCREMENT,
    space_id INTEGER NOT NULL REFERENCES spaces,
    after_change INTEGER NOT NULL DEFAULT 0,
    through_change INTEGER,
    made_at INTEGER NOT NULL DEFAULT 0,
    photos INTEGER NOT NULL DEFAULT 0,
    stamp TEXT NOT NULL DEFAULT ''
) STRICT;

-- One row per photo, tombstones too. `change` counts the writes of a collection: a higher one is newer. `taken_us` is the
-- instant, which orders photos; `taken_local_us` is the wall clock there, read as if it were UTC, which days and years go by.
CREATE TABLE documents(
    row_id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id INTEGER NOT NULL REFERENCES collections,
    photo_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    change INTEGER NOT NULL,
    sha256 TEXT NOT NULL DEFAULT '',
    origin TEXT,
    owner TEXT NOT NULL DEFAULT '',
    file_name TEXT NOT NULL DEFAULT '',
    taken_us INTEGER,
    taken_local_us INTEGER,
    latitude REAL,
    longitude REAL,
    UNIQUE(collection_id, photo_id)
) STRICT;
CREATE UNIQUE INDEX documents_by_change ON documents(collection_id, change);
CREATE INDEX documents_by_owner ON documents(collection_id, owner) WHERE deleted = 0;
CREATE INDEX documents_by_file_name ON documents(collection_id, file_name) WHERE deleted = 0;
CREATE INDEX documents_by_bytes ON documents(collection_id, sha256) WHERE deleted = 0;
CREATE INDEX documents_by_taken ON documents(collection_id, taken_us) WHERE deleted = 0;
CREATE INDEX documents_by_local_time ON documents(collection_id, taken_local_us) WHERE deleted = 0;

-- The fields that no condition reads. Apart from documents: its rows stay small.
CREATE TABLE bodies(row_id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;

CREATE TABLE tags(
    collection_id INTEGER NOT NULL,
    label TEXT NOT NULL,
    row_id INTEGER NOT NULL,
    score REAL NOT NULL,
    PRIMARY KEY(collection_id, label, row_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tags_by_row ON tags(row_id);

CREATE TABLE attributes(
    collection_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    row_id INTEGER NOT NULL,
    PRIMARY KEY(collection_id, name, value, row_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX attributes_by_row ON attributes(row_id);

-- float32, rounded outwards: a preselection. The exact columns of documents decide.
CREATE VIRTUAL TABLE places USING rtree(row_id, min_latitude, max_latitude, min_longitude, max_longitude);

-- Superseded changes that segments may hold: the photo was replaced or deleted by a later change.
CREATE TABLE replaced(
    collection_id INTEGER NOT NULL,
    change INTEGER NOT NULL,
    by_change INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY(collection_id, change)
) STRICT, WITHOUT ROWID;

-- By the name of the collection: a photo can fail in one that was never made.
CREATE TABLE failures(
    collection TEXT NOT NULL,
    photo_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    uri TEXT NOT NULL,
    failed_at_us INTEGER NOT NULL,
    event BLOB NOT NULL DEFAULT x'',
    origin TEXT,
    PRIMARY KEY(collection, photo_id)
) STRICT, WITHOUT ROWID;
"""


def create_tables(connection: apsw.Connection) -> None:
    """Makes the tables of an empty database, in one commit; a database that has them stays as it is."""
    if int(connection.pragma("user_version") or 0):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_TABLES)
        connection.pragma("user_version", FORMAT)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def create_text_tables(connection: apsw.Connection, collection_id: int) -> None:
    """The full-text indexes of a collection, without a copy of the text. Frequencies of words are per collection.

    One for each group of core.searched_texts: BM25 depends on the length of a row. `words` has the words as they are written, not
    stemmed, and only which photos have them; `vocabulary` reads its terms.
    """
    for name, columns in TEXT_TABLES.items():
        connection.execute(
            f"CREATE VIRTUAL TABLE {name}_{collection_id:d} USING fts5("
            f"{columns}, content='', contentless_delete=1, tokenize='porter miradouro')"
        )
    connection.execute(
        f"CREATE VIRTUAL TABLE words_{collection_id:d} USING fts5("
        "words, content='', contentless_delete=1, detail=none, tokenize='miradouro')"
    )
    connection.execute(f"CREATE VIRTUAL TABLE vocabulary_{collection_id:d} USING fts5vocab('words_{collection_id:d}', 'row')")


def create_vector_table(connection: apsw.Connection, space_id: int) -> None:
    """The vectors of a space: little-endian float16 or int8 codes, vectors_per_photo x dimension, one blob per photo."""
    connection.execute(f"CREATE TABLE vectors_{space_id:d}(row_id INTEGER PRIMARY KEY, vectors BLOB NOT NULL) STRICT")


def check_format(folder: Path, connection: apsw.Connection | None = None) -> None:
    """Raises FailedPrecondition when the data folder, or its database, is of another format than this program's."""
    found = 0
    try:
        found = int(json.loads((folder / FORMAT_FILE).read_text())["format"])
    except FileNotFoundError:
        pass  # an empty folder, or one whose file was lost: the database has the number, too
    except (ValueError, KeyError, TypeError) as exc:
        raise Corrupt(f'{folder / FORMAT_FILE} is damaged ({exc}); it should read {{"format": {FORMAT}}}') from exc
    if connection is not None:
        found = max(found, int(connection.pragma("user_version") or 0))
    if found:
        check_number(found, f"data folder {folder}")


def check_number(found: int, what: str) -> None:
    """Raises FailedPrecondition, naming `what` has it, unless `found` is the format that this program reads and writes."""
    if found < FORMAT:
        raise FailedPrecondition(
            f"{what} has format {found}, this program reads format {FORMAT}; index the photos again into another folder (--data)"
        )
    if found > FORMAT:
        raise FailedPrecondition(
            f"{what} has format {found}, this program reads format {FORMAT}; update miradouro, or use another folder (--data)"
        )


def holds_index(folder: Path) -> bool:
    """Whether the data folder has a database."""
    return (folder / DATABASE_FILE).is_file()


def write_format(folder: Path) -> None:
    """Writes the format's number into the data folder, atomically."""
    path = folder / FORMAT_FILE
    text = json.dumps({"format": FORMAT}) + "\n"
    if path.exists() and path.read_text() == text:
        return
    draft = folder / f".{FORMAT_FILE}.{os.getpid()}"
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
