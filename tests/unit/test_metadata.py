"""What a photo's file says is read whatever wrote it, and damage costs only what is damaged."""

import io
import struct
import tracemalloc
import zlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from miradouro.core.document import Place, TakenAt
from miradouro.core.event import MAX_ATTRIBUTE_VALUE_CHARS, MAX_CAPTION_CHARS, MAX_TAGS, MAX_TITLE_CHARS
from miradouro.core.metadata import PhotoMetadata, read_metadata
from miradouro.core.metadata.blocks import MAX_XMP_BYTES
from PIL import Image, PngImagePlugin

from tests.metadata_blocks import (
    ASCII,
    BYTE,
    RATIONAL,
    SHORT,
    UNDEFINED,
    UTF8_MARKER,
    iim,
    photoshop,
    rationals,
    tiff,
    with_segments,
    xmp,
)
from tests.pictures import blocks, encode, jpeg

PLAIN = jpeg(32, 24)
LISBON = Place(38.70775, -9.136592)


def pillow_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = "Tram on a hill"
    exif[0x010F], exif[0x0110] = "LEICA CAMERA AG", "LEICA Q3"
    exif.get_ifd(0x8769).update({0x9003: "2024:05:01 18:30:15", 0x9011: "+01:00", 0x9291: "250"})
    exif.get_ifd(0x8825).update({1: "N", 2: (38.0, 42.0, 27.9), 3: "W", 4: (9.0, 8.0, 11.7312)})
    return exif


def said_by_exif(order="<", **directories) -> PhotoMetadata:
    return read_metadata(with_segments(PLAIN, (0xE1, b"Exif\0\0" + tiff(order, **directories))))


def said_by_iptc(*datasets) -> PhotoMetadata:
    return read_metadata(with_segments(PLAIN, (0xED, photoshop(iim(*datasets)))))


def said_by_xmp(packet: bytes) -> PhotoMetadata:
    return read_metadata(with_segments(PLAIN, (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)))


def gps(
    order="<", latitude=((38, 1), (42, 1), (279, 10)), longitude=((9, 1), (8, 1), (117_312, 10_000)), north=b"N\0", east=b"W\0"
):
    return {
        1: (ASCII, north),
        2: (RATIONAL, rationals(order, *latitude)),
        3: (ASCII, east),
        4: (RATIONAL, rationals(order, *longitude)),
    }


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_time_place_camera_and_words_are_read_from_every_format(file_format):
    packet = xmp({"x-default": "Eléctrico"}, {"x-default": "Nas colinas"}, ["tram", "Lisboa"])
    options = {"exif": pillow_exif(), "xmp": packet}
    if file_format == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", packet.decode())
        options = {"exif": pillow_exif(), "pnginfo": texts}

    found = read_metadata(encode(blocks(64, 48), file_format, **options))

    assert found.title == "Eléctrico"
    assert found.caption == "Nas colinas"
    assert found.tags == ("tram", "Lisboa")
    assert found.camera == "LEICA Q3"
    assert found.taken_at == TakenAt(datetime(2024, 5, 1, 17, 30, 15, 250_000, tzinfo=UTC), 60)
    assert (found.place.latitude, found.place.longitude) == pytest.approx((LISBON.latitude, LISBON.longitude), abs=1e-9)
    assert found.unread == ()


def test_heif_is_read_where_its_reader_is_installed():
    plugin = pytest.importorskip("pillow_heif")
    out = io.BytesIO()
    plugin.from_pillow(Image.fromarray(blocks(64, 48))).save(out, exif=pillow_exif().tobytes(), xmp=xmp(subject=["tram"]))

    found = read_metadata(out.getvalue())

    assert (found.camera, found.tags, found.caption) == ("LEICA Q3", ("tram",), "Tram on a hill")


def test_a_compressed_packet_in_a_png_is_read():
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", xmp(subject=["tram"]).decode(), zip=True)

    assert read_metadata(encode(blocks(64, 48), "PNG", pnginfo=texts)).tags == ("tram",)


def test_a_packet_that_swells_when_unpacked_is_left_out_without_taking_the_memory():
    body = b"XML:com.adobe.xmp\0\x01\0\0\0" + zlib.compress(b"<a>" + b" " * 50_000_000)
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))
    png = encode(blocks(64, 48), "PNG")
    swelling = png[:33] + chunk + png[33:]

    tracemalloc.start()
    found = read_metadata(swelling)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found.unread == ("xmp",)
    assert peak_bytes < 5 * MAX_XMP_BYTES


def test_a_compressed_packet_that_is_damaged_is_left_out_and_named():
    body = b"XML:com.adobe.xmp\0\x01\0\0\0not compressed"
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))
    png = encode(blocks(64, 48), "PNG", exif=pillow_exif())
    found = read_metadata(png[:33] + chunk + png[33:])

    assert (found.camera, found.unread) == ("LEICA Q3", ("xmp",))


def test_a_packet_beyond_the_limit_is_left_out_and_named():
    packet = xmp(subject=["tram"])
    fits = encode(blocks(64, 48), "WEBP", xmp=packet + b" " * (MAX_XMP_BYTES - len(packet)))
    too_large = encode(blocks(64, 48), "WEBP", xmp=packet + b" " * (MAX_XMP_BYTES - len(packet) + 1))

    assert read_metadata(fits).tags == ("tram",)
    assert read_metadata(too_large) == PhotoMetadata(unread=("xmp",))


def test_a_block_of_odd_length_does_not_hide_the_next():
    exif = b"Exif\0\0" + tiff(main={0x0110: (ASCII, b"DC-S5")})
    webp = [encode(blocks(64, 48), "WEBP", exif=exif + bytes(more), xmp=xmp(subject=["tram"])) for more in (0, 1)]

    assert {read_metadata(data).tags for data in webp} == {("tram",)}


def test_fill_bytes_between_segments_are_passed_over():
    data = with_segments(PLAIN, (0xED, photoshop(iim((2, 25, b"tram")))))

    assert read_metadata(data[:2] + b"\xff\xff\xff" + data[2:]).tags == ("tram",)


def test_what_follows_the_start_of_the_scan_is_picture():
    press = (0xED, photoshop(iim((2, 25, b"tram"))))

    assert read_metadata(with_segments(PLAIN, (0xDA, b"scan"), press)) == PhotoMetadata()
    assert read_metadata(with_segments(PLAIN, (0xFE, b"note"), press)).tags == ("tram",)


def test_a_photo_without_metadata_says_nothing():
    assert read_metadata(PLAIN) == PhotoMetadata()
    assert read_metadata(b"") == PhotoMetadata()
    assert read_metadata(b"GIF89a and more") == PhotoMetadata()


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


@pytest.mark.parametrize("text", [b"2024:02:30 10:00:00", b"2024:05:01 25:00:00", b"yesterday", b"2024:05:01"])
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


@pytest.mark.parametrize(
    ("raw", "caption"), [("Eléctrico".encode(), "Eléctrico"), ("“Eléctrico”".encode("cp1252"), "“Eléctrico”"), (b"a\x81b", "ab")]
)
def test_texts_of_untold_encoding_are_utf8_or_windows(raw, caption):
    assert said_by_exif(main={0x010E: (ASCII, raw)}).caption == caption
    assert said_by_iptc((2, 120, raw)).caption == caption


def test_what_cameras_write_is_no_caption():
    words = "OLYMPUS DIGITAL CAMERA"

    assert said_by_exif(main={0x010E: (ASCII, words.encode() + b"         \0")}).caption == ""
    assert said_by_exif(exif={0x9286: (UNDEFINED, b"ASCII\0\0\0" + words.encode())}).caption == ""
    assert said_by_iptc((2, 120, words.encode())).caption == ""
    assert said_by_xmp(xmp(description={"x-default": words})).caption == ""
    assert said_by_exif(main={0x010E: (ASCII, b"My OLYMPUS DIGITAL CAMERA")}).caption == "My OLYMPUS DIGITAL CAMERA"


def test_captions_of_the_press_are_read():
    found = said_by_iptc(
        UTF8_MARKER,
        (2, 0, b"\0\4"),
        (2, 105, "Fadistas à noite".encode()),
        (2, 25, b"fado"),
        (2, 25, b"Mouraria "),
        (2, 25, b"fado"),
        (2, 120, "Fado na Mouraria,\r\nà noite".encode()),
    )

    assert found == PhotoMetadata(title="Fadistas à noite", caption="Fado na Mouraria,\nà noite", tags=("fado", "Mouraria"))


def test_an_object_name_is_the_title_before_a_headline():
    assert said_by_iptc((2, 105, b"Headline"), (2, 5, b"Object")).title == "Object"


def test_the_told_character_set_is_taken_even_where_another_would_fit():
    text = "Ã©"  # these bytes of Latin-1 are an é in UTF-8

    assert said_by_iptc((1, 90, b"\x1b.A"), (2, 120, text.encode("latin-1"))).caption == text
    assert said_by_iptc((2, 120, text.encode("latin-1"))).caption == "é"


def test_press_captions_are_found_among_other_resources_and_over_segments():
    first, second = iim((2, 25, b"one")), iim((2, 25, b"two"))
    named = photoshop(first, name=b"a name")
    assert read_metadata(with_segments(PLAIN, (0xED, named))).tags == ("one",)

    whole = photoshop(first + second)
    cut = len(whole) - 60
    pieces = [(0xED, whole[:cut]), (0xE2, b"another"), (0xED, b"Photoshop 3.0\0" + whole[cut:])]
    assert read_metadata(with_segments(PLAIN, *pieces)).tags == ("one", "two")


def test_an_extended_dataset_is_read():
    caption = b"long " * 10_000
    block = struct.pack(">BBBHI", 0x1C, 2, 120, 0x8004, len(caption)) + caption + iim((2, 25, b"after"))
    found = read_metadata(with_segments(PLAIN, (0xED, photoshop(block))))

    assert found.tags == ("after",)
    assert found.caption.startswith("long long")


def test_datasets_that_break_off_keep_those_before():
    block = iim((2, 25, b"kept"), (2, 120, b"never whole"))[:-4]
    found = read_metadata(with_segments(PLAIN, (0xED, photoshop(block))))

    assert found == PhotoMetadata(tags=("kept",), unread=("iptc",))


def test_exif_of_more_than_a_segment_is_put_together():
    block = tiff(main={0x010E: (ASCII, b"x" * 70_000), 0x0110: (ASCII, b"DC-S5")})
    segments = [(0xE1, b"Exif\0\0" + block[:65_000]), (0xE1, b"Exif\0\0" + block[65_000:])]

    assert read_metadata(with_segments(PLAIN, *segments)).camera == "DC-S5"


@pytest.mark.parametrize(
    ("texts", "chosen"),
    [
        ({"x-default": "Tram", "pt-PT": "Eléctrico"}, "Tram"),
        ({"pt-PT": "Eléctrico", "x-default": "Tram"}, "Tram"),
        ({"pt-PT": "Eléctrico", "en": "Tram"}, "Eléctrico"),
        ({"pt-PT": "Eléctrico", "x-default": " "}, "Eléctrico"),
        ({"x-default": "A < B & C"}, "A < B & C"),
    ],
)
def test_the_default_language_is_chosen(texts, chosen):
    found = said_by_xmp(xmp(texts, texts))

    assert (found.title, found.caption) == (chosen, chosen)


def test_a_packet_padded_with_zeros_is_read():
    assert said_by_xmp(xmp(subject=["tram"]) + bytes(3)).tags == ("tram",)


def test_only_title_description_and_subject_are_taken():
    assert said_by_xmp(xmp(subject=["tram"])) == PhotoMetadata(tags=("tram",))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_packets_in_utf16_are_read(encoding):
    packet = xmp(subject=["eléctrico"]).decode().replace("\ufeff", "")

    assert said_by_xmp(("\ufeff" * (encoding == "utf-16-be") + packet).encode(encoding)).tags == ("eléctrico",)


def test_notes_on_a_keyword_are_not_part_of_it():
    packet = xmp(subject=["tram"]).replace(b"tram</", b"tram<xmp:Label>blue</xmp:Label></")

    assert said_by_xmp(packet).tags == ("tram",)


def test_entities_are_refused_before_they_grow():
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = xmp(subject=["tram"], before=f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]>').replace(b"tram", b"&l9;")
    outside = xmp(subject=["tram"], before='<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>').replace(b"tram", b"&e;")

    assert said_by_xmp(bomb) == PhotoMetadata(unread=("xmp",))
    assert said_by_xmp(outside) == PhotoMetadata(unread=("xmp",))


@pytest.mark.parametrize(
    "packet", [b"<a><b></a>", b"no xml", xmp(subject=["tram"])[:-200], b"\xff\xfe<", xmp().replace(b"dc:", b"zz:")]
)
def test_a_damaged_packet_is_left_out_and_named(packet):
    assert said_by_xmp(packet) == PhotoMetadata(unread=("xmp",))


def test_each_field_comes_from_the_best_source_that_has_it():
    exif = tiff(main={0x010E: (ASCII, b"exif caption"), 0x9C9B: (BYTE, "exif title".encode("utf-16-le")), 0x0110: (ASCII, b"Q3")})
    press = photoshop(iim((2, 5, b"iptc title"), (2, 25, b"iptc tag")))
    packet = xmp(subject=["xmp tag"])
    segments = [(0xE1, b"Exif\0\0" + exif), (0xED, press), (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)]

    found = read_metadata(with_segments(PLAIN, *segments))

    assert found == PhotoMetadata(title="iptc title", caption="exif caption", tags=("xmp tag",), camera="Q3")


def test_xmp_goes_before_iptc_and_iptc_before_exif():
    windows = {0x9C9B: (BYTE, "exif".encode("utf-16-le")), 0x9C9E: (BYTE, "exif".encode("utf-16-le"))}
    exif = (0xE1, b"Exif\0\0" + tiff(main={0x010E: (ASCII, b"exif"), **windows}))
    press = (0xED, photoshop(iim((2, 5, b"iptc"), (2, 120, b"iptc"), (2, 25, b"iptc"))))
    packet = (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp({"x-default": "xmp"}, {"x-default": "xmp"}, ["xmp"]))

    for segments, source in (((exif,), "exif"), ((exif, press), "iptc"), ((press, packet, exif), "xmp")):
        assert read_metadata(with_segments(PLAIN, *segments)) == PhotoMetadata(source, source, (source,))


def test_damage_in_one_block_costs_nothing_of_the_others():
    segments = [(0xE1, b"Exif\0\0damaged"), (0xED, photoshop(iim((2, 25, b"tram")))), (0xE1, b"http://ns.adobe.com/xap/1.0/\0<a")]

    assert read_metadata(with_segments(PLAIN, *segments)) == PhotoMetadata(tags=("tram",), unread=("exif", "xmp"))


def test_texts_keep_the_limits_of_the_event():
    found = said_by_xmp(
        xmp(
            {"x-default": "t" * 2_000}, {"x-default": "c" * 20_000}, ["", "w" * 129, "v" * 128, *(f"tag {n}" for n in range(300))]
        )
    )

    assert found.title == "t" * MAX_TITLE_CHARS
    assert found.caption == "c" * MAX_CAPTION_CHARS
    assert found.tags[:2] == ("v" * 128, "tag 0")
    assert len(found.tags) == MAX_TAGS


def test_a_camera_keeps_the_limit_of_an_attribute():
    assert said_by_exif(main={0x0110: (ASCII, b"m" * 2_000)}).camera == "m" * MAX_ATTRIBUTE_VALUE_CHARS


def test_control_characters_go():
    assert said_by_iptc((2, 5, b"a\tb\nc\x00\x07d"), (2, 120, b"a\tb\nc\x00\x07d")) == PhotoMetadata(
        title="a b cd", caption="a\tb\ncd"
    )


FULL = with_segments(
    PLAIN,
    (0xE1, b"Exif\0\0" + tiff(main={0x010E: (ASCII, b"Tram on a hill"), 0x0110: (ASCII, b"Q3")}, exif={}, gps=gps())),
    (0xED, photoshop(iim(UTF8_MARKER, (2, 5, b"Tram"), (2, 25, b"one"), (2, 25, b"two")))),
    (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp({"x-default": "T"}, None, ["x"])),
)
HEAD = len(FULL) - len(PLAIN)
FILES = [
    FULL,
    encode(blocks(64, 48), "WEBP", exif=pillow_exif(), xmp=xmp(subject=["x"])),
    encode(blocks(64, 48), "PNG", exif=pillow_exif()),
]


@settings(deadline=None)
@given(st.sampled_from(FILES), st.lists(st.tuples(st.integers(0, HEAD + 20), st.integers(0, 255)), min_size=1, max_size=30))
def test_no_damage_raises(file, changes):
    damaged = bytearray(file)
    for at, value in changes:
        damaged[at % len(file)] = value

    found = read_metadata(bytes(damaged))

    assert len(found.tags) <= MAX_TAGS
    assert len(found.title) <= MAX_TITLE_CHARS


@settings(deadline=None)
@given(st.sampled_from(FILES), st.integers(0, 5_000))
def test_no_cut_raises(file, kept):
    found = read_metadata(file[:kept])

    assert kept < len(file) or found == read_metadata(file)


@settings(deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b""]))
def test_no_tiff_raises(body, header):
    found = read_metadata(with_segments(PLAIN, (0xE1, b"Exif\0\0" + header + body)))

    assert found.taken_at is None or found.taken_at.instant.tzinfo is UTC


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.integers(0, 255), st.binary(max_size=30)), max_size=12), st.binary(max_size=20)
)
def test_no_iptc_raises_and_what_follows_it_is_told(datasets, rest):
    found = read_metadata(with_segments(PLAIN, (0xED, photoshop(iim(*datasets) + b"?" + rest))))

    assert found.unread == ("iptc",)


@settings(deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=100).filter(lambda text: text.strip() == text)
)
def test_any_caption_survives_in_utf8(text):
    kept = text.replace("\ufeff", "").replace("\ufffd", "").strip()

    assert said_by_iptc(UTF8_MARKER, (2, 120, text.encode())).caption == kept
