"""EXIF gives time, place, camera and texts, whatever wrote it."""

from datetime import UTC, datetime

import pytest
from miradouro.core.document import Place, TakenAt
from miradouro.core.event import MAX_ATTRIBUTE_VALUE_CHARS
from miradouro.core.metadata import PhotoMetadata

from tests.metadata_blocks import (
    ASCII,
    BYTE,
    SHORT,
    UNDEFINED,
    gps,
    said_by_exif,
)

LISBON = Place(38.70775, -9.136592)


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
def test_the_offset_is_kept_and_an_unknown_one_stays_unknown(offset, subseconds, taken_at):
    exif = {0x9003: (ASCII, b"2024:05:01 18:30:15\0"), 0x9011: (ASCII, offset), 0x9291: (ASCII, subseconds)}

    assert said_by_exif(exif=exif).taken_at == taken_at


@pytest.mark.parametrize("text", [b"0000:00:00 00:00:00\0", b"    :  :     :  :  \0", b"\0"])
def test_a_clock_that_was_never_set_is_no_time_and_no_damage(text):
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
def test_a_place_that_is_none_is_left_out_and_named(broken):
    assert said_by_exif(gps=gps(**broken)) == PhotoMetadata(unread=("exif.place",))


def test_numbers_of_a_wrong_type_are_left_out_and_named():
    found = said_by_exif(gps={**gps(), 2: (SHORT, bytes(6))}, main={0x8769: (ASCII, b"what?")})

    assert found.unread == ("exif.directory", "exif.place")


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
    ],
)
def test_comments_are_read_in_every_encoding(comment, caption):
    assert said_by_exif(exif={0x9286: (UNDEFINED, comment)}) == PhotoMetadata(caption=caption)


def test_a_comment_without_an_encoding_is_left_out_and_named():
    assert said_by_exif(exif={0x9286: (UNDEFINED, b"\x01\x02binary data")}).unread == ("exif.comment",)


def test_a_description_goes_before_a_comment():
    found = said_by_exif(main={0x010E: (ASCII, b"Tram")}, exif={0x9286: (UNDEFINED, b"ASCII\0\0\0Other")})

    assert found.caption == "Tram"


def test_titles_and_keywords_of_windows_are_read():
    main = {0x9C9B: (BYTE, "Eléctrico\0".encode("utf-16-le")), 0x9C9E: (BYTE, "tram; Lisboa;;tram\0".encode("utf-16-le"))}

    assert said_by_exif(main=main) == PhotoMetadata(title="Eléctrico", tags=("tram", "Lisboa"))


def test_a_camera_keeps_the_limit_of_an_attribute():
    assert said_by_exif(main={0x0110: (ASCII, b"m" * 2_000)}).camera == "m" * MAX_ATTRIBUTE_VALUE_CHARS
