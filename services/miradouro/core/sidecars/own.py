"""Miradouro's own sidecar STEM.json, which a person or a program writes for a photo.

    {"caption", "title", "tags", "owner", "attributes", "place": {"lat", "lon"}, "taken_at", "version"}

Every key may be missing or null. Unknown keys are ignored: they may belong to other programs. An invalid field is left out and
reported; the other fields are read. A `version` among keys of another program alone belongs to that program. As the photo's
version it could block later changes, so it is reported as invalid.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from miradouro.core.document import GeoPoint, TakenAt
from miradouro.core.error_text import cut, shown
from miradouro.core.event import (
    MAX_ATTRIBUTE_NAME_CHARS,
    MAX_ATTRIBUTE_VALUE_CHARS,
    MAX_ATTRIBUTES,
    MAX_CAPTION_CHARS,
    MAX_OWNER_CHARS,
    MAX_TAG_CHARS,
    MAX_TAGS,
    MAX_TITLE_CHARS,
    MAX_UTC_OFFSET_MINUTES,
    MAX_VERSION,
)
from miradouro.core.sidecars.values import NotValidError, list_of, object_of, place_of, text_of

_MAX_NAME_BYTES = 200  # of an attribute's name within a fault
_DESCRIBING = frozenset({"caption", "title", "tags", "owner", "attributes", "place", "taken_at"})
T = TypeVar("T")


@dataclass(frozen=True)
class OwnSidecar:
    """The valid fields; `version` is None unless the sidecar counts versions itself."""

    title: str = ""
    caption: str = ""
    tags: tuple[str, ...] = ()
    owner: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    place: GeoPoint | None = None
    taken_at: TakenAt | None = None
    version: int | None = None


def read_own(fields: Mapping[str, object]) -> tuple[OwnSidecar, tuple[str, ...]]:
    """The valid fields of a sidecar, and one sentence for each that is not valid."""
    faults: list[str] = []

    def valid(name: str, value: object, read: Callable[[object], T]) -> T | None:
        try:
            return None if value is None else read(value)
        except NotValidError as exc:
            faults.append(f"{name}: {exc}")
            return None

    def each(name: str, values: Mapping[str, object], most: int, read: Callable[[str, object], T]) -> list[T]:
        if len(values) > most:
            faults.append(f"{name}: {len(values):,}; allowed: 0 to {most}, the others are left out")
        found = [
            valid(f"{name}.{cut(key, _MAX_NAME_BYTES)}", value, lambda value, key=key: read(key, value))  # type: ignore[misc]  # mypy infers no lambda with a default
            for key, value in list(values.items())[:most]
        ]
        return [one for one in found if one is not None]

    tags = valid("tags", fields.get("tags"), _numbered) or {}
    attributes = valid("attributes", fields.get("attributes"), object_of) or {}
    sidecar = OwnSidecar(
        title=valid("title", fields.get("title"), lambda value: _text(value, MAX_TITLE_CHARS)) or "",
        caption=valid("caption", fields.get("caption"), lambda value: _text(value, MAX_CAPTION_CHARS)) or "",
        tags=tuple(each("tags", tags, MAX_TAGS, lambda _, value: _text(value, MAX_TAG_CHARS, least=1))),
        owner=valid("owner", fields.get("owner"), lambda value: _text(value, MAX_OWNER_CHARS)) or "",
        attributes=dict(each("attributes", attributes, MAX_ATTRIBUTES, _attribute)),
        place=valid("place", fields.get("place"), lambda value: place_of(value, ("lat", "lon"))),
        taken_at=valid("taken_at", fields.get("taken_at"), _taken_at),
        version=valid("version", fields.get("version"), lambda value: _version(value, is_ours=_counts_photo(fields))),
    )
    return sidecar, tuple(faults)


def _text(value: object, most: int, *, least: int = 0) -> str:
    text = text_of(value)
    if not least <= len(text) <= most:
        raise NotValidError(f"{len(text):,} characters; allowed: {least} to {most:,}")
    return text


def _numbered(value: object) -> Mapping[str, object]:
    return {str(number): one for number, one in enumerate(list_of(value))}


def _attribute(name: str, value: object) -> tuple[str, str]:
    return _text(name, MAX_ATTRIBUTE_NAME_CHARS, least=1), _text(value, MAX_ATTRIBUTE_VALUE_CHARS)


def _taken_at(value: object) -> TakenAt:
    """An ISO 8601 instant; without an offset it is the camera's local time, the offset unknown."""
    text = _text(value, MAX_CAPTION_CHARS)
    try:
        found = datetime.fromisoformat(text)
        offset = found.utcoffset()
        if offset is None:
            return TakenAt(found.replace(tzinfo=UTC), None)
        instant = found.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise NotValidError(f"{shown(text)} is not an ISO 8601 time such as 2024-05-01T12:30:00+01:00") from exc
    minutes, rest = divmod(offset, timedelta(minutes=1))
    if rest or abs(minutes) > MAX_UTC_OFFSET_MINUTES:
        raise NotValidError(f"the offset of {shown(text)} is not in whole minutes up to 18 hours")
    return TakenAt(instant, minutes)


def _counts_photo(fields: Mapping[str, object]) -> bool:
    return len(fields) == 1 or bool(_DESCRIBING & fields.keys())


def _version(value: object, *, is_ours: bool) -> int:
    if not is_ours:
        raise NotValidError(f"{shown(value)} stands beside no other field of ours, but beside those of another program")
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_VERSION:
        raise NotValidError(f"{shown(value)} is not a whole number within 1 to 2^63 - 1")
    return value
