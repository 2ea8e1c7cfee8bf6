"""EXIF gives time, place, camera and texts, whatever wrote it."""

import struct
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from miradouro.core.document import GeoPoint, TakenAt
from miradouro.core.event import MAX_ATTRIBUTE_VALUE_CHARS
from miradouro.core.metadata import PhotoMetadata, read_metadata

from tests.metadata_blocks import (
    ASCII,
    BYTE,
    LONG,
    PLAIN,
    RATIONAL,
    SHORT,
    SLONG,
    UNDEFINED,
    gps,
    rationals,
    said_by_exif,
    tiff,
    with_segments,
)

LISBON = GeoPoint(38.70775, -9.136592)


@pytest.mark.parametrize("order", "<>")
def test_both_byte_orders_are_read(order):
    found = said_by_exif(
        order,
        main={0x010F: (ASCII, b"Apple\0"), 0x0110: (ASCII, b"iPhone 15 Pro\0")},
        exif={0x9003: (ASCII, b"2024:05:01 18:30:15\0")},
        gps=gps(order),
    )

    assert found.camera == "Apple iPhone 15 Pro"
    assert found.taken_at == TakenAt(datetime(2024, 5, 1, 18, 30, 15, tzinfo=UTC), None)
    assert (found.place.latitude, found.place.longitude) == pytest.approx((LISBON.latitude, LISBON.longitude))


@pytest.mark.parametrize(
    ("make", "model", "camera"),
    [
        (b"Canon", b"Canon EOS R5", "Canon EOS R5"),
        (b"NIKON CORPORATION", b"NIKON D850", "NIKON D850"),
        (b"EASTMAN KODAK COMPANY", b"KODAK DC240", "KODAK DC240"),
        (b"SONY", b"ILCE-7M3", "SONY ILCE-7M3"),
        (b"Apple", b"Apple", "Apple"),
        (b"", b"DC-S5", "DC-S5"),
        (b"RICOH  ", b"", "RICOH"),
        (b"samsung\0junk", b"SM-G991B", "samsung SM-G991B"),
    ],
)
def test_the_maker_is_not_named_twice(make, model, camera):
    assert said_by_exif(main={0x010F: (ASCII, make), 0x0110: (ASCII, model)}).camera == camera


@pytest.mark.parametrize(
    ("offset", "subseconds", "taken_at"),
    [
        (b"+05:30", b"", TakenAt(datetime(2024, 5, 1, 13, 0, 15, tzinfo=UTC), 330)),
        (b"-03:00", b"5", TakenAt(datetime(2024, 5, 1, 21, 30, 15, 500_000, tzinfo=UTC), -180)),
        (b"Z", b"1234567890", TakenAt(datetime(2024, 5, 1, 18, 30, 15, 123_456, tzinfo=UTC), 0)),
        (b"   :  ", b"  ", TakenAt(datetime(2024, 5, 1, 18, 30, 15, tzinfo=UTC), None)),
        (b"+19:00", b"x", TakenAt(datetime(2024, 5, 1, 18, 30, 15, tzinfo=UTC), None)),
        (b"+01:75", b"", TakenAt(datetime(2024, 5, 1, 18, 30, 15, tzinfo=UTC), None)),
    ],
)
def test_the_offset_is_kept_or_stays_unknown(offset, subseconds, taken_at):
    exif = {0x9003: (ASCII, b"2024:05:01 18:30:15\0"), 0x9011: (ASCII, offset), 0x9291: (ASCII, subseconds)}

    assert said_by_exif(exif=exif).taken_at == taken_at


@pytest.mark.parametrize("text", [b"0000:00:00 00:00:00\0", b"    :  :     :  :  \0", b"\0"])
def test_an_unset_clock_is_neither_time_nor_damage(text):
    assert said_by_exif(exif={0x9003: (ASCII, text)}) == PhotoMetadata()


@pytest.mark.parametrize("text", [b"2024:02:30 10:00:00", b"2024:05:01 25:00:00", b"yesterday", b"2024:05:01 early"])
def test_an_impossible_time_is_left_out_and_named(text):
    found = said_by_exif(exif={0x9003: (ASCII, text)}, main={0x0110: (ASCII, b"DC-S5")})

    assert found == PhotoMetadata(camera="DC-S5", unread=("exif.taken_at",))


def test_a_time_before_the_calendar_is_left_out():
    exif = {0x9003: (ASCII, b"0001:01:01 00:00:00"), 0x9011: (ASCII, b"+01:00")}

    assert said_by_exif(exif=exif).unread == ("exif.taken_at",)


def test_southern_and_eastern_places_have_their_signs():
    found = said_by_exif(gps=gps(latitude=((33, 1), (5141, 100)), longitude=((1512, 10),), north=b"S\0", east=b"E\0"))

    assert (found.place.latitude, found.place.longitude) == pytest.approx((-(33 + 51.41 / 60), 151.2))


def test_zero_zero_is_no_place():
    assert said_by_exif(gps=gps(latitude=((0, 1),), longitude=((0, 1),))) == PhotoMetadata()


@pytest.mark.parametrize(
    "broken",
    [
        {"latitude": ((91, 1),)},
        {"longitude": ((180, 1), (1, 1))},
        {"latitude": ((38, 1), (0, 0), (0, 0))},
        {"latitude": ()},
        {"longitude": ((1, 1),) * 4},
        {"north": b"\0"},
        {"east": b"N\0"},
    ],
)
def test_an_invalid_place_is_left_out_and_named(broken):
    assert said_by_exif(gps=gps(**broken)) == PhotoMetadata(unread=("exif.place",))


def test_numbers_of_a_wrong_type_are_named():
    found = said_by_exif(gps={**gps(), 2: (SHORT, bytes(6))}, main={0x8769: (ASCII, b"what?")})

    assert found.unread == ("exif.directory", "exif.place")


@pytest.mark.parametrize(("kind", "order"), [(SLONG, "<"), (SLONG, ">"), (LONG, "<"), (SHORT, "<"), (SHORT, ">"), (BYTE, "<")])
def test_pointers_of_every_whole_type_are_followed(kind, order):
    directories = {"exif": {0x9003: (ASCII, b"2024:05:01 18:30:15")}, "gps": gps(order)}
    found = said_by_exif(order, pointer_type=kind, **directories)

    assert (found.place is None, found.taken_at is None, found.unread) == (False, False, ())


def test_a_pointer_to_before_the_file_is_named():
    found = said_by_exif(main={0x8825: (SLONG, b"\xff\xff\xff\xff"), 0x0110: (ASCII, b"DC-S5")})

    assert found == PhotoMetadata(camera="DC-S5", unread=("exif.gps",))


@pytest.mark.parametrize(
    ("north", "east", "signs"), [(b"North\0", b"west\0", (1, -1)), (b"s\0", b"E \0", (-1, 1)), (b"S", b"East", (-1, 1))]
)
def test_references_are_letters_or_words(north, east, signs):
    place = said_by_exif(gps=gps(north=north, east=east)).place

    assert (place.latitude * signs[0] > 0, place.longitude * signs[1] > 0) == (True, True)


@pytest.mark.parametrize("reference", [b"NS\0", b"SN\0", b"X\0", b"\xff\xfe", b"EW", b"N" * 300])
def test_an_invalid_reference_costs_only_the_place(reference):
    main = {0x0110: (ASCII, b"DC-S5"), 0x4746: (SHORT, b"\3\0")}
    settings = {0x9003: (ASCII, b"2024:05:01 18:30:15")}
    clock = {29: (ASCII, b"2024:05:01"), 7: (RATIONAL, rationals("<", (1, 1), (2, 1), (3, 1)))}
    found = said_by_exif(main=main, exif=settings, gps={**gps(north=reference), **clock})

    assert (found.camera, found.rating, found.taken_from, found.unread) == ("DC-S5", 3, "exif", ("exif.place",))


DAMAGED = {
    0x010E: "exif.description",
    0x010F: "exif.make",
    0x0110: "exif.model",
    0x9C9B: "exif.title",
    0x9C9C: "exif.windows_comment",
    0x9C9E: "exif.keywords",
    0x4746: "exif.rating",
}


@pytest.mark.parametrize("tag", DAMAGED)
def test_each_value_stands_alone(tag):
    """One value of the block lies outside of it; all others are read."""
    words = {0x010E: b"Caption", 0x010F: b"Leitz", 0x0110: b"M3 camera"}
    windows = {0x9C9B: "Title", 0x9C9C: "Comment", 0x9C9E: "tram;Lisboa"}
    main = {name: (ASCII, text) for name, text in words.items()} | {0x4746: (SHORT, b"\4\0")}
    main |= {name: (BYTE, text.encode("utf-16-le")) for name, text in windows.items()}
    block = bytearray(tiff(main=main))
    entry = next(at for at in range(10, len(block), 12) if struct.unpack_from("<H", block, at) == (tag,))
    struct.pack_into("<II", block, entry + 4, 99, 2**31)
    found = read_metadata(with_segments(PLAIN, (0xE1, b"Exif\0\0" + bytes(block))))

    lost = {"exif.description": "caption", "exif.title": "title", "exif.keywords": "tags", "exif.rating": "rating"}
    whole = PhotoMetadata("Title", "Caption", ("tram", "Lisboa"), "Leitz M3 camera", rating=4)
    cameras = {"exif.make": "M3 camera", "exif.model": "Leitz"}
    empty = {"caption": "Comment", "title": "", "tags": (), "rating": None}
    part = DAMAGED[tag]
    changes = {lost[part]: empty[lost[part]]} if part in lost else {}
    assert found == replace(whole, camera=cameras.get(part, whole.camera), unread=(part,), **changes)


@pytest.mark.parametrize(
    ("stars", "percent", "expected"), [(5, 1, 5), (0, 75, 4), (None, 25, 2), (None, 99, 5), (None, 0, None), (0, 0, None)]
)
def test_stars_or_percentages_are_the_rating(stars, percent, expected):
    values = {0x4746: stars, 0x4749: percent}
    main = {tag: (SHORT, struct.pack("<H", value)) for tag, value in values.items() if value is not None}

    assert said_by_exif(main=main) == PhotoMetadata(rating=expected)


@pytest.mark.parametrize("value", [(SHORT, b"\x09\0"), (ASCII, b"five\0")])
def test_a_rating_that_is_none_is_named(value):
    assert said_by_exif(main={0x4746: value}) == PhotoMetadata(unread=("exif.rating",))


@pytest.mark.parametrize(
    ("comment", "caption"),
    [
        (b"ASCII\0\0\0A tram\0\0\0", "A tram"),
        (b"UNICODE\0" + "Eléctrico".encode("utf-16-le"), "Eléctrico"),
        (b"UNICODE\0" + "Eléctrico".encode("utf-16-be"), "Eléctrico"),
        (b"UNICODE\0" + "\ufeff路面電車".encode("utf-16-le"), "路面電車"),
        (b"JIS\0\0\0\0\0" + "路面電車".encode("iso2022_jp"), "路面電車"),
        (bytes(8) + "Eléctrico".encode(), "Eléctrico"),
        (bytes(64), ""),
        (b"ASCII\0\0\0" + b" " * 40, ""),
        (b"Unicode\0" + "Eléctrico".encode("utf-16-le"), "Eléctrico"),
        (b"A tram without an encoding\0", "A tram without an encoding"),
        (b"Screenshot", ""),
    ],
)
def test_comments_are_read_in_every_encoding(comment, caption):
    assert said_by_exif(exif={0x9286: (UNDEFINED, comment)}) == PhotoMetadata(caption=caption)


def test_a_comment_without_an_encoding_is_named():
    assert said_by_exif(exif={0x9286: (UNDEFINED, b"\x01\x02binary data")}).unread == ("exif.comment",)


def test_a_description_goes_before_a_comment():
    found = said_by_exif(main={0x010E: (ASCII, b"Tram")}, exif={0x9286: (UNDEFINED, b"ASCII\0\0\0Other")})

    assert found.caption == "Tram"


def test_titles_and_keywords_of_windows_are_read():
    main = {0x9C9B: (BYTE, "Eléctrico\0".encode("utf-16-le")), 0x9C9E: (BYTE, "tram; Lisboa;;tram\0".encode("utf-16-le"))}

    assert said_by_exif(main=main) == PhotoMetadata(title="Eléctrico", tags=("tram", "Lisboa"))


def test_a_camera_keeps_the_limit_of_an_attribute():
    assert said_by_exif(main={0x0110: (ASCII, b"m" * 2_000)}).camera == "m" * MAX_ATTRIBUTE_VALUE_CHARS
