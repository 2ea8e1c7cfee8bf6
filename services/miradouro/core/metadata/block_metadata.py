"""The metadata of one block, within the limits of the photo event."""

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

MAX_CANDIDATES = 4 * MAX_TAGS  # more than are kept: duplicates and empty ones are dropped
_MAX_CANDIDATE_CHARS = 4 * MAX_TAG_CHARS  # before blanks and control characters are removed


@dataclass(frozen=True)
class BlockMetadata:
    """The fields of a block, empty or None where it has none. `times` are by the names of PhotoMetadata.taken_from."""

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
    """BlockMetadata of raw texts: control characters are removed, titles become one line, texts are cut to the limits.

    The first title and the first caption are taken that are not among the words cameras write by themselves. Each tag is taken
    once, in order. A tag that is too long is left out, because a part of it would be another word.
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


# Texts are cut before cleaning too, because they may be much longer than the limit.
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
