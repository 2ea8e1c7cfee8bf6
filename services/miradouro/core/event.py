"""The photo event and its limits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from miradouro.core.document import GeoPoint, Origin, TakenAt
from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument
from miradouro.core.source_record import SourceRecord

if TYPE_CHECKING:
    from miradouro.core.sidecars.beside import Beside

MAX_VERSION = 2**63 - 1
MAX_PHOTO_ID_BYTES = 1_024
MAX_URI_BYTES = 8_192
MAX_TITLE_CHARS = 1_024
MAX_CAPTION_CHARS = 16_384
MAX_TAGS = 256
MAX_TAG_CHARS = 128
MAX_OWNER_CHARS = 256
MAX_ATTRIBUTES = 128
MAX_ATTRIBUTE_NAME_CHARS = 128
MAX_ATTRIBUTE_VALUE_CHARS = 1_024
MAX_UTC_OFFSET_MINUTES = 1_080
COLLECTION = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
DEFAULT_COLLECTION = "photos"


class EventKind(StrEnum):
    """What happened to a photo."""

    UPLOADED = "photo.uploaded"
    UPDATED = "photo.updated"
    DELETED = "photo.deleted"


@dataclass(frozen=True)
class PhotoEvent:
    """A photo was uploaded, changed or deleted; carries the photo's whole state.

    An event has `uri` or `data` (encoded bytes), neither when deleted. When it has both, `data` is decoded and `uri` names the
    original. `version` is 1 … 2^63 - 1, growing per photo. `traceparent` is the event's trace (W3C Trace Context), empty for
    none. Only the folder source sets `origin` and `beside`, the content of the sidecars. Sources that read a log set `record`.
    """

    event_id: str
    kind: EventKind
    collection: str
    photo_id: str
    version: int
    uri: str = ""
    data: bytes | None = None
    media_type: str = ""
    sha256: str = ""
    title: str = ""
    caption: str = ""
    tags: tuple[str, ...] = ()
    owner: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    place: GeoPoint | None = None
    taken_at: TakenAt | None = None
    origin: Origin | None = None
    beside: "Beside | None" = None
    record: SourceRecord | None = None
    traceparent: str = ""


def check_collection(name: str, *, field: str = "collection") -> str:
    """`name` itself when it is a legal collection name; raises InvalidArgument otherwise."""
    if not COLLECTION.fullmatch(name):
        raise InvalidArgument(field, f"{shown(name)} is not a collection name; allowed: [a-z0-9][a-z0-9_-]{{0,62}}")
    return name


def check_event(event: PhotoEvent) -> PhotoEvent:
    """`event` itself when it keeps every limit; raises InvalidArgument naming the field and the limit otherwise."""
    check_collection(event.collection)
    _check_size("event_id", len(event.event_id.encode()), 256, "bytes", least=1)
    _check_size("photo_id", len(event.photo_id.encode()), MAX_PHOTO_ID_BYTES, "bytes", least=1)
    if "\0" in event.photo_id:
        raise InvalidArgument("photo_id", f"{shown(event.photo_id)} holds a NUL character; remove it")
    if not 1 <= event.version <= MAX_VERSION:
        raise InvalidArgument("version", f"{event.version} is not within 1 to 2^63 - 1")
    _check_size("uri", len(event.uri.encode()), MAX_URI_BYTES, "bytes")
    _check_size("title", len(event.title), MAX_TITLE_CHARS, "characters")
    _check_size("caption", len(event.caption), MAX_CAPTION_CHARS, "characters")
    _check_size("tags", len(event.tags), MAX_TAGS, "tags")
    for tag in event.tags:
        _check_size("tags", len(tag), MAX_TAG_CHARS, "characters", least=1)
    _check_size("owner", len(event.owner), MAX_OWNER_CHARS, "characters")
    _check_size("attributes", len(event.attributes), MAX_ATTRIBUTES, "attributes")
    for name, value in event.attributes.items():
        _check_size("attributes", len(name), MAX_ATTRIBUTE_NAME_CHARS, "characters in a name", least=1)
        _check_size(f"attributes[{name}]", len(value), MAX_ATTRIBUTE_VALUE_CHARS, "characters")
    if event.sha256 and not re.fullmatch(r"[0-9a-f]{64}", event.sha256):
        raise InvalidArgument("sha256", f"{shown(event.sha256)} is not 64 lower-case hexadecimal digits")
    if event.place is not None:
        check_place(event.place)
    if event.taken_at is not None and event.taken_at.utc_offset_minutes is not None:
        offset = event.taken_at.utc_offset_minutes
        if abs(offset) > MAX_UTC_OFFSET_MINUTES:
            raise InvalidArgument("taken_at.utc_offset_minutes", f"{offset} is not within -1080 to 1080")
        try:
            _ = event.taken_at.local
        except OverflowError as exc:
            raise InvalidArgument("taken_at", "its local time is not within the years 1 to 9999") from exc
    has_source = bool(event.uri) or event.data is not None
    if event.kind is EventKind.DELETED and has_source:
        raise InvalidArgument("source", "a deleted photo carries neither uri nor data; leave both out")
    if event.kind is not EventKind.DELETED and not has_source:
        raise InvalidArgument("source", f"a {event.kind} event needs uri or data; neither is set")
    return event


def check_place(place: GeoPoint, *, field: str = "place", names: tuple[str, str] = ("latitude", "longitude")) -> GeoPoint:
    """`place` itself when its degrees are in range; raises InvalidArgument otherwise, NaN included.

    `names` are the names of latitude and longitude in the error.
    """
    if not -90 <= place.latitude <= 90:
        raise InvalidArgument(f"{field}.{names[0]}", f"{place.latitude} is not within -90 to 90 degrees")
    if not -180 <= place.longitude <= 180:
        raise InvalidArgument(f"{field}.{names[1]}", f"{place.longitude} is not within -180 to 180 degrees")
    return place


def _check_size(field: str, size: int, limit: int, unit: str, *, least: int = 0) -> None:
    if not least <= size <= limit:
        raise InvalidArgument(field, f"{size:,} {unit}; allowed: {least} to {limit:,}")
