"""The page of the demonstration: self-contained, and safe whatever photos and captions hold."""

import base64
import io
from html.parser import HTMLParser

import pytest
from miradouro.core.document import Tag, TagKind
from miradouro.core.errors import BadPhoto
from miradouro.standalone.demo.contact_sheet import Answer, Credit, Picture, render, thumbnail
from PIL import Image

from tests.pictures import blocks, jpeg
from tests.reading import READER

HOSTILE = """<script>alert(1)</script>" onerror='alert(2)' {{ 7 * 7 }} &amp; javascript:alert(3)"""


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def sheet(words: str = "a cat", *, hits: int = 1, photos: int = 1) -> str:
    picture = Picture(words, thumbnail(jpeg(), READER), words, 0.5, "distance 1.00", (Tag(words, 0.61, TagKind.LABEL),))
    answer = Answer(words, words, words, thumbnail(jpeg(), READER), words, (picture,) * hits)
    return render(
        folder=words, photos=photos, seconds=1.25, answers=[answer], wall=[picture], thanks=[Credit(words, words, words, words)]
    )


def test_a_page_is_self_contained_without_scripts() -> None:
    page = Page(sheet())
    attributes = [pair for _, pairs in page.elements for pair in pairs.items()]
    sources = [value for name, value in attributes if name in {"src", "href", "srcset"}]
    assert len(sources) == 3
    assert all(source and source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "script" not in {tag for tag, _ in page.elements}
    policies = [pairs["content"] for _, pairs in page.elements if pairs.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_names_captions_and_tags_are_escaped() -> None:
    harmless, hostile = Page(sheet("a cat")), Page(sheet(HOSTILE))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in harmless.elements]
    assert [sorted(pairs) for _, pairs in hostile.elements] == [sorted(pairs) for _, pairs in harmless.elements]
    assert HOSTILE in hostile.text


def test_a_question_without_hits_is_marked() -> None:
    assert "No photo answers this question." in Page(sheet(hits=0)).text
    assert "No photo answers this question." not in Page(sheet(hits=1)).text


@pytest.mark.parametrize(("photos", "words"), [(1, "1 photo from"), (0, "0 photos from"), (12, "12 photos from")])
def test_photos_are_counted_in_words(photos: int, words: str) -> None:
    assert words in Page(sheet(photos=photos)).text


@pytest.mark.parametrize("size", [(640, 200), (200, 640), (40, 40)])
def test_a_thumbnail_is_the_middle_square(size: tuple[int, int]) -> None:
    pixels = blocks(*size, seed=3, cell=20)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    scheme, _, encoded = thumbnail(buffer.getvalue(), READER).partition(",")
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    assert scheme == "data:image/jpeg;base64"
    assert (image.format, image.size) == ("JPEG", (320, 320))
    middle = pixels[size[1] // 2 + 5, size[0] // 2 + 5].astype(int)
    at = 160 + round(5 * 320 / min(size))
    assert abs(middle - image.convert("RGB").getpixel((at, at))).max() < 40


def test_a_bad_photo_has_no_thumbnail() -> None:
    with pytest.raises(BadPhoto, match="no picture format"):
        thumbnail(b"hello", READER)
