"""Checks that a database has exactly this version's schema: triggers, views and expressions would run as programs."""

import functools
import re

import apsw

from miradouro.adapters.sqlite_index.schema import create_tables, create_text_tables, create_vector_table
from miradouro.adapters.sqlite_index.tokenizer import register_tokenizer
from miradouro.core.error_text import shown
from miradouro.core.errors import Corrupt

_LONGEST_SQL = 4_096  # characters; the schema of this program has a fifth of it
_MOST_CHARACTERS = 64 << 20  # of a schema: 1,000 collections have a hundredth of it
_MOST_COLLECTIONS, _MOST_SPACES = 10_000, 100_000
# Tables that FTS5 and R-tree make: their SQL differs between versions of SQLite, so only its form is checked.
_OF_AN_EXTENSION = re.compile(r"(places|(text|own|made|words)_\d+)_[a-z]+")
_COLUMNS = re.compile(r"CREATE TABLE ['\"]?([a-z0-9_]+)['\"]?\([A-Za-z_, ]*(\([A-Za-z_, ]*\))?\)( WITHOUT ROWID)?")
_EXPRESSIONS = re.compile(r"\b(AS|CHECK|COLLATE|DEFAULT|GENERATED|REFERENCES)\b", re.IGNORECASE)

_Key = tuple[str, str, str]  # type, name, table


def check_schema(connection: apsw.Connection) -> None:
    """Raises Corrupt, which names what is missing, foreign or different.

    The connection is in a transaction, or the database has no writer; the database has this version's format.
    """
    try:
        found = _rows(connection)
    except UnicodeDecodeError as exc:
        raise _corrupt("a name in it is no text") from exc
    fixed, of_collection, of_space = _expected()
    _compare({key: sql for key, sql in found.items() if key in fixed}, fixed)
    expected = dict(fixed)
    for column, table, most, rows in (
        ("collection_id", "collections", _MOST_COLLECTIONS, of_collection),
        ("space_id", "spaces", _MOST_SPACES, of_space),
    ):
        numbers = connection.execute(f"SELECT {column} FROM {table} LIMIT {most + 1}").fetchall()
        if len(numbers) > most:
            raise _corrupt(f"more than {most:,} {table}")
        for (number,) in numbers:
            own = f"_{number:d}"
            expected |= {
                (kind, name.replace("_0", own, 1), table_name.replace("_0", own, 1)): sql.replace("_0", own)
                for (kind, name, table_name), sql in rows.items()
            }
    _compare(found, expected)


def _rows(connection: apsw.Connection) -> dict[_Key, str]:
    rows: dict[_Key, str] = {}
    characters = 0
    for kind, name, owner, sql in connection.execute(
        "SELECT CAST(type AS TEXT), substr(CAST(name AS TEXT), 1, 100), substr(CAST(tbl_name AS TEXT), 1, 100), "
        f"substr(coalesce(CAST(sql AS TEXT), ''), 1, {_LONGEST_SQL + 1}) FROM sqlite_schema"
    ):
        rows[str(kind), str(name), str(owner)] = str(sql)
        characters += 300 + len(str(sql))
        if characters > _MOST_CHARACTERS:
            raise _corrupt("more tables than any index has")
    return rows


def _compare(found: dict[_Key, str], expected: dict[_Key, str]) -> None:
    for kind, name, _ in sorted(expected.keys() - found.keys()):
        raise _corrupt(f"the {kind} {name} is missing")
    for kind, name, _ in sorted(found.keys() - expected.keys()):
        raise _corrupt(f"the {kind} {shown(name)} does not belong to this program")
    for (kind, name, _), sql in found.items():
        wanted = expected[kind, name, _]
        if sql != wanted and not (_OF_AN_EXTENSION.fullmatch(name) and _is_plain(name, sql)):
            raise _corrupt(f"the {kind} {name} differs from this program's: {shown(sql)}")


def _is_plain(name: str, sql: str) -> bool:
    """Whether the SQL makes a table of columns and keys, without an expression."""
    matched = _COLUMNS.fullmatch(sql)
    return matched is not None and matched[1] == name and not _EXPRESSIONS.search(sql)


@functools.cache
def _expected() -> tuple[dict[_Key, str], dict[_Key, str], dict[_Key, str]]:
    """The rows of an empty index's schema, and those that a collection and a space, both with the id 0, add."""
    connection = apsw.Connection(":memory:")
    try:
        register_tokenizer(connection)
        create_tables(connection)
        fixed = _rows(connection)
        create_text_tables(connection, 0)
        with_text = _rows(connection)
        create_vector_table(connection, 0)
        with_vectors = _rows(connection)
    finally:
        connection.close()
    return fixed, _beyond(with_text, fixed), _beyond(with_vectors, with_text)


def _beyond(rows: dict[_Key, str], others: dict[_Key, str]) -> dict[_Key, str]:
    return {key: sql for key, sql in rows.items() if key not in others}


def _corrupt(what: str) -> Corrupt:
    return Corrupt(f"the database is not as this program makes it: {what}; restore a snapshot that you trust, or index anew")
