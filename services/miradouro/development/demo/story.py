"""The events of the demonstration: uploads of the samples and of parts of them, then changes, deletions and a bad photo."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, ImageOps

from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.ports import PhotoReader
from miradouro.ingest.publishing import events_of_folder

COLLECTION = "demo"
_LONGEST_SIDE = 512  # of photos inside events


@dataclass(frozen=True)
class Story:
    """Events in the order of publication: the first uploads, then the later events."""

    start: Sequence[PhotoEvent]
    way: Sequence[PhotoEvent]


def story_of(folder: Path, reader: PhotoReader) -> Story:
    """Events of the samples in `folder` by URI, and of their halves inside the events; `reader` reads XMP sidecars."""
    uploaded = [event for event in events_of_folder(folder, COLLECTION, reader=reader) if isinstance(event, PhotoEvent)]
    halves = [half for event in uploaded for half in _halves(event, folder / event.photo_id)]
    start = [*uploaded, *halves]
    return Story(start, list(_changes(start, folder)))


def picture(path: Path, box: tuple[float, float, float, float] = (0, 0, 1, 1), *, mirrored: bool = False) -> bytes:
    """A part of a photo, left, top, right and bottom as fractions, as a JPEG of at most 512 pixels a side."""
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    width, height = image.size
    part = image.crop((round(box[0] * width), round(box[1] * height), round(box[2] * width), round(box[3] * height)))
    part.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    out = io.BytesIO()
    (ImageOps.mirror(part) if mirrored else part).save(out, "JPEG", quality=90)
    return out.getvalue()


def _halves(event: PhotoEvent, path: Path) -> Iterator[PhotoEvent]:
    for side, box in (("left", (0.0, 0.0, 0.6, 1.0)), ("right", (0.4, 0.0, 1.0, 1.0))):
        yield PhotoEvent(
            event_id=f"{event.photo_id}-{side}",
            kind=EventKind.UPLOADED,
            collection=COLLECTION,
            photo_id=f"{side}/{event.photo_id}",
            version=1,
            data=picture(path, box),
            caption=f"The {side} of: {event.caption}",
            tags=(side,),
            owner=event.owner,
        )


def _changes(start: Sequence[PhotoEvent], folder: Path) -> Iterator[PhotoEvent]:
    """Changed words, a changed picture, deleted photos, late older events, and one file that is not a photo."""

    def later(event: PhotoEvent, kind: EventKind, by: int) -> PhotoEvent:
        version = event.version + by
        return replace(event, event_id=f"{event.photo_id}-{version}", kind=kind, version=version)

    for event in start[::7]:
        yield replace(later(event, EventKind.UPDATED, 2), title="Changed on the way", tags=(*event.tags, "changed"))
        yield replace(later(event, EventKind.UPDATED, 1), title="Too late to be seen")
    mirrored = start[1]
    path = folder / mirrored.photo_id
    yield replace(later(mirrored, EventKind.UPDATED, 2), uri="", sha256="", data=picture(path, mirrored=True))
    for event in start[3::10]:
        deletion = PhotoEvent("", EventKind.DELETED, COLLECTION, event.photo_id, event.version)
        yield later(deletion, EventKind.DELETED, 4)
        yield later(event, EventKind.UPDATED, 3)
    yield PhotoEvent("no-photo", EventKind.UPLOADED, COLLECTION, "no-photo.jpg", 1, data=b"this is no photo")
