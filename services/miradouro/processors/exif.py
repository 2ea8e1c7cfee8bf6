"""Fills in what the event leaves open from the metadata of the file: time, place, camera, title, caption, keywords."""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote, urlsplit

import structlog
from pydantic import Field

from miradouro.core.document import TakenAt
from miradouro.core.event import MAX_ATTRIBUTES, PhotoEvent
from miradouro.core.metadata import PhotoMetadata, time_of_name
from miradouro.core.pipeline import PhotoInProgress
from miradouro.processors.plugin import Context, ProcessorOptions, need

# The attributes that are filled: maker and model, stars from 1 to 5, and the source of the time of taking (TIME_SOURCES).
CAMERA, RATING, TAKEN_FROM = "camera", "rating", "taken_from"

log = structlog.get_logger(__name__)


class ExifOptions(ProcessorOptions):
    """Options of `exif`."""

    texts: bool = Field(True, description="Whether to take title, caption and keywords (XMP, IPTC, EXIF).")
    place: bool = Field(True, description="Whether to take the place; without it no position of a private photo is stored.")


class Exif:
    """Fills what the event leaves open: title, caption, tags, place, time, and the attributes `camera`, `rating`, `taken_from`.

    The event, and so the sidecar, wins field by field: if the event has tags, no keywords of the file are added. If neither the
    event nor the metadata has a time, it is read from the file's name. Metadata that can't be read is left out and logged; it
    never fails the photo. Runs after `fetch` and before `tag` and `caption`.
    """

    Options = ExifOptions

    def __init__(self, options: ExifOptions, context: Context) -> None:
        self._options, self._context = options, context

    def __call__(self, photo: PhotoInProgress) -> PhotoInProgress:
        """The photo with the event completed."""
        event = photo.event
        data = need(photo.data, "exif", "the photo's bytes", "fetch")
        found = photo.decoded.metadata if photo.decoded else None
        if found is None:  # the pipeline runs this step before `decode`, or has no `decode`
            found = self._context.reader.metadata(data, priority=self._context.priority, key=photo.key)
        if found.unread:
            log.debug("metadata left out", collection=event.collection, photo_id=event.photo_id, unread=found.unread)
        if self._options.texts:
            event = replace(
                event,
                title=event.title or found.title,
                caption=event.caption or found.caption,
                tags=event.tags or found.tags,
            )
        if self._options.place and event.place is None:
            event = replace(event, place=found.place)
        taken_from = ""
        if event.taken_at is None:
            taken_at, taken_from = _taken_at(event, found)
            event = replace(event, taken_at=taken_at)
        rating = "" if found.rating is None else str(found.rating)
        added = {CAMERA: found.camera, RATING: rating, TAKEN_FROM: taken_from}
        return replace(photo, event=_with_attributes(event, added))


def _taken_at(event: PhotoEvent, found: PhotoMetadata) -> tuple[TakenAt | None, str]:
    """The time of taking and its source: the file's metadata, else the file's name."""
    if found.taken_at is not None:
        return found.taken_at, found.taken_from
    taken_at = time_of_name(_file_name(event.uri)) or time_of_name(event.photo_id.rpartition("/")[2])
    return taken_at, "file-name" if taken_at else ""


def _file_name(uri: str) -> str:
    try:
        return unquote(urlsplit(uri).path.rpartition("/")[2])
    except ValueError:  # not a URI
        return ""


def _with_attributes(event: PhotoEvent, added: Mapping[str, str]) -> PhotoEvent:
    """`event` with those attributes that are not empty and not set yet, up to MAX_ATTRIBUTES."""
    new = {name: value for name, value in added.items() if value and name not in event.attributes}
    room = MAX_ATTRIBUTES - len(event.attributes)
    return replace(event, attributes={**event.attributes, **dict(list(new.items())[:room])}) if new else event
