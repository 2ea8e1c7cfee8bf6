"""The file completes the event, and the event wins."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from miradouro.adapters.photo_store import FileStore
from miradouro.bundles.labels import LabelTable
from miradouro.core.document import GeoPoint, TagKind, TakenAt
from miradouro.core.embedding import Embedding
from miradouro.core.errors import ConfigurationError
from miradouro.core.event import EventKind, PhotoEvent, check_event
from miradouro.core.metadata import PhotoMetadata
from miradouro.core.pipeline import PhotoInProgress, ingest
from miradouro.core.sidecars.beside import Beside
from miradouro.core.sidecars.own import OwnSidecar
from miradouro.processors.caption import Caption, CaptionOptions
from miradouro.processors.exif import Exif, ExifOptions
from miradouro.processors.fetch import Fetch, FetchOptions
from miradouro.processors.plugin import Context
from miradouro.processors.tag import TagOptions, TagPhoto
from structlog.testing import capture_logs

from tests.metadata_blocks import ASCII, SHORT, iim, photoshop, rationals, tiff, with_segments
from tests.pictures import jpeg
from tests.reading import READER

# These steps ask no embedder; the store keeps no inline photos.
CONTEXT = Context(embedder=None, describe=None, photo_store=FileStore([]), labels=LabelTable((), {}), reader=READER)
GPS = {1: (ASCII, b"N\0"), 2: (5, rationals("<", (38, 1))), 3: (ASCII, b"W\0"), 4: (5, rationals("<", (9, 1)))}
EXIF = tiff(main={0x0110: (ASCII, b"Leica Q3\0")}, exif={0x9003: (ASCII, b"2024:05:01 18:30:15\0")}, gps=GPS)
PRESS = iim((2, 5, b"Tram"), (2, 120, b"A tram on a hill"), (2, 25, b"tram"), (2, 25, b"Lisboa"))
PHOTO = with_segments(jpeg(32, 24), (0xE1, b"Exif\0\0" + EXIF), (0xED, photoshop(PRESS)))
BARE = PhotoEvent("e", EventKind.UPLOADED, "photos", "p", 1, data=PHOTO)


def completed(event):
    """The event of a photo that has only been fetched, completed by its file."""
    return Exif(ExifOptions(), CONTEXT)(PhotoInProgress(event, (), data=event.data)).event


def stored(event, options=None):
    """The document of an event whose networks found nothing."""
    return ingest(
        event,
        processors=[
            Fetch(FetchOptions(), CONTEXT),
            Exif(options or ExifOptions(), CONTEXT),
            lambda photo: replace(photo, embedding=Embedding({}, {})),
            TagPhoto(TagOptions(), CONTEXT),
            Caption(CaptionOptions(), CONTEXT),
        ],
        spaces=[],
    )


def test_the_file_fills_what_the_event_omits():
    document = stored(BARE)

    assert (document.title, document.caption, document.caption_is_generated) == ("Tram", "A tram on a hill", False)
    assert [(tag.label, tag.score, tag.kind) for tag in document.tags] == [
        ("tram", 1.0, TagKind.USER),
        ("Lisboa", 1.0, TagKind.USER),
    ]
    assert document.attributes == {"camera": "Leica Q3", "taken_from": "exif"}
    assert document.place == GeoPoint(38, -9)
    assert document.taken_at.utc_offset_minutes is None
    assert document.taken_at.instant.isoformat() == "2024-05-01T18:30:15+00:00"


def test_fields_of_the_event_take_precedence():
    said = stored(BARE).taken_at
    event = replace(
        BARE,
        title="Mine",
        tags=("own",),
        attributes={"camera": "Scanner", "rating": "5"},
        place=GeoPoint(0, 0),
        taken_at=TakenAt(said.instant.replace(year=1999), 60),
    )
    document = stored(event)

    assert (document.title, document.caption) == ("Mine", "A tram on a hill")
    assert [tag.label for tag in document.tags] == ["own"]
    assert document.attributes == {"camera": "Scanner", "rating": "5"}
    assert (document.place, document.taken_at) == (event.place, event.taken_at)


def test_words_and_places_can_be_left_out():
    """Those of sidecars, too: without `place` no position of a private photo is stored."""
    sidecar = PhotoMetadata(title="T", caption="C", people=("Ana",), place=GeoPoint(1, 2))
    document = stored(replace(BARE, beside=Beside(OwnSidecar(), (sidecar,))), ExifOptions(texts=False, place=False))

    assert (document.title, document.caption, document.tags, document.place) == ("", "", (), None)
    assert document.attributes == {"camera": "Leica Q3", "taken_from": "exif"}
    assert document.taken_at is not None


@pytest.mark.parametrize(
    ("photo_id", "uri", "expected"),
    [
        ("2019/IMG_20190102_101112.jpg", "", "2019-01-02T10:11:12+00:00"),
        ("p", "https://store.example/a/IMG%5F20190102_101112.jpg?w=20200101_000000", "2019-01-02T10:11:12+00:00"),
        ("IMG-20190102-WA0001.jpg", "https://store.example/4711", "2019-01-02T00:00:00+00:00"),
        ("IMG-20190102-WA0001.jpg", "http://[no-address/4711", "2019-01-02T00:00:00+00:00"),
    ],
)
def test_the_file_name_is_the_last_time_source(photo_id, uri, expected):
    without = completed(replace(BARE, photo_id=photo_id, uri=uri, data=jpeg(32, 24)))
    within = completed(replace(BARE, photo_id=photo_id, uri=uri))

    assert (without.taken_at.instant.isoformat(), without.attributes) == (expected, {"taken_from": "file-name"})
    assert within.taken_at.instant.year == 2024


def test_the_events_time_precedes_the_files():
    taken_at = TakenAt(datetime(1999, 1, 1, tzinfo=UTC), None)

    assert "taken_from" not in completed(replace(BARE, taken_at=taken_at)).attributes


def test_stars_become_an_attribute_unless_already_set():
    rated = with_segments(jpeg(32, 24), (0xE1, b"Exif\0\0" + tiff(main={0x4746: (SHORT, b"\4\0")})))

    assert completed(replace(BARE, data=rated)).attributes == {"rating": "4"}
    assert completed(replace(BARE, data=rated, attributes={"rating": "1"})).attributes == {"rating": "1"}


def test_damaged_metadata_is_logged_and_processing_continues():
    damaged = with_segments(jpeg(32, 24), (0xE1, b"Exif\0\0" + b"damaged"))
    with capture_logs() as logs:
        document = stored(replace(BARE, data=damaged))

    assert document.taken_at is None
    assert logs == [
        {"event": "metadata left out", "log_level": "debug", "collection": "photos", "photo_id": "p", "unread": ("exif",)}
    ]


def test_a_sound_photo_is_not_logged():
    with capture_logs() as logs:
        stored(BARE)

    assert logs == []


def test_an_event_at_its_limits_stays_within_them():
    full = replace(BARE, attributes={f"a{n}": "x" for n in range(128)})
    found = completed(full)

    assert check_event(found).attributes == full.attributes
    assert found.title == "Tram"


def test_it_needs_the_bytes():
    with pytest.raises(ConfigurationError, match="put fetch before exif"):
        Exif(ExifOptions(), CONTEXT)(PhotoInProgress(BARE, ()))
