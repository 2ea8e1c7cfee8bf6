"""Completes missing fields of the event from sidecars of other programs and from the file's metadata."""

from dataclasses import replace
from urllib.parse import unquote, urlsplit

import structlog
from pydantic import Field

from miradouro.core.event import PhotoEvent
from miradouro.core.metadata import PhotoMetadata, completed, time_of_name
from miradouro.core.pipeline import PhotoInProgress
from miradouro.processors.plugin import Context, ProcessorOptions, need

log = structlog.get_logger(__name__)


class ExifOptions(ProcessorOptions):
    """Options of `exif`."""

    texts: bool = Field(True, description="Whether to take title, caption and keywords (XMP, IPTC, EXIF, Takeout).")
    place: bool = Field(True, description="Whether to take the place; without it no position of a private photo is stored.")


class Exif:
    """Fills missing fields of the event: title, caption, tags, place, time, and four attributes (`core.metadata.trust`).

    Each field comes from the first source that has it: the event, which includes Miradouro's own sidecar; XMP sidecars; Google
    Takeout; the file's metadata; the file's name, for the time. Unreadable metadata is skipped and logged, and never fails the
    photo. Runs after `fetch` and before `tag` and `caption`.
    """

    Options = ExifOptions

    def __init__(self, options: ExifOptions, context: Context) -> None:
        self._options, self._context = options, context

    def __call__(self, photo: PhotoInProgress) -> PhotoInProgress:
        """The photo with the event completed."""
        event = photo.event
        data = need(photo.data, "exif", "the photo's bytes", "fetch")
        found = photo.decoded.metadata if photo.decoded else None
        if found is None:  # without `decode` before this step
            found = self._context.reader.metadata(data, priority=self._context.priority, key=photo.key)
        if found.unread:
            log.debug("metadata left out", collection=event.collection, photo_id=event.photo_id, unread=found.unread)
        beside = event.beside.others if event.beside else ()
        sources = [*beside, found, _of_name(event)]
        return replace(photo, event=completed(event, sources, texts=self._options.texts, place=self._options.place))


def _of_name(event: PhotoEvent) -> PhotoMetadata:
    """The time in the file's name."""
    taken_at = time_of_name(_file_name(event.uri)) or time_of_name(event.photo_id.rpartition("/")[2])
    return PhotoMetadata(taken_at=taken_at, taken_from="file-name" if taken_at else "")


def _file_name(uri: str) -> str:
    try:
        return unquote(urlsplit(uri).path.rpartition("/")[2])
    except ValueError:  # not a URI
        return ""
