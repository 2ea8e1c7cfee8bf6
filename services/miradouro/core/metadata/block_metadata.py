"""What one block says, within the limits of the photo event."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from miradouro.core.document import GeoPoint, TakenAt
from miradouro.core.event import (
    MAX_ATTRIBUTE_VALUE_CHARS,
    MAX_CAPTION_CHARS,
    MAX_TAG_CHARS,
    MAX_TAGS,
    MAX_TITLE_CHARS,
)
from miradouro.core.metadata.camera_words import human
from miradouro.core.metadata.texts import lines, one_line

MAX_CANDIDATES = 4 * MAX_TAGS  # doubled and empty ones fall away
_MAX_CANDIDATE_CHARS = 4 * MAX_TAG_CHARS  # with the blanks and control characters that go


@dataclass(frozen=True)
class BlockMetadata:
    """Empty or None where the block does not say. `times` are by the names of PhotoMetadata.taken_from."""

    title: str = ""
    caption: str = ""
    tags: tuple[str, ...] = ()
    camera: str = ""
    place: GeoPoint | None = None
    times: Mapping[str, TakenAt] = field(default_factory=dict)
    rating: int | None = None
    unread: tuple[str, ...] = ()


def bounded(
    *,
    titles: Iterable[str] = (),
    captions: Iterable[str] = (),
    tags: Iterable[str] = (),
    make: str = "",
    model: str = "",
    place: GeoPoint | None = None,
    times: Mapping[str, TakenAt | None] | None = None,
    rating: int | None = None,
    unread: Iterable[str] = (),
) -> BlockMetadata:
    """BlockMetadata of texts as found: control characters go, titles are one line, longer texts than allowed are cut.

    Of titles and captions the first counts that is left when the words that cameras write by themselves are gone.
    Tags are taken once each and in order; one that is too long is left out, for a part of it is another word.
    """
    words = (one_line(tag) for tag in islice(tags, MAX_CANDIDATES) if len(tag) <= _MAX_CANDIDATE_CHARS)
    kept = dict.fromkeys(word for word in words if 1 <= len(word) <= MAX_TAG_CHARS)
    return BlockMetadata(
        title=next(filter(None, (_title(title) for title in titles)), ""),
        caption=next(filter(None, (_caption(caption) for caption in captions)), ""),
        tags=tuple(kept)[:MAX_TAGS],
        camera=_camera(_name(make), _name(model))[:MAX_ATTRIBUTE_VALUE_CHARS].rstrip(),
        place=place,
        times={source: time for source, time in (times or {}).items() if time is not None},
        rating=rating,
        unread=tuple(unread),
    )


# Texts are cut before they are cleaned, too: they may be much longer than what is kept of them.
def _title(text: str) -> str:
    return human(one_line(text[: 2 * MAX_TITLE_CHARS]))[:MAX_TITLE_CHARS].rstrip()


def _caption(text: str) -> str:
    return human(lines(text[: 2 * MAX_CAPTION_CHARS]))[:MAX_CAPTION_CHARS].rstrip()


def _name(text: str) -> str:
    return one_line(text[: 2 * MAX_ATTRIBUTE_VALUE_CHARS])


def _camera(make: str, model: str) -> str:
    """`Canon` and `Canon EOS R5` are one name, and so are `NIKON CORPORATION` and `NIKON D850`."""
    doubled = model.lower().split(" ", 1)[0] in make.lower().split()
    return model if doubled else f"{make} {model}".strip()
