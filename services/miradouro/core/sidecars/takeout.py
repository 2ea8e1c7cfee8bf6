"""The JSON file that Google Takeout puts beside a photo.

Read: `title`, `description`, `photoTakenTime`, `geoData` or `geoDataExif`, `people`, `favorited`.
"""

import html
import os
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from miradouro.core.document import GeoPoint, TakenAt
from miradouro.core.error_text import shown
from miradouro.core.metadata.block_metadata import MAX_CANDIDATES, bounded
from miradouro.core.metadata.photo_metadata import TAKEOUT, PhotoMetadata
from miradouro.core.sidecars.values import NotValidError, list_of, object_of, place_of, text_of
from miradouro.core.sniff import is_picture_name

_OWN_KEYS = frozenset({"photoTakenTime", "geoData", "geoDataExif", "googlePhotosOrigin"})
_SHARED_KEYS = frozenset(
    {"title", "description", "people", "url", "creationTime", "favorited", "archived", "trashed", "imageViews"}
)
_PARTS = re.compile(r"\W+|_+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
T = TypeVar("T")


def is_takeout(fields: Mapping[str, object]) -> bool:
    """Whether a JSON object has keys that only Google Takeout writes beside photos, or none but Takeout's."""
    return bool(_OWN_KEYS & fields.keys()) or (bool(fields) and fields.keys() <= _SHARED_KEYS)


def has_takeout_keys(fields: Mapping[str, object]) -> bool:
    """Whether a JSON object, which by its name may be ours as well, is Google Takeout's."""
    return bool(_OWN_KEYS & fields.keys())


def read_takeout(fields: Mapping[str, object], *, photo_name: str) -> tuple[PhotoMetadata, tuple[str, ...]]:
    """The metadata of the photo `photo_name` in the file, and one sentence for each invalid field.

    A title that repeats the photo's file name is ignored. The time is an instant in UTC: Takeout does not keep the offset.
    """
    faults: list[str] = []

    def valid(name: str, read: Callable[[object], T], otherwise: T) -> T:
        value = fields.get(name)
        try:
            return otherwise if value is None else read(value)
        except NotValidError as exc:
            faults.append(f"{name}: {exc}")
            return otherwise

    taken_at = valid("photoTakenTime", _taken_at, None)
    place = valid("geoData", _place, None) or valid("geoDataExif", _place, None)
    title = valid("title", lambda value: _title(_text(value), photo_name), "")
    texts = bounded(titles=[title], captions=[valid("description", _text, "")], tags=valid("people", _people, []))
    metadata = PhotoMetadata(
        title=texts.title,
        caption=texts.caption,
        people=texts.tags,
        place=place,
        taken_at=taken_at,
        taken_from=TAKEOUT if taken_at else "",
        is_favourite=valid("favorited", _flag, otherwise=False),
    )
    return metadata, tuple(faults)


def _text(value: object) -> str:
    return html.unescape(text_of(value))  # Takeout writes `&#39;`


def _title(text: str, photo_name: str) -> str:
    stem = os.path.splitext(text)[0] if is_picture_name(text) else text
    return "" if _bare(stem) == _bare(os.path.splitext(photo_name)[0]) else stem


def _bare(stem: str) -> str:
    """Without the characters that Takeout replaces in names of files."""
    return _PARTS.sub("", stem).casefold()


def _people(value: object) -> list[str]:
    return [_text(object_of(one).get("name")) for one in list_of(value)[:MAX_CANDIDATES]]


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise NotValidError(f"{shown(value)} is neither true nor false")
    return value


def _taken_at(value: object) -> TakenAt | None:
    """Whole seconds since 1970 in UTC; 0 stands for an unknown time."""
    text = object_of(value).get("timestamp")
    try:
        seconds = int(str(text)[:20])
        return TakenAt(_EPOCH + timedelta(seconds=seconds), 0) if seconds else None
    except (ValueError, OverflowError) as exc:
        raise NotValidError(f"{shown(text)} is not a time in seconds") from exc


def _place(value: object) -> GeoPoint | None:
    """0, 0 stands for an unknown place."""
    place = place_of(value, ("latitude", "longitude"))
    return place if place.latitude or place.longitude else None
