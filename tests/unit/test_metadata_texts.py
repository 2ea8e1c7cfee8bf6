"""Captions and keywords are read from IPTC and XMP, within the limits of the event."""

import struct

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from miradouro.core.event import MAX_CAPTION_CHARS, MAX_TAGS, MAX_TITLE_CHARS
from miradouro.core.metadata import PhotoMetadata, read_metadata
from miradouro.core.metadata.camera_words import human

from tests.metadata_blocks import (
    ASCII,
    PLAIN,
    UNDEFINED,
    UTF8_MARKER,
    iim,
    photoshop,
    said_by_exif,
    said_by_iptc,
    said_by_xmp,
    with_segments,
    xmp,
)


@pytest.mark.parametrize(
    ("raw", "caption"), [("Eléctrico".encode(), "Eléctrico"), ("“Eléctrico”".encode("cp1252"), "“Eléctrico”"), (b"a\x81b", "ab")]
)
def test_texts_of_untold_encoding_are_utf8_or_windows(raw, caption):
    assert said_by_exif(main={0x010E: (ASCII, raw)}).caption == caption
    assert said_by_iptc((2, 120, raw)).caption == caption


def test_camera_texts_are_no_captions():
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


def test_an_object_name_precedes_a_headline_as_title():
    assert said_by_iptc((2, 105, b"Headline"), (2, 5, b"Object")).title == "Object"


def test_the_declared_character_set_is_used():
    text = "Ã©"  # these bytes of Latin-1 are an é in UTF-8

    assert said_by_iptc((1, 90, b"\x1b.A"), (2, 120, text.encode("latin-1"))).caption == text
    assert said_by_iptc((2, 120, text.encode("latin-1"))).caption == "é"


def test_press_captions_are_found_across_resources_and_segments():
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


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_packets_in_utf16_are_read(encoding):
    packet = xmp(subject=["eléctrico"]).decode().replace("\ufeff", "")

    assert said_by_xmp(("\ufeff" * (encoding == "utf-16-be") + packet).encode(encoding)).tags == ("eléctrico",)


def test_notes_on_a_keyword_are_left_out():
    packet = xmp(subject=["tram"]).replace(b"tram</", b"tram<xmp:Label>blue</xmp:Label></")

    assert said_by_xmp(packet).tags == ("tram",)


def test_entities_are_refused_before_they_grow():
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = xmp(subject=["tram"], before=f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]>').replace(b"tram", b"&l9;")
    outside = xmp(subject=["tram"], before='<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>').replace(b"tram", b"&e;")

    assert said_by_xmp(bomb) == PhotoMetadata(unread=("xmp",))
    assert said_by_xmp(outside) == PhotoMetadata(unread=("xmp",))


@pytest.mark.parametrize(
    "packet", [b"<a><b></a>", b"no xml", b"<x:xmpmeta", b"\xff\xfe<", xmp().replace(b"<rdf:Description", b"<rdf:Nothing")[:-20]]
)
def test_a_packet_without_properties_is_named(packet):
    assert said_by_xmp(packet) == PhotoMetadata(unread=("xmp",))


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


def test_control_characters_go():
    assert said_by_iptc((2, 5, b"a\tb\nc\x00\x07d"), (2, 120, b"a\tb\nc\x00\x07d")) == PhotoMetadata(
        title="a b cd", caption="a\tb\ncd"
    )


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.integers(0, 255), st.binary(max_size=30)), max_size=12), st.binary(max_size=20)
)
def test_no_iptc_raises_and_the_rest_is_named(datasets, rest):
    found = read_metadata(with_segments(PLAIN, (0xED, photoshop(iim(*datasets) + b"?" + rest))))

    assert found.unread in {("iptc",), ("iptc", "iptc.taken_at")}


@settings(deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=100).filter(lambda text: text.strip() == text)
)
def test_any_caption_not_from_a_camera_survives(text):
    kept = text.replace("\ufeff", "").replace("\ufffd", "").strip()
    assume(human(kept) == kept)  # hypothesis knows the cameras' words: it reads the code

    assert said_by_iptc(UTF8_MARKER, (2, 120, text.encode())).caption == kept
