"""Whatever a block holds, reading it raises nothing and keeps the limits of an event."""

import struct
import zlib
from datetime import UTC

from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.event import EventKind, PhotoEvent, check_event
from miradouro.core.metadata import TIME_SOURCES, read_metadata, time_of_name

from tests.metadata_blocks import PLAIN, iim, packet, photoshop, raw_profile, with_chunks, with_segments
from tests.metadata_files import FILES
from tests.pictures import blocks, encode

PNG = encode(blocks(64, 48), "PNG")
TAGS = [0x010E, 0x010F, 0x0110, 0x0112, 0x0132, 0x4746, 0x4749, 0x8769, 0x8825, 0x9003, 0x9004, 0x9010, 0x9011, 0x9286, 0x9291]
TAGS += [0x9C9B, 0x9C9C, 0x9C9E, 1, 2, 3, 4, 7, 29]


def check(data: bytes) -> None:
    """Reads a file's metadata and makes an event of it."""
    found = read_metadata(data)
    attributes = {"camera": found.camera, "rating": str(found.rating)}
    check_event(
        PhotoEvent(
            "e",
            EventKind.UPLOADED,
            "photos",
            "p",
            1,
            data=b"x",
            title=found.title,
            caption=found.caption,
            tags=found.tags,
            attributes=attributes,
            place=found.place,
            taken_at=found.taken_at,
        )
    )
    "".join((found.title, found.caption, found.camera, *found.tags)).encode()
    assert (found.taken_from in TIME_SOURCES) == (found.taken_at is not None)
    assert found.taken_at is None or found.taken_at.instant.tzinfo is UTC
    assert found.rating in {None, 1, 2, 3, 4, 5}


ENTRIES = st.lists(
    st.tuples(
        st.sampled_from(TAGS),
        st.integers(0, 14) | st.just(129),
        st.integers(0, 12) | st.sampled_from([2**16, 2**31, 2**32 - 1]),
        st.integers(0, 200) | st.sampled_from([2**31, 2**32 - 1]),
    ),
    max_size=12,
)


@given(st.sampled_from("<>"), st.lists(ENTRIES, min_size=1, max_size=3), st.binary(max_size=200))
def test_no_exif_raises(order, directories, rest):
    block = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    for entries in directories:
        block += struct.pack(f"{order}H", len(entries)) + b"".join(struct.pack(f"{order}HHII", *entry) for entry in entries)
        block += bytes(4)
    check(with_segments(PLAIN, (0xE1, b"Exif\0\0" + block + rest)))


TIMES = st.text("0123456789:- .+ZT/", max_size=26)


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.integers(0, 255), st.binary(max_size=40)), max_size=8), TIMES, TIMES)
def test_no_iptc_raises(datasets, date, clock):
    times = (2, 55, date.encode()), (2, 60, clock.encode())
    check(with_segments(PLAIN, (0xED, photoshop(iim(*datasets, *times)))))


PROPERTIES = [
    "dc:title",
    "dc:subject",
    "lr:hierarchicalSubject",
    "exif:GPSLatitude",
    "exif:GPSLongitude",
    "xmp:Rating",
    "tiff:Model",
]
PROPERTIES += ["exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate", "MicrosoftPhoto:Rating", "dc:description"]
VALUES = TIMES | st.sampled_from(["38,42.465N", "9,8W", "999,0N", "4", "-1", "1e400", "nan"]) | st.text(max_size=20)


@given(
    st.lists(st.tuples(st.sampled_from(PROPERTIES), VALUES, st.booleans()), max_size=8),
    st.binary(max_size=6),
    st.integers(0, 2_000),
)
def test_no_xmp_raises(properties, damage, at):
    texts = "".join(f"<{name}>{text}</{name}>" if whole else f"<{name}><rdf:li>{text}" for name, text, whole in properties)
    block = packet("\0").replace(b"\0", texts.encode(errors="replace"))
    for wrong in (block, block[:at] + damage + block[at + len(damage) :], block.decode(errors="ignore").encode("utf-16-le")):
        check(with_segments(PLAIN, (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + wrong[:60_000])))


KEYWORDS = [b"Title", b"Description", b"Comment", b"Creation Time", b"XML:com.adobe.xmp", b"Raw profile type exif"]
KEYWORDS += [b"Raw profile type iptc", b"Raw profile type APP1", b"Raw profile type xmp", b"k" * 90, b""]
BODIES = (
    st.binary(max_size=60)
    | st.binary(max_size=60).map(zlib.compress)
    | st.binary(max_size=60).map(lambda b: raw_profile(b"x", b))
)
CHUNKS = st.tuples(
    st.sampled_from([b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME"]),
    st.sampled_from(KEYWORDS),
    st.sampled_from([b"", b"\0", b"\0\0", b"\0\1\0", b"\0\0\0\0\0", b"\0\1\0\0\0", b"\0\1\0en\0"]),
    BODIES | TIMES.map(str.encode),
)


@given(st.lists(CHUNKS, max_size=5), st.binary(min_size=7, max_size=7))
def test_no_chunk_raises(chunks, time):
    check(with_chunks(PNG, *((kind, keyword + flags + body) for kind, keyword, flags, body in chunks), (b"tIME", time)))


WHOLE = [FILES[name] for name in ("all.heic", "all.avif", "all.webp", "profile_exif.png", "press.jpg")]


@given(
    st.sampled_from(WHOLE), st.lists(st.tuples(st.integers(0, 1_500), st.integers(0, 255)), max_size=20), st.integers(0, 5_000)
)
def test_no_damaged_file_raises(file, changes, kept):
    damaged = bytearray(file)
    for at, value in changes:
        damaged[at % len(file)] = value
    check(bytes(damaged))
    check(bytes(damaged[:kept]))


@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.text("0123456789-_. :IMGPXLWAat", max_size=60))
def test_no_name_raises(name):
    found = time_of_name(name)

    assert found is None or 1950 <= found.instant.year <= 2099
