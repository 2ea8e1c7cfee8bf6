"""What the file itself says of its photo: time, place and camera, and the words that photographers write into it."""

from dataclasses import replace

import structlog
from pydantic import Field

from miradouro.core.event import MAX_ATTRIBUTES
from miradouro.core.metadata import read_metadata
from miradouro.core.pipeline import Draft
from miradouro.processors.plugin import Context, ProcessorOptions, need

CAMERA = "camera"  # the attribute that holds maker and model

log = structlog.get_logger(__name__)


class ExifOptions(ProcessorOptions):
    """Options of `exif`."""

    texts: bool = Field(True, description="Whether to take title, caption and keywords (XMP, IPTC, EXIF).")
    place: bool = Field(True, description="Whether to take the place; without it no position of a private photo is stored.")


class Exif:
    """Fills what the event leaves open: title, caption, tags, the attribute `camera`, place and time.

    The event, and so the sidecar, wins field by field: tags of the event are all tags. Metadata that can't be read is left
    out and logged, it never fails the photo. Runs after `fetch` and before `tag` and `caption`.
    """

    Options = ExifOptions

    def __init__(self, options: ExifOptions, context: Context) -> None:
        del context
        self._options = options

    def __call__(self, draft: Draft) -> Draft:
        """The draft with the event completed."""
        event, data = draft.event, draft.data
        need(data is not None, "exif", "the photo's bytes", "fetch")
        assert data is not None
        found = read_metadata(data)
        if found.unread:
            log.debug("metadata left out", collection=event.collection, photo_id=event.photo_id, unread=found.unread)
        if self._options.texts:
            event = replace(
                event,
                title=event.title or found.title,
                caption=event.caption or found.caption,
                tags=event.tags or found.tags,
            )
        if found.camera and CAMERA not in event.attributes and len(event.attributes) < MAX_ATTRIBUTES:
            event = replace(event, attributes={**event.attributes, CAMERA: found.camera})
        if self._options.place and event.place is None:
            event = replace(event, place=found.place)
        return replace(draft, event=replace(event, taken_at=event.taken_at or found.taken_at))
