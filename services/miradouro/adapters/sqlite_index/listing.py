"""Queries without a clause: every photo that passes the conditions."""

from typing import Any

import apsw

from miradouro.adapters.sqlite_index.catalogue import Collection
from miradouro.adapters.sqlite_index.conditions import where
from miradouro.adapters.sqlite_index.ordering import ordering
from miradouro.adapters.sqlite_index.ranking import Members, Ranked, Ranking
from miradouro.core.query import IndexQuery


def everything(connection: apsw.Connection, collection: Collection, query: IndexQuery) -> Ranking:
    """Every photo, by photo id or by time."""
    condition, bindings = where(collection.collection_id, query.conditions)
    order = ordering(query)
    rows: list[Any] = connection.execute(
        f"SELECT d.row_id, d.photo_id, 0.0 FROM documents d WHERE {condition} AND {order.begins} "
        f"ORDER BY {order.by} LIMIT ? OFFSET ?",
        (*bindings, *order.bindings, query.limit, query.offset),
    ).fetchall()
    total = collection.photos
    if query.conditions:
        total = int(connection.execute(f"SELECT count(*) FROM documents d WHERE {condition}", bindings).get)
    members = Members(f"SELECT d.row_id FROM documents d WHERE {condition}", bindings) if query.conditions else None
    return Ranking([Ranked(*row) for row in rows], total, members=members)
