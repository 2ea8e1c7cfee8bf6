"""Capture times: every notation, and the precedence of a file's fields."""

from datetime import UTC, datetime, timedelta

import pytest
from miradouro.core.document import TakenAt
from miradouro.core.metadata import TIME_SOURCES, read_metadata, time_of_name

from tests.metadata_blocks import (
    ASCII,
    PLAIN,
    RATIONAL,
    iim,
    packet,
    photoshop,
    rationals,
    said_by_exif,
    said_by_iptc,
    said_by_xmp,
    tiff,
    with_chunks,
    with_segments,
)
from tests.pictures import blocks, encode

PNG = encode(blocks(64, 48), "PNG")


def taken(*local: int, offset: int | None = None) -> TakenAt:
    return TakenAt(datetime(*local, tzinfo=UTC) - timedelta(minutes=offset or 0), offset)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"2024:05:01 18:30", taken(2024, 5, 1, 18, 30)),
        (b"2024:05:01 18:30+02:00", taken(2024, 5, 1, 18, 30, offset=120)),
        (b"2024:05:01 18:30:15+02:00", taken(2024, 5, 1, 18, 30, 15, offset=120)),
        (b"2024:05:01 18:30:15 -0330", taken(2024, 5, 1, 18, 30, 15, offset=-210)),
        (b"2024:05:01 18:30:15Z", taken(2024, 5, 1, 18, 30, 15, offset=0)),
        (b"2024:05:01 18:30:15.25", taken(2024, 5, 1, 18, 30, 15, 250_000)),
        (b"2024-05-01T18:30:15.123456789+09:00", taken(2024, 5, 1, 18, 30, 15, 123_456, offset=540)),
        (b"2024:05:01", taken(2024, 5, 1)),
        (b"2024: 5: 1 18:30:15", None),
        (b"24:05:01 18:30:15", None),
    ],
)
def test_times_of_exif_are_read_in_every_form(text, expected):
    assert said_by_exif(exif={0x9003: (ASCII, text)}).taken_at == expected


@pytest.mark.parametrize(
    ("main", "offsets", "expected"),
    [
        ({}, {0x9011: b"+02:00"}, 120),
        ({}, {0x9011: b"+0200"}, 120),
        ({}, {0x9010: b"+02:00"}, 120),
        ({0x0132: b"2024:05:01 18:30:15"}, {0x9010: b"+02:00"}, 120),
        ({0x0132: b"2024:06:07 10:00:00"}, {0x9010: b"+02:00"}, None),
        ({}, {0x9010: b"+05:00", 0x9011: b"+02:00"}, 120),
        ({}, {0x9012: b"+02:00"}, None),
        ({}, {0x9011: b"   :  "}, None),
        ({}, {0x9011: b"+19:00"}, None),
    ],
)
def test_offset_is_that_of_the_time_of_taking(main, offsets, expected):
    exif = {0x9003: b"2024:05:01 18:30:15", **offsets}
    directories = {"main": main, "exif": exif}
    found = said_by_exif(**{name: {tag: (ASCII, text) for tag, text in tags.items()} for name, tags in directories.items()})

    assert found.taken_at == taken(2024, 5, 1, 18, 30, 15, offset=expected)


def test_a_time_in_the_first_directory_is_read():
    assert said_by_exif(main={0x9003: (ASCII, b"2024:05:01 18:30:15")}).taken_at == taken(2024, 5, 1, 18, 30, 15)


def test_the_modification_time_is_not_the_capture_time():
    press = photoshop(iim((2, 62, b"20240501")))
    modified = packet("", attributes='xmp:ModifyDate="2024-05-01T10:00:00" photoshop:DateCreated="2024"')
    segments = [
        (0xE1, b"Exif\0\0" + tiff(main={0x0132: (ASCII, b"2024:05:01 18:30:15")})),
        (0xED, press),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + modified),
    ]

    assert read_metadata(with_segments(PLAIN, *segments)).taken_at is None


@pytest.mark.parametrize(
    ("properties", "attributes", "expected"),
    [
        (
            "<exif:DateTimeOriginal>2024-05-01T18:30:15+02:00</exif:DateTimeOriginal>",
            "",
            taken(2024, 5, 1, 18, 30, 15, offset=120),
        ),
        ("", 'photoshop:DateCreated="2024-05-01T18:30"', taken(2024, 5, 1, 18, 30)),
        ("", 'photoshop:DateCreated="2024-05-01"', taken(2024, 5, 1)),
        ("", 'xmp:CreateDate="2024-05-01T18:30:15.5Z"', taken(2024, 5, 1, 18, 30, 15, 500_000, offset=0)),
        ("", 'xmp:CreateDate="2023-01-01T00:00" photoshop:DateCreated="2024-05-01"', taken(2024, 5, 1)),
        ("<exif:DateTimeOriginal>soon</exif:DateTimeOriginal>", 'xmp:CreateDate="2024-05-01T18:30"', taken(2024, 5, 1, 18, 30)),
        ("", 'photoshop:DateCreated="1954" xmp:CreateDate="2024-05-01T18:30"', taken(2024, 5, 1, 18, 30)),
    ],
)
def test_times_of_xmp_are_read_in_their_order(properties, attributes, expected):
    found = said_by_xmp(packet(properties, attributes=attributes))

    assert (found.taken_at, found.taken_from) == (expected, "xmp")


@pytest.mark.parametrize(
    ("date", "clock", "expected"),
    [
        (b"20240501", b"183015+0200", taken(2024, 5, 1, 18, 30, 15, offset=120)),
        (b"20240501", b"183015", taken(2024, 5, 1, 18, 30, 15)),
        (b"20240501", b"1830", taken(2024, 5, 1, 18, 30)),
        (b"20240501", b"", taken(2024, 5, 1)),
        (b"2024-05-01", b"18:30:15-03:00", taken(2024, 5, 1, 18, 30, 15, offset=-180)),
        (b"00000000", b"000000", None),
        (b"", b"183015", None),
    ],
)
def test_times_of_iptc_are_date_and_clock(date, clock, expected):
    assert said_by_iptc((2, 55, date), (2, 60, clock)).taken_at == expected


def test_a_day_that_is_none_costs_only_itself():
    found = said_by_iptc((2, 55, b"20240500"), (2, 25, b"tram"))

    assert (found.taken_at, found.tags, found.unread) == (None, ("tram",), ("iptc.taken_at",))


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        ((b"tEXt", b"Creation Time\0Wed, 02 Jan 2019 10:11:12 +0100"), taken(2019, 1, 2, 10, 11, 12, offset=60)),
        ((b"tEXt", b"Creation Time\x002 Jan 2019 10:11:12 GMT"), taken(2019, 1, 2, 10, 11, 12, offset=0)),
        ((b"tEXt", b"Creation Time\x002019:01:02 10:11:12"), taken(2019, 1, 2, 10, 11, 12)),
        ((b"tEXt", b"CreationTime\x002019:01:02 10:11:12"), taken(2019, 1, 2, 10, 11, 12)),
        ((b"tEXt", b"Creation Time\0Wed Jan  2 10:11:12 2019"), taken(2019, 1, 2, 10, 11, 12)),
        ((b"iTXt", b"Creation Time\0\0\0\0\x002019-01-02T10:11:12+01:00"), taken(2019, 1, 2, 10, 11, 12, offset=60)),
        ((b"tIME", b"\x07\xe3\1\2\x0a\x0b\x0c"), taken(2019, 1, 2, 10, 11, 12, offset=0)),
    ],
)
def test_times_of_png_are_read(chunk, expected):
    found = read_metadata(with_chunks(PNG, chunk))

    assert (found.taken_at, found.taken_from, found.unread) == (expected, "png", ())


@pytest.mark.parametrize("chunk", [(b"tEXt", b"Creation Time\0once"), (b"tIME", b"\x07\xe3\x0d\2\x0a\x0b\x0c")])
def test_an_invalid_png_time_is_named(chunk):
    found = read_metadata(with_chunks(PNG, chunk))

    assert (found.taken_at, len(found.unread)) == (None, 1)


def gps_clock(date=b"2024:05:01", clock=((18, 1), (30, 1), (155, 10))):
    return {29: (ASCII, date), 7: (RATIONAL, rationals("<", *clock))}


def test_the_time_of_the_satellites_is_utc():
    found = said_by_exif(gps=gps_clock())

    assert (found.taken_at, found.taken_from) == (taken(2024, 5, 1, 18, 30, 15, 500_000, offset=0), "gps")


@pytest.mark.parametrize(
    "broken", [{"date": b"never"}, {"clock": ((25, 1), (0, 1), (0, 1))}, {"clock": ((1, 1), (0, 0), (0, 1))}]
)
def test_an_invalid_gps_time_is_named(broken):
    found = said_by_exif(gps=gps_clock(**broken))

    assert (found.taken_at, found.unread) == (None, ("exif.gps_time",))


def test_times_are_trusted_in_one_order():
    """Every source has another year; the first one present wins."""
    embedded = TIME_SOURCES[2:]  # those in the photo itself: the first two are sidecars
    years = dict(zip(embedded, range(2001, 2008), strict=True))
    exif_directory = {
        "exif": (0x9003, f"{years['exif']}:01:01 00:00:00"),
        "exif-digitized": (0x9004, f"{years['exif-digitized']}:01:01 00:00:00"),
    }
    found = []
    for left in range(len(embedded) - 1):
        sources = embedded[left:]
        exif = {tag: (ASCII, text.encode()) for name, (tag, text) in exif_directory.items() if name in sources}
        clock = gps_clock(date=f"{years['gps']}:01:01".encode())
        xmp_time = f'xmp:CreateDate="{years["xmp"]}-01-01T00:00"' if "xmp" in sources else ""
        digits = iim((2, 55, f"{years['iptc']}0101".encode())) if "iptc" in sources else b""
        chunks = [
            (b"eXIf", tiff(exif=exif, gps=clock)),
            (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet("", attributes=xmp_time)),
            (b"tEXt", b"Raw profile type iptc\0\niptc\n0\n" + digits.hex().encode()),
        ]
        if "png" in sources:
            chunks.append((b"tEXt", f"Creation Time\0{years['png']}:01:01 00:00:00".encode()))
        said = read_metadata(with_chunks(PNG, *chunks))
        found.append((said.taken_from, said.taken_at.instant.year))

    assert found == [(source, years[source]) for source in embedded[:-1]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("IMG-20190102-WA0001.jpg", taken(2019, 1, 2)),
        ("Screenshot_2019-01-02-10-11-12.png", taken(2019, 1, 2, 10, 11, 12)),
        ("Screenshot_20190102-101112_Chrome.jpg", taken(2019, 1, 2, 10, 11, 12)),
        ("PXL_20210102_101112345.jpg", taken(2021, 1, 2, 10, 11, 12, 345_000, offset=0)),
        ("PXL_20210102_101112345.MP.jpg", taken(2021, 1, 2, 10, 11, 12, 345_000, offset=0)),
        ("IMG_20190102_101112.jpg", taken(2019, 1, 2, 10, 11, 12)),
        ("IMG_20190102_101112_1.jpg", taken(2019, 1, 2, 10, 11, 12)),
        ("20190102_101112.jpg", taken(2019, 1, 2, 10, 11, 12)),
        ("20190102101112.jpg", taken(2019, 1, 2, 10, 11, 12)),
        ("2019-01-02 10.11.12.jpg", taken(2019, 1, 2, 10, 11, 12)),
        ("2019-01-02 10.11.12-1.jpg", taken(2019, 1, 2, 10, 11, 12)),
        ("signal-2019-01-02-101112.jpg", taken(2019, 1, 2, 10, 11, 12)),
        ("WhatsApp Image 2019-01-02 at 10.11.12.jpeg", taken(2019, 1, 2, 10, 11, 12)),
        ("Screen Shot 2019-01-02 at 3.04.05 PM.png", taken(2019, 1, 2, 15, 4, 5)),
        ("Screenshot 2019-01-02 at 12.04.05\u202fAM.png", taken(2019, 1, 2, 0, 4, 5)),
        ("IMG_0001.jpg", None),
        ("20190102.jpg", None),
        ("IMG_20191302_101112.jpg", None),
        ("IMG_20190231_101112.jpg", None),
        ("IMG_20190102_251112.jpg", None),
        ("IMG_18990102_101112.jpg", None),
        ("1201901021011123.jpg", None),
        ("3f20190102101112aa.jpg", None),
        ("IMG20190102101112.jpg", taken(2019, 1, 2, 10, 11, 12)),
        ("order-4420190102-WA1.jpg", None),
        ("", None),
    ],
)
def test_times_in_names_are_read(name, expected):
    assert time_of_name(name) == expected
