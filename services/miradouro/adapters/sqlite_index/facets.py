"""Facets: counts of tags, owners, years and cameras over the photos of a ranking."""

from collections.abc import Sequence
from typing import Any

import apsw

from miradouro.adapters.sqlite_index.catalogue import Collection
from miradouro.adapters.sqlite_index.conditions import Bindings
from miradouro.adapters.sqlite_index.ranking import Members
from miradouro.core.query import CAMERA_ATTRIBUTE, Facet, FacetCount, FacetCounts, FacetField

# Whole seconds, rounded down: the remainder is negative before 1970.
_YEAR = "strftime('%Y', (taken_local_us - (taken_local_us % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch')"
# Field → its value, the table with the live photos, and the rows to count there.
_SOURCES = {
    FacetField.TAG: ("label", "tags", "collection_id = ?"),
    FacetField.OWNER: ("owner", "documents", "collection_id = ? AND deleted = 0 AND owner <> ''"),
    FacetField.YEAR: (_YEAR, "documents", "collection_id = ? AND deleted = 0 AND taken_local_us IS NOT NULL"),
    FacetField.CAMERA: ("value", "attributes", f"collection_id = ? AND name = '{CAMERA_ATTRIBUTE}' AND value <> ''"),
}


def count(
    connection: apsw.Connection, collection: Collection, members: Members | None, facets: Sequence[Facet]
) -> tuple[FacetCounts, ...]:
    """The counts over `members`; over every live photo of the collection where `members` is None."""
    return tuple(_count(connection, collection, members, facet) for facet in facets)


def _count(connection: apsw.Connection, collection: Collection, members: Members | None, facet: Facet) -> FacetCounts:
    field_value, table, chosen = _SOURCES[facet.field]
    bindings: Bindings = [collection.collection_id]
    if members is not None:
        chosen = f"{chosen} AND row_id IN ({members.sql})"
        bindings = [*bindings, *members.bindings]
    rows: list[Any] = connection.execute(
        f"SELECT value, photos, count(*) OVER () FROM (SELECT {field_value} AS value, count(*) AS photos FROM {table} "
        f"WHERE {chosen} GROUP BY 1) ORDER BY photos DESC, value LIMIT ?",
        (*bindings, facet.size),
    ).fetchall()
    counts = tuple(FacetCount(value, photos) for value, photos, _ in rows)
    return FacetCounts(facet.field, counts, rows[0][2] if rows else 0)
