"""Chooses the source of a field when several have it. No other module decides this."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from miradouro.core.document import GeoPoint, TakenAt
from miradouro.core.event import MAX_ATTRIBUTES, MAX_TAGS, PhotoEvent
from miradouro.core.metadata.photo_metadata import TAKEOUT, PhotoMetadata

# The attributes that metadata fills: maker and model, stars from 1 to 5, `true` for a favourite, the source of the time.
CAMERA, RATING, FAVOURITE, TAKEN_FROM = "camera", "rating", "favourite", "taken_from"
_MOST_OFFSET = timedelta(hours=14)
_OFFSET_STEP = timedelta(minutes=15)


def completed(event: PhotoEvent, sources: Sequence[PhotoMetadata], *, texts: bool = True, place: bool = True) -> PhotoEvent:
    """`event` with its empty fields filled, each from the first of `sources`, the most trusted first, that has it.

    Tags are filled only when the event has none: with the keywords of the first source and the names of people. `texts`: fill
    title, caption and tags. `place`: fill the place.
    """
    added = {
        CAMERA: next((one.camera for one in sources if one.camera), ""),
        RATING: next((str(one.rating) for one in sources if one.rating is not None), ""),
        FAVOURITE: "true" if any(one.is_favourite for one in sources) else "",
    }
    if texts:
        event = replace(
            event,
            title=event.title or next((one.title for one in sources if one.title), ""),
            caption=event.caption or next((one.caption for one in sources if one.caption), ""),
            tags=event.tags or _tags(sources),
        )
    if place and event.place is None:
        event = replace(event, place=_place(sources))
    if event.taken_at is None:
        taken_at, added[TAKEN_FROM] = _time(sources)
        event = replace(event, taken_at=taken_at)
    return _with_attributes(event, added)


def _tags(sources: Iterable[PhotoMetadata]) -> tuple[str, ...]:
    sources = tuple(sources)
    keywords = next((one.tags for one in sources if one.tags), ())
    people = next((one.people for one in sources if one.people), ())
    return tuple(dict.fromkeys((*keywords, *people)))[:MAX_TAGS]


def _place(sources: Iterable[PhotoMetadata]) -> GeoPoint | None:
    return next((one.place for one in sources if one.place is not None), None)


def _time(sources: Iterable[PhotoMetadata]) -> tuple[TakenAt | None, str]:
    """The first time and its source; or a later source, when it gives the same moment more completely.

    Takeout keeps only the instant, XMP sidecars often only the clock, while the photo's file has both.
    """
    times = [(one.taken_at, one.taken_from) for one in sources if one.taken_at is not None]
    if not times:
        return None, ""
    first, source = times[0]
    for other, other_source in times[1:]:
        whole = _at_clock_of(other, first) if source == TAKEOUT else _with_offset_of(other, first)
        if whole is not None and other_source != TAKEOUT:
            return whole, other_source
    return first, source


def _at_clock_of(other: TakenAt, first: TakenAt) -> TakenAt | None:
    """`other` when it is the instant of `first`. When the offset of `other` is unknown, with the offset that makes them equal."""
    ahead = other.instant.replace(microsecond=0) - first.instant
    if not ahead:
        return other
    if other.utc_offset_minutes is None and abs(ahead) <= _MOST_OFFSET and not ahead % _OFFSET_STEP:
        return TakenAt(other.instant - ahead, ahead // timedelta(minutes=1))
    return None


def _with_offset_of(other: TakenAt, first: TakenAt) -> TakenAt | None:
    """`other` when it has an offset, `first` has none, and both have the same wall clock to the second."""
    if first.utc_offset_minutes is not None or other.utc_offset_minutes is None:
        return None
    clock = other.instant + timedelta(minutes=other.utc_offset_minutes)
    return other if clock.replace(microsecond=0) == first.instant.replace(microsecond=0) else None


def _with_attributes(event: PhotoEvent, added: dict[str, str]) -> PhotoEvent:
    """`event` with those of `added` that are not empty and not set yet, up to MAX_ATTRIBUTES in all."""
    new = {name: value for name, value in added.items() if value and name not in event.attributes}
    room = MAX_ATTRIBUTES - len(event.attributes)
    return replace(event, attributes={**event.attributes, **dict(list(new.items())[:room])}) if new else event
