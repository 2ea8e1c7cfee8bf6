"""What a file says about its photo, within the limits of the photo event."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from miradouro.core.document import Place, TakenAt
from miradouro.core.event import (
    MAX_ATTRIBUTE_VALUE_CHARS,
    MAX_CAPTION_CHARS,
    MAX_TAG_CHARS,
    MAX_TAGS,
    MAX_TITLE_CHARS,
)

# Control characters but tab and line feed, and what no encoder takes.
_UNWANTED = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffd]")

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
    lines = (_one_line(tag) for tag in tags)
    kept = dict.fromkeys(tag for tag in lines if 1 <= len(tag) <= MAX_TAG_CHARS)
    return PhotoMetadata(
        title=written(_one_line(title))[:MAX_TITLE_CHARS].rstrip(),
        caption=written(_lines(caption))[:MAX_CAPTION_CHARS].rstrip(),
        tags=tuple(kept)[:MAX_TAGS],
        camera=_one_line(camera)[:MAX_ATTRIBUTE_VALUE_CHARS].rstrip(),
        place=place,
        taken_at=taken_at,
        unread=tuple(unread),
    )


def decode_text(raw: bytes) -> str:
    """Text whose encoding nobody told: UTF-8 where it is that, otherwise the Windows code page that old programs wrote."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def written(text: str) -> str:
    """`text` itself unless it is what a camera writes unasked."""
    return "" if text.strip().lower() in _CAMERA_WORDS else text


def _lines(text: str) -> str:
    return _UNWANTED.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def _one_line(text: str) -> str:
    return " ".join(_UNWANTED.sub("", re.sub(r"\s", " ", text)).split())
