"""Answers as one self-contained HTML page: pictures are embedded, there are no scripts, every text is escaped."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from miradouro.core.document import Tag
from miradouro.core.ports import PhotoReader
from miradouro.core.spaces import Fit, Geometry, Resample

THUMBNAIL_PIXELS = 320
THUMBNAIL_QUALITY = 82
TAGS_PER_HIT = 3

_THUMBNAIL = Geometry(Fit.SHORT_SIDE_CENTER_CROP, THUMBNAIL_PIXELS, THUMBNAIL_PIXELS, THUMBNAIL_PIXELS, Resample.BICUBIC)


@dataclass(frozen=True)
class Picture:
    """A hit as the page shows it. `likeness` is 0 to 1, the length of its bar; `measure` the number beside it."""

    photo_id: str
    thumbnail: str
    caption: str
    likeness: float
    measure: str
    tags: tuple[Tag, ...]


@dataclass(frozen=True)
class Answer:
    """One question and its hits. `command` is the same search on the command line; `asked_with` is a thumbnail or ""."""

    kind: str
    question: str
    command: str
    asked_with: str
    summary: str
    hits: tuple[Picture, ...]


@dataclass(frozen=True)
class Credit:
    """Who made a sample photo, under which licence, and which package carries it."""

    photo_id: str
    author: str
    license: str
    package: str


def thumbnail(data: bytes, reader: PhotoReader) -> str:
    """The middle square of an encoded photo as a `data:` URI of a JPEG, 320 x 320 pixels. Raises BadPhoto."""
    pixels = reader.decode(data, [_THUMBNAIL]).tensors[_THUMBNAIL]
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=THUMBNAIL_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def render(
    *, folder: str, photos: int, seconds: float, answers: Sequence[Answer], wall: Sequence[Picture], thanks: Sequence[Credit]
) -> str:
    """The page. `wall` are photos of the collection, `seconds` is the time of indexing; `thanks` credits the makers, if any."""
    environment = Environment(
        loader=PackageLoader("miradouro.standalone.demo", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("contact_sheet.html.j2")
    return page.render(
        folder=folder,
        photos=photos,
        seconds=seconds,
        answers=answers,
        wall=wall,
        credits=thanks,
        tags_per_hit=TAGS_PER_HIT,
    )
