"""The labelled photos that answers are judged by."""

import hashlib
import io
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
QUALITY = 85
LABELS = Path(__file__).parents[1] / "models" / "imagenet-1k.tsv"


@dataclass(frozen=True)
class Photo:
    """A photo of the folder; `same` are the ids of all byte-identical copies, itself among them."""

    photo_id: str
    path: Path
    same: frozenset[str]


def photos(folder: Path) -> list[Photo]:
    """Every photo below the folder, by id (its path relative to the folder)."""
    copies: dict[str, set[str]] = defaultdict(set)
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            digests[path] = hashlib.sha256(path.read_bytes()).hexdigest()
            copies[digests[path]].add(path.relative_to(folder).as_posix())
    return [Photo(path.relative_to(folder).as_posix(), path, frozenset(copies[digest])) for path, digest in digests.items()]


def resaved(photo: Photo) -> bytes:
    """The photo as a JPEG of quality 85."""
    with Image.open(photo.path) as image:
        return _jpeg(image.convert("RGB"), QUALITY)


def middle(photo: Photo) -> bytes:
    """The middle half of its width and height, as a JPEG of high quality."""
    with Image.open(photo.path) as image:
        width, height = image.size
        return _jpeg(image.convert("RGB").crop((width // 4, height // 4, width * 3 // 4, height * 3 // 4)), 95)


def _jpeg(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def labels() -> dict[str, str]:
    """WordNet id → label: the class of an id is its rank among the 1,000 sorted ones, the row of the published table."""
    rows = [line.split("\t") for line in LABELS.read_text(encoding="utf-8").splitlines()]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    return {wnid: label for wnid, label, *_ in rows}
