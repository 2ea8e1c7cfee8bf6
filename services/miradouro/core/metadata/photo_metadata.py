"""What a file says about its photo, within the limits of the photo event."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from miradouro.core.document import Place, TakenAt
from miradouro.core.event import (
    MAX_ATTRIBUTE_VALUE_CHARS,
    MAX_CAPTION_CHARS,
    MAX_TAG_CHARS,
    MAX_TAGS,
    MAX_TITLE_CHARS,
)
from miradouro.core.metadata.texts import lines, one_line

_MAX_CANDIDATES = 4 * MAX_TAGS  # doubled and empty ones fall away
_MAX_CANDIDATE_CHARS = 4 * MAX_TAG_CHARS  # with the blanks and control characters that go

# What cameras put where a photographer's words belong, in lower case; programs copy it into IPTC and XMP.
_CAMERA_WORDS = frozenset(
    {"olympus digital camera", "sony dsc", "minolta digital camera", "konica minolta digital camera", "digital camera"}
    | {"kodak digital still camera", "samsung camera pictures", "samsung", "exif_jpeg_picture", "jpeg picture", "default"}
)


@dataclass(frozen=True)
class PhotoMetadata:
    """Empty or None where the file does not say. `unread` names the parts that are there but damaged, as `exif.place`."""

    title: str = ""
    caption: str = ""
    tags: tuple[str, ...] = ()
    camera: str = ""
    place: Place | None = None
    taken_at: TakenAt | None = None
    unread: tuple[str, ...] = ()


def bounded(
    *,
    title: str = "",
    caption: str = "",
    tags: Iterable[str] = (),
    camera: str = "",
    place: Place | None = None,
    taken_at: TakenAt | None = None,
    unread: Iterable[str] = (),
) -> PhotoMetadata:
    """PhotoMetadata of texts as found: control characters go, titles are one line, longer texts than allowed are cut.

    Words that cameras put into titles and captions by themselves are none.
    Tags are taken once each and in order; one that is too long is left out, for a part of it is another word.
    """
    words = (one_line(tag) for tag in islice(tags, _MAX_CANDIDATES) if len(tag) <= _MAX_CANDIDATE_CHARS)
    kept = dict.fromkeys(word for word in words if 1 <= len(word) <= MAX_TAG_CHARS)
    return PhotoMetadata(
        title=written(one_line(title))[:MAX_TITLE_CHARS].rstrip(),
        caption=written(lines(caption))[:MAX_CAPTION_CHARS].rstrip(),
        tags=tuple(kept)[:MAX_TAGS],
        camera=one_line(camera)[:MAX_ATTRIBUTE_VALUE_CHARS].rstrip(),
        place=place,
        taken_at=taken_at,
        unread=tuple(unread),
    )


def written(text: str) -> str:
    """`text` itself unless it is what a camera writes unasked."""
    return "" if text.strip().lower() in _CAMERA_WORDS else text
