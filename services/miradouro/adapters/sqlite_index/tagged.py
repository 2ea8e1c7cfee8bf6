"""Reads tags with vectors by pages, and replaces the tags of stored photos."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import apsw

from miradouro.adapters.sqlite_index.catalogue import Collection, StoredSpace
from miradouro.adapters.sqlite_index.connections import Connections
from miradouro.adapters.sqlite_index.rows import DOCUMENT_COLUMNS, body_of, document_of, tags_of, vectors_of
from miradouro.adapters.sqlite_index.vectors.arrays import stored_bytes
from miradouro.adapters.sqlite_index.writes import add_tags, remove_tags
from miradouro.core.codes import unit_vectors
from miradouro.core.ports import TagChange, TaggedPhoto

_PAGE = 1_000


def of_collection(connections: Connections, collection: Collection, space: StoredSpace) -> Iterator[TaggedPhoto]:
    """See `PhotoIndex.tagged`; each page is a transaction of its own, as in `states.of_collection`."""
    row_bytes = stored_bytes(space.space.storage) * space.space.dimension
    sql = (
        f"SELECT d.photo_id, d.version, b.body, substr(v.vectors, 1, {row_bytes:d}) "
        f"FROM documents d JOIN bodies b USING (row_id) LEFT JOIN vectors_{space.space_id:d} v USING (row_id) "
        "WHERE d.collection_id = ? AND d.deleted = 0 AND d.photo_id > ? ORDER BY d.photo_id LIMIT ?"
    )
    last = ""  # no photo id is empty
    while True:
        with connections.reading() as connection:
            page: list[Any] = connection.execute(sql, (collection.collection_id, last, _PAGE)).fetchall()
        for photo_id, version, body, row in page:
            vector = None if row is None else unit_vectors(vectors_of(row, space.space), space.space)[0]
            yield TaggedPhoto(photo_id, version, tags_of(json.loads(body)), vector)
        if len(page) < _PAGE:
            return
        last = page[-1][0]


def replace_tags(connection: apsw.Connection, collection: Collection, changes: Sequence[TagChange]) -> int:
    """See `PhotoIndex.replace_tags`; inside the caller's transaction.

    The photos keep their change numbers, so that no segment is written again. The collection gets a new one all the same: it
    invalidates the filter cache.
    """
    replaced = 0
    for change in changes:
        row = connection.execute(
            f"SELECT {DOCUMENT_COLUMNS} FROM documents d JOIN bodies b USING (row_id) "
            "WHERE d.collection_id = ? AND d.photo_id = ? AND d.version = ? AND d.deleted = 0",
            (collection.collection_id, change.photo_id, change.version),
        ).fetchone()
        if row is None:
            continue
        row_id = int(row[0])
        document = replace(document_of(collection.name, row), tags=change.tags)
        connection.execute("UPDATE bodies SET body = ? WHERE row_id = ?", (body_of(document), row_id))
        remove_tags(connection, collection.collection_id, row_id)
        add_tags(connection, collection.collection_id, row_id, document)
        replaced += 1
    if replaced:
        connection.execute(
            "UPDATE collections SET last_change = last_change + 1 WHERE collection_id = ?", (collection.collection_id,)
        )
    return replaced
