"""The JSON file beside a photo that tells what people know of it.

    {"caption", "title", "tags", "owner", "attributes", "place": {"lat", "lon"}, "taken_at", "version"}

Every key may be left out or null; other keys are left alone, for other programs may keep theirs there too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from miradouro.core.document import Origin, Place, TakenAt
from miradouro.core.error_text import cut, shown
from miradouro.core.errors import BadPhoto, InvalidArgument
from miradouro.core.event import MAX_VERSION, EventKind, PhotoEvent, check_event, check_place

MAX_SIDECAR_BYTES = 1024 * 1024
_MAX_PLACE_BYTES = 200  # of the names that lead to what is wrong: they are the sidecar's own


@dataclass(frozen=True)
class Sidecar:
    """What a sidecar tells; `version` is None unless it counts versions itself. `name` is that of its file, empty for none."""

    name: str = ""
    title: str = ""
    caption: str = ""
    tags: tuple[str, ...] = ()
    owner: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    place: Place | None = None
    taken_at: TakenAt | None = None
    version: int | None = None


_TOLD = {one.name for one in fields(Sidecar)}


class _PlaceJson(BaseModel):
    model_config = ConfigDict(strict=True)

    lat: float
    lon: float


class _SidecarJson(BaseModel):
    model_config = ConfigDict(strict=True)

    caption: str | None = None
    title: str | None = None
    tags: list[str] | None = None
    owner: str | None = None
    attributes: dict[str, str] | None = None
    place: _PlaceJson | None = None
    taken_at: str | None = None
    version: Annotated[int, Field(ge=1, le=MAX_VERSION)] | None = None


def parse_sidecar(data: bytes, *, name: str) -> Sidecar:
    """What the sidecar called `name` tells. Raises BadPhoto (bad_sidecar) naming the sidecar and the place in it."""
    if len(data) > MAX_SIDECAR_BYTES:
        raise bad_sidecar(name, f"it has more than {MAX_SIDECAR_BYTES:,} bytes")
    try:
        told = _SidecarJson.model_validate_json(data.removeprefix(b"\xef\xbb\xbf"))
    except ValidationError as exc:
        wrong = exc.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in wrong["loc"])
        raise bad_sidecar(name, f"{cut(place, _MAX_PLACE_BYTES)}: {wrong['msg']}" if place else wrong["msg"]) from exc
    return Sidecar(
        name=name,
        title=told.title or "",
        caption=told.caption or "",
        tags=tuple(told.tags or ()),
        owner=told.owner or "",
        attributes=told.attributes or {},
        place=_place(told.place, name) if told.place else None,
        taken_at=_taken_at(told.taken_at, name) if told.taken_at else None,
        version=told.version,
    )


def event_of_photo(
    sidecar: Sidecar,
    *,
    event_id: str,
    collection: str,
    photo_id: str,
    version: int,
    uri: str,
    kind: EventKind = EventKind.UPLOADED,
    origin: Origin | None = None,
) -> PhotoEvent:
    """The event of a photo with `sidecar` beside it. Raises InvalidArgument, or BadPhoto where the sidecar is at fault."""
    try:
        return check_event(
            PhotoEvent(
                event_id=event_id,
                kind=kind,
                collection=collection,
                photo_id=photo_id,
                version=version,
                uri=uri,
                title=sidecar.title,
                caption=sidecar.caption,
                tags=sidecar.tags,
                owner=sidecar.owner,
                attributes=sidecar.attributes,
                place=sidecar.place,
                taken_at=sidecar.taken_at,
                origin=origin,
            )
        )
    except InvalidArgument as exc:
        if sidecar.name and re.split(r"[.\[]", exc.field)[0] in _TOLD:
            raise bad_sidecar(sidecar.name, exc.message) from exc
        raise


def bad_sidecar(name: str, what: str) -> BadPhoto:
    """The error that a sidecar's photo fails with."""
    return BadPhoto("bad_sidecar", f"sidecar {name}: {what}; correct it or take it away")


def _place(told: _PlaceJson, name: str) -> Place:
    try:
        return check_place(Place(told.lat, told.lon), names=("lat", "lon"))
    except InvalidArgument as exc:
        raise bad_sidecar(name, exc.message) from exc


def _taken_at(text: str, name: str) -> TakenAt:
    """An ISO 8601 instant; without an offset it is the camera's local time, the offset unknown."""
    try:
        told = datetime.fromisoformat(text)
        offset = told.utcoffset()
        if offset is None:
            return TakenAt(told.replace(tzinfo=UTC), None)
        if offset % timedelta(minutes=1):
            raise bad_sidecar(name, f"taken_at: the offset of {shown(text)} is not in whole minutes")
        return TakenAt(told.astimezone(UTC), offset // timedelta(minutes=1))
    except (ValueError, OverflowError) as exc:
        raise bad_sidecar(name, f"taken_at: {shown(text)} is no ISO 8601 time, for example 2024-05-01T12:30:00+01:00") from exc
