"""Values of JSON sidecars, checked."""

from collections.abc import Mapping
from typing import Any

from miradouro.core.document import GeoPoint
from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument
from miradouro.core.event import check_place


class NotValidError(ValueError):
    """A value is not of the kind or within the limits of its field."""


def text_of(value: object) -> str:
    """`value`, a text. Raises NotValidError."""
    if not isinstance(value, str):
        raise NotValidError(f"{shown(value)} is not a text")
    return value


def list_of(value: object) -> list[Any]:
    """`value`, a list. Raises NotValidError."""
    if not isinstance(value, list):
        raise NotValidError(f"{shown(value)} is not a list")
    return value


def object_of(value: object) -> Mapping[str, object]:
    """`value`, an object. Raises NotValidError."""
    if not isinstance(value, dict):
        raise NotValidError(f"{shown(value)} is not an object")
    return value


def place_of(value: object, names: tuple[str, str]) -> GeoPoint:
    """The place of an object with latitude and longitude in degrees under `names`. Raises NotValidError."""
    fields = object_of(value)
    try:
        return check_place(GeoPoint(*(_degrees(fields, name) for name in names)), names=names)
    except InvalidArgument as exc:
        raise NotValidError(exc.message.removeprefix("place.")) from exc


def _degrees(fields: Mapping[str, object], name: str) -> float:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotValidError(f"{name}: {shown(value)} is not a number of degrees")
    try:
        return float(value)
    except OverflowError as exc:
        raise NotValidError(f"{name}: {shown(value)} is not a number of degrees") from exc
