"""Of a photo's time one source may hold the instant, one the clock, one both."""

from datetime import UTC, datetime, timedelta

import pytest
from miradouro.core.document import TakenAt
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.metadata import PhotoMetadata, completed

NEW_YEAR = datetime(2023, 12, 31, 15, 30, tzinfo=UTC)  # 00:30 in Tokyo
EVENT = PhotoEvent("1", EventKind.UPLOADED, "photos", "a.jpg", 1, uri="file:///a.jpg")


@pytest.mark.parametrize(
    ("embedded", "expected"),
    [
        (TakenAt(NEW_YEAR, 540), (TakenAt(NEW_YEAR, 540), "exif")),
        (TakenAt(NEW_YEAR + timedelta(hours=9), None), (TakenAt(NEW_YEAR, 540), "exif")),
        (
            TakenAt(NEW_YEAR + timedelta(hours=9, milliseconds=250), None),
            (TakenAt(NEW_YEAR + timedelta(milliseconds=250), 540), "exif"),
        ),
        (TakenAt(NEW_YEAR, None), (TakenAt(NEW_YEAR, None), "exif")),
        (TakenAt(NEW_YEAR + timedelta(hours=9, minutes=1), None), (TakenAt(NEW_YEAR, 0), "takeout")),
        (TakenAt(NEW_YEAR + timedelta(days=3), None), (TakenAt(NEW_YEAR, 0), "takeout")),
        (TakenAt(NEW_YEAR + timedelta(hours=1), 540), (TakenAt(NEW_YEAR, 0), "takeout")),
    ],
)
def test_takeout_gives_the_instant_the_photo_the_clock(embedded: TakenAt, expected: tuple[TakenAt, str]) -> None:
    takeout = PhotoMetadata(taken_at=TakenAt(NEW_YEAR, 0), taken_from="takeout")
    event = completed(EVENT, [takeout, PhotoMetadata(taken_at=embedded, taken_from="exif")])
    assert (event.taken_at, event.attributes["taken_from"]) == expected


@pytest.mark.parametrize(
    ("sidecar", "expected"),
    [
        (TakenAt(NEW_YEAR + timedelta(hours=9), None), (540, "exif")),
        (TakenAt(NEW_YEAR + timedelta(hours=10), None), (None, "xmp-sidecar")),
        (TakenAt(NEW_YEAR, 0), (0, "xmp-sidecar")),
    ],
)
def test_an_xmp_time_takes_the_photos_offset(sidecar: TakenAt, expected: tuple[int | None, str]) -> None:
    embedded = PhotoMetadata(taken_at=TakenAt(NEW_YEAR, 540), taken_from="exif")
    event = completed(EVENT, [PhotoMetadata(taken_at=sidecar, taken_from="xmp-sidecar"), embedded])
    assert event.taken_at is not None
    assert (event.taken_at.utc_offset_minutes, event.attributes["taken_from"]) == expected


def test_people_are_added_to_the_photos_keywords() -> None:
    event = completed(EVENT, [PhotoMetadata(people=("Ana",)), PhotoMetadata(tags=("tram", "Ana"))])
    assert event.tags == ("tram", "Ana")
