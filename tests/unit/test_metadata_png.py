"""What programs hide in the texts of a PNG is read, and the comment of a JPEG."""

import zlib

import pytest
from miradouro.core.metadata import PhotoMetadata, read_metadata

from tests.metadata_blocks import ASCII, PLAIN, iim, packet, photoshop, raw_profile, tiff, with_chunks, with_segments
from tests.pictures import blocks, encode

PNG = encode(blocks(64, 48), "PNG")
EXIF = tiff(main={0x0110: (ASCII, b"DC-S5")})
PRESS = photoshop(iim((2, 25, b"tram"))).removeprefix(b"Photoshop 3.0\0")
WORDS = packet("<dc:title>Tram</dc:title>")


def text_chunk(kind: bytes, keyword: bytes, text: bytes) -> tuple[bytes, bytes]:
    if kind == b"tEXt":
        return kind, keyword + b"\0" + text
    if kind == b"zTXt":
        return kind, keyword + b"\0\0" + zlib.compress(text)
    return b"iTXt", keyword + b"\0\1\0en\0\0" + zlib.compress(text)


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        (b"exif", EXIF, PhotoMetadata(camera="DC-S5")),
        (b"exif", b"Exif\0\0" + EXIF, PhotoMetadata(camera="DC-S5")),
        (b"APP1", b"Exif\0\0" + EXIF, PhotoMetadata(camera="DC-S5")),
        (b"APP1", b"http://ns.adobe.com/xap/1.0/\0" + WORDS, PhotoMetadata(title="Tram")),
        (b"xmp", WORDS, PhotoMetadata(title="Tram")),
        (b"iptc", PRESS, PhotoMetadata(tags=("tram",))),
        (b"8bim", PRESS, PhotoMetadata(tags=("tram",))),
        (b"iptc", iim((2, 25, b"tram")), PhotoMetadata(tags=("tram",))),
        (b"icc", b"not a profile of words", PhotoMetadata()),
    ],
)
def test_raw_profiles_are_read(kind, name, body, expected):
    chunk = text_chunk(kind, b"Raw profile type " + name, raw_profile(name, body))

    assert read_metadata(with_chunks(PNG, chunk)) == expected


@pytest.mark.parametrize("body", [b"", b"\nexif\n", b"\nexif\n 4\nzz", b"\nexif\n 4\n494", b"\nexif\n 4\n\xff\xff"])
def test_a_raw_profile_that_is_none_is_named(body):
    chunk = text_chunk(b"tEXt", b"Raw profile type exif", body)

    assert read_metadata(with_chunks(PNG, chunk)) == PhotoMetadata(unread=("exif",))


def test_a_damaged_digit_costs_itself_alone():
    body = raw_profile(b"exif", EXIF).replace(b"C-S5".hex().encode(), b"?32d53359")
    chunk = text_chunk(b"tEXt", b"Raw profile type exif", body)

    assert read_metadata(with_chunks(PNG, chunk)).camera == "D-S5"


def test_the_exif_chunk_goes_before_the_profile():
    profile = text_chunk(b"zTXt", b"Raw profile type exif", raw_profile(b"exif", tiff(main={0x0110: (ASCII, b"Old")})))

    for chunks in ([(b"eXIf", EXIF), profile], [profile, (b"eXIf", EXIF)]):
        assert read_metadata(with_chunks(PNG, *chunks)).camera == "DC-S5"


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
def test_titles_and_descriptions_are_read(kind):
    chunks = [
        text_chunk(kind, b"Title", "Eléctrico".encode()),
        text_chunk(kind, b"Comment", b"A comment"),
        text_chunk(kind, b"Description", "Nas colinas".encode("latin-1")),
        text_chunk(kind, b"Software", b"Program"),
        text_chunk(kind, b"prompt", b'{"1": "a cat"}'),
    ]

    assert read_metadata(with_chunks(PNG, *chunks)) == PhotoMetadata(title="Eléctrico", caption="Nas colinas")
    assert read_metadata(with_chunks(PNG, *chunks[:2])).caption == "A comment"


def test_texts_after_the_pixels_are_read():
    late = with_chunks(PNG[:-12], (b"tEXt", b"juNk\0"))  # without its end
    chunk = with_chunks(bytes(33), text_chunk(b"tEXt", b"Title", b"Tram"))[33:]

    assert read_metadata(late + chunk + PNG[-12:]).title == "Tram"


def test_a_corrupt_text_costs_only_itself():
    chunks = [(b"zTXt", b"Title\0\0not compressed"), text_chunk(b"tEXt", b"Description", b"Tram"), (b"iTXt", b"Comment\0\0\0en")]
    found = read_metadata(with_chunks(PNG, *chunks))

    assert found == PhotoMetadata(caption="Tram", unread=("png.title", "png.comment"))


@pytest.mark.parametrize("comment", [b"A tram on a hill", b"A tram on a hill\0", b"  A tram on a hill\r\n"])
def test_the_jpeg_comment_is_the_last_caption(comment):
    described = (0xE1, b"Exif\0\0" + tiff(main={0x010E: (ASCII, b"Described")}))

    assert read_metadata(with_segments(PLAIN, (0xFE, comment))) == PhotoMetadata(caption="A tram on a hill")
    assert read_metadata(with_segments(PLAIN, (0xFE, comment), described)).caption == "Described"


def test_marks_of_programs_are_no_comment():
    marks = [b"CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 90\n", b"Lavc58.54.100", b"Created with GIMP"]
    assert {read_metadata(with_segments(PLAIN, (0xFE, mark))).caption for mark in marks} == {""}
