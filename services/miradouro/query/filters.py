"""Translates the filters of a request into checked conditions."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from miradouro.core.document import GeoPoint
from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument
from miradouro.core.event import MAX_ATTRIBUTE_NAME_CHARS, MAX_ATTRIBUTE_VALUE_CHARS, MAX_OWNER_CHARS, MAX_TAG_CHARS, check_place
from miradouro.core.filter_grammar import MAX_CONDITIONS, MAX_NAME_CHARS, MAX_RADIUS_M, MAX_VALUES
from miradouro.core.photo_names import nfc
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
from miradouro.core.text import fold_tag
from miradouro.core.time_span import parse_time
from miradouro.v1 import photo_event_pb2, search_service_pb2

MAX_DEPTH = 8  # of not within not


class _HasFilters(Protocol):
    @property
    def filters(self) -> Sequence[search_service_pb2.Filter]: ...


def conditions_from(message: _HasFilters) -> tuple[Condition, ...]:
    """Returns the conditions of the filters, at most MAX_CONDITIONS over all depths.

    Raises InvalidArgument naming the filter, as `filters[0].near.radius_m`.
    """
    _check_count(message)
    return _conditions(message, field="filters", depth=1)


def _check_count(message: _HasFilters) -> None:
    """Counts before anything is built: a request with too many conditions stays cheap."""
    count = 0
    left: list[_HasFilters] = [message]
    while left:
        filters = left.pop().filters
        count += len(filters)
        if count <= MAX_CONDITIONS:
            for one in filters:
                match one.WhichOneof("condition"):
                    case "not":
                        left.append(getattr(one, "not"))  # a keyword of Python
                    case "attribute":
                        count += max(len(one.attribute.values) - 1, 0)
        if count > MAX_CONDITIONS:
            raise InvalidArgument("filters", f"more than {MAX_CONDITIONS} conditions and values in all; ask with fewer")


def _conditions(message: _HasFilters, *, field: str, depth: int) -> tuple[Condition, ...]:
    if depth > MAX_DEPTH:
        raise InvalidArgument(field, f"conditions lie {depth} deep; allowed: at most {MAX_DEPTH}")
    return tuple(_condition(one, f"{field}[{i}]", depth) for i, one in enumerate(message.filters))


def filters_of(conditions: Iterable[Condition]) -> list[search_service_pb2.Filter]:
    """Returns the filters of the conditions: the inverse of `conditions_from`."""
    return [_filter(condition) for condition in conditions]


def _filter(condition: Condition) -> search_service_pb2.Filter:
    match condition:
        case TagIs(label):
            return search_service_pb2.Filter(tag=label)
        case OwnerIs(owner):
            return search_service_pb2.Filter(owner=owner)
        case AttributeIn(name, values):
            return search_service_pb2.Filter(attribute=search_service_pb2.AttributeFilter(name=name, values=values))
        case TakenBetween(start, end):
            taken = search_service_pb2.TakenFilter()
            for name, bound in (("from", start), ("until", end)):
                if bound is None:
                    continue
                if bound.tzinfo is None:
                    setattr(taken, f"local_{name}", bound.isoformat())
                else:
                    getattr(taken, name).FromDatetime(bound)
            return search_service_pb2.Filter(taken=taken)
        case Near(center, radius_m):
            return search_service_pb2.Filter(near=search_service_pb2.NearFilter(center=_place_of(center), radius_m=radius_m))
        case InBox(south_west, north_east):
            corners = {"south_west": _place_of(south_west), "north_east": _place_of(north_east)}
            return search_service_pb2.Filter(box=search_service_pb2.BoxFilter(**corners))
        case FileNamePrefix(prefix):
            return search_service_pb2.Filter(file_name_prefix=prefix)
        case NoneOf(inner):
            none = search_service_pb2.NotFilter(filters=filters_of(inner))
            negation = search_service_pb2.Filter()
            getattr(negation, "not").CopyFrom(none)  # a keyword of Python
            return negation


def _place_of(place: GeoPoint) -> photo_event_pb2.GeoPoint:
    return photo_event_pb2.GeoPoint(latitude=place.latitude, longitude=place.longitude)


def _condition(one: search_service_pb2.Filter, field: str, depth: int) -> Condition:
    kind = one.WhichOneof("condition")
    match kind:
        case "tag":
            label = fold_tag(_sized(one.tag, f"{field}.tag", MAX_TAG_CHARS))
            return TagIs(_sized(label, f"{field}.tag", MAX_TAG_CHARS))
        case "owner":
            return OwnerIs(_sized(one.owner, f"{field}.owner", MAX_OWNER_CHARS, least=0))  # empty: photos without an owner
        case "attribute":
            return _attribute(one.attribute, f"{field}.attribute")
        case "taken":
            return _taken(one.taken, f"{field}.taken")
        case "near":
            return _near(one.near, f"{field}.near")
        case "box":
            return _box(one.box, f"{field}.box")
        case "file_name_prefix":
            return _file_name_prefix(one.file_name_prefix, f"{field}.file_name_prefix")
        case "not":
            inner = getattr(one, "not")  # a keyword of Python
            if not inner.filters:
                raise InvalidArgument(f"{field}.not.filters", f"0 conditions; allowed: 1 to {MAX_CONDITIONS}")
            return NoneOf(_conditions(inner, field=f"{field}.not.filters", depth=depth + 1))
        case _:
            raise InvalidArgument(
                field,
                "no condition is set; allowed: tag, owner, attribute, taken, near, box, file_name_prefix, not",
            )


def _attribute(one: search_service_pb2.AttributeFilter, field: str) -> AttributeIn:
    if not 1 <= len(one.values) <= MAX_VALUES:
        raise InvalidArgument(f"{field}.values", f"{len(one.values):,} values; allowed: 1 to {MAX_VALUES}")
    values = [_sized(value, f"{field}.values", MAX_ATTRIBUTE_VALUE_CHARS, least=0) for value in one.values]
    return AttributeIn(_sized(one.name, f"{field}.name", MAX_ATTRIBUTE_NAME_CHARS), tuple(values))


def _taken(one: search_service_pb2.TakenFilter, field: str) -> TakenBetween:
    start, end = _bound(one, "from", field), _bound(one, "until", field)
    if start is not None and end is not None and (start.tzinfo is None) == (end.tzinfo is None) and start >= end:
        name = "until" if end.tzinfo else "local_until"
        raise InvalidArgument(f"{field}.{name}", f"{end.isoformat()} is not after {start.isoformat()}, where the span begins")
    return TakenBetween(start, end)


def _bound(one: search_service_pb2.TakenFilter, name: str, field: str) -> datetime | None:
    """Returns a bound of the span: aware for an instant, naive for a local time, None when neither is set."""
    local = f"local_{name}"
    if not one.HasField(local):
        return _instant(getattr(one, name), f"{field}.{name}") if one.HasField(name) else None
    if one.HasField(name):
        raise InvalidArgument(f"{field}.{local}", f"{name} is set, too; set one of the two")
    text = getattr(one, local)
    try:
        first, _ = parse_time(text)
    except ValueError as exc:
        raise InvalidArgument(f"{field}.{local}", f"{shown(text)} {exc}") from exc
    if first.tzinfo is not None:
        raise InvalidArgument(f"{field}.{local}", f"{shown(text)} has an offset; leave it out, or set {name}, an instant")
    return first


def _instant(stamp: Timestamp, field: str) -> datetime:
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as exc:
        raise InvalidArgument(
            field, f"{stamp.seconds} s, {stamp.nanos} ns is no instant; allowed: 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z"
        ) from exc


def _near(one: search_service_pb2.NearFilter, field: str) -> Near:
    if not one.HasField("center"):
        raise InvalidArgument(f"{field}.center", "it is missing; set its latitude and longitude in degrees")
    if not 0 < one.radius_m <= MAX_RADIUS_M:
        raise InvalidArgument(f"{field}.radius_m", f"{one.radius_m} m; allowed: more than 0, at most {MAX_RADIUS_M:,}")
    return Near(_place(one.center, f"{field}.center"), one.radius_m)


def _box(one: search_service_pb2.BoxFilter, field: str) -> InBox:
    for corner in ("south_west", "north_east"):
        if not one.HasField(corner):
            raise InvalidArgument(f"{field}.{corner}", "it is missing; set its latitude and longitude in degrees")
    south_west = _place(one.south_west, f"{field}.south_west")
    north_east = _place(one.north_east, f"{field}.north_east")
    if south_west.latitude > north_east.latitude:
        raise InvalidArgument(
            f"{field}.south_west.latitude",
            f"{south_west.latitude} lies north of the other corner's {north_east.latitude}; exchange the two latitudes",
        )
    return InBox(south_west, north_east)


def _place(one: photo_event_pb2.GeoPoint, field: str) -> GeoPoint:
    return check_place(GeoPoint(one.latitude, one.longitude), field=field)


def _file_name_prefix(prefix: str, field: str) -> FileNamePrefix:
    _sized(prefix, field, MAX_NAME_CHARS)
    if "/" in prefix:
        raise InvalidArgument(field, f"{shown(prefix)} holds a /; the last part of photo_id is compared: leave the folders out")
    return FileNamePrefix(nfc(prefix))


def _sized(text: str, field: str, most: int, *, least: int = 1) -> str:
    if not least <= len(text) <= most:
        raise InvalidArgument(field, f"{len(text):,} characters; allowed: {least} to {most:,}")
    return text
