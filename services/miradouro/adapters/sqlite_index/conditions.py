"""Conditions as SQL over `documents d`."""

import math
from collections.abc import Sequence
from datetime import datetime

from miradouro.core.microseconds import local_microseconds, microseconds
from miradouro.core.query import (
    AttributeIn,
    Condition,
    FileNamePrefix,
    InBox,
    Near,
    NoneOf,
    OwnerIs,
    TagIs,
    TakenBetween,
)

EARTH_RADIUS_M = 6_371_008.8
_LAST_CHARACTER = 0x10FFFF
_BEFORE_SURROGATES, _AFTER_SURROGATES = 0xD7FF, 0xE000

Bindings = list[int | float | str]


def where(collection_id: int, conditions: Sequence[Condition]) -> tuple[str, Bindings]:
    """SQL that is true for the live documents of the collection that pass every condition, and its bindings."""
    clauses, bindings = ["d.collection_id = ?", "d.deleted = 0"], Bindings([collection_id])
    for condition in conditions:
        sql, more = _sql(collection_id, condition)
        clauses.append(sql)
        bindings += more
    return " AND ".join(clauses), bindings


def row_ids_where(collection_id: int, conditions: Sequence[Condition]) -> tuple[str, Bindings]:
    """SQL for the row ids of these documents, each once, and its bindings; from one index alone where that suffices."""
    match conditions:
        case [TagIs(label)]:  # the tables of tags and attributes hold live documents only
            return "SELECT row_id FROM tags WHERE collection_id = ? AND label = ?", [collection_id, label]
        case [AttributeIn(name, values)]:  # a document has one value for each name
            marks = ", ".join("?" * len(values))
            return (
                f"SELECT row_id FROM attributes WHERE collection_id = ? AND name = ? AND value IN ({marks})",
                [collection_id, name, *values],
            )
    condition, bindings = where(collection_id, conditions)
    return f"SELECT d.row_id FROM documents d WHERE {condition}", bindings


def _sql(collection_id: int, condition: Condition) -> tuple[str, Bindings]:
    match condition:
        case TagIs(label):
            return "d.row_id IN (SELECT row_id FROM tags WHERE collection_id = ? AND label = ?)", [collection_id, label]
        case OwnerIs(owner):
            return "d.owner = ?", [owner]
        case AttributeIn(name, values):
            marks = ", ".join("?" * len(values))
            return (
                f"d.row_id IN (SELECT row_id FROM attributes WHERE collection_id = ? AND name = ? AND value IN ({marks}))",
                [collection_id, name, *values],
            )
        case TakenBetween(start, end):
            sql, bindings = "d.taken_us IS NOT NULL", Bindings()
            for bound, relation in ((start, ">="), (end, "<")):
                if bound is not None:
                    column, value = _time(bound)
                    sql, bindings = f"{sql} AND {column} {relation} ?", [*bindings, value]
            return sql, bindings
        case Near():
            return _near(condition)
        case InBox(south_west, north_east):
            spans = _spans(south_west.longitude, north_east.longitude)
            sql, bindings = _preselected(south_west.latitude, north_east.latitude, spans)
            longitudes = " OR ".join("d.longitude BETWEEN ? AND ?" for _ in spans)
            return (
                f"{sql} AND d.latitude BETWEEN ? AND ? AND ({longitudes})",
                [*bindings, south_west.latitude, north_east.latitude, *(bound for span in spans for bound in span)],
            )
        case FileNamePrefix(prefix):
            after = _after(prefix)
            return ("d.file_name >= ?", [prefix]) if after is None else ("d.file_name >= ? AND d.file_name < ?", [prefix, after])
        case NoneOf(conditions):
            parts = [_sql(collection_id, one) for one in conditions]
            # IS NOT TRUE: a photo without a time or a place passes, where the comparison is NULL.
            return (
                "(" + " OR ".join(f"({sql})" for sql, _ in parts) + ") IS NOT TRUE",
                [binding for _, bindings in parts for binding in bindings],
            )


def _time(bound: datetime) -> tuple[str, int]:
    """The column that a bound of `TakenBetween` is compared with, and its value there."""
    if bound.tzinfo is None:
        return "d.taken_local_us", local_microseconds(bound)
    return "d.taken_us", microseconds(bound, field="taken")


def _near(near: Near) -> tuple[str, Bindings]:
    """Haversine formula (Sinnott, "Virtues of the haversine", 1984), after the R-tree preselects a box around the circle."""
    latitude, longitude = near.center.latitude, near.center.longitude
    angle = near.radius_m / EARTH_RADIUS_M * (1 + 1e-9) + 1e-12
    south, north = latitude - math.degrees(angle), latitude + math.degrees(angle)
    spans = [(-180.0, 180.0)]
    if south > -90 and north < 90:
        reach = math.degrees(math.asin(min(1.0, math.sin(angle) / math.cos(math.radians(latitude)))))
        west, east = longitude - reach, longitude + reach
        if west < -180:
            spans = [(-180.0, east), (west + 360, 180.0)]
        elif east > 180:
            spans = [(west, 180.0), (-180.0, east - 360)]
        else:
            spans = [(west, east)]
    sql, bindings = _preselected(south, north, spans)
    distance = (
        f"{2 * EARTH_RADIUS_M!r} * asin(min(1.0, sqrt(pow(sin(radians(d.latitude - ?) / 2), 2) + "
        "cos(radians(?)) * cos(radians(d.latitude)) * pow(sin(radians(d.longitude - ?) / 2), 2))))"
    )
    return f"{sql} AND {distance} <= ?", [*bindings, latitude, latitude, longitude, near.radius_m]


def _spans(west: float, east: float) -> list[tuple[float, float]]:
    return [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]


def _preselected(south: float, north: float, spans: list[tuple[float, float]]) -> tuple[str, Bindings]:
    one = "SELECT row_id FROM places WHERE max_latitude >= ? AND min_latitude <= ? AND max_longitude >= ? AND min_longitude <= ?"
    bindings: Bindings = []
    for west, east in spans:
        bindings += [south, north, west, east]
    return f"d.row_id IN ({' UNION ALL '.join(one for _ in spans)})", bindings


def _after(prefix: str) -> str | None:
    """The smallest text, by code points, after all texts that begin with `prefix`; None where no text follows."""
    kept = prefix.rstrip(chr(_LAST_CHARACTER))
    if not kept:
        return None
    last = ord(kept[-1])
    return kept[:-1] + chr(_AFTER_SURROGATES if last == _BEFORE_SURROGATES else last + 1)
