"""Is a photo found as a part of another? Collages of two by two, asked for by each of the photos in them."""

import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from miradouro.v1 import photo_event_pb2
from miradouro.v1 import search_service_pb2 as wire
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub
from PIL import Image

from evaluation.doors import ANSWER_S, command, example, search_by_command, up
from evaluation.goals import Check, share
from evaluation.photos import Photo

SEED = 20_240_501
CELL = 256  # pixels
QUALITY = 90
QUADRANTS = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5))
REGIONS = "vgg16-conv/pool5/regions"
WHOLE_PHOTO = ("vgg16-conv/pool5/max", "efficientnet-lite0/features", "efficientnet-lite0/look")
TOP = 5
ALL = 1_000  # the largest page: every photo there is
BESIDE = ("food", "imagenet")
WHOLE = photo_event_pb2.Region(x=0, y=0, width=1, height=1)
SAMPLE = 3  # questions that go through the command line too


@dataclass(frozen=True)
class Piece:
    """A photo, the id of the one collage that holds it, and the corner of its quadrant there."""

    photo: Photo
    collage: str
    corner: tuple[float, float]


def collages(photos: Sequence[Photo], folder: Path, work: Path) -> Iterator[Check]:
    """Asks with each of the photos below objects/ for its collage, by region and, to compare, as a whole photo."""
    root, data = work / "collage-photos", work / "collage-data"
    for place in (root, data):
        shutil.rmtree(place, ignore_errors=True)
    pieces = _make([photo for photo in photos if photo.photo_id.startswith("objects/")], root / "collages")
    for name in BESIDE:
        if (folder / name).is_dir():
            shutil.copytree(folder / name, root / name)
    command("index", str(root), "--data", str(data), MIRADOURO_SPACES=",".join((REGIONS, *WHOLE_PHOTO)))
    with up(data) as stub:
        yield from _by_region(stub, pieces, data)


def _by_region(stub: SearchServiceStub, pieces: Sequence[Piece], data: Path) -> Iterator[Check]:
    first, found, placed = 0, 0, 0
    missed, misplaced = [], []
    for piece in pieces:
        query = wire.ExampleQuery(data=piece.photo.path.read_bytes(), region=WHOLE)
        hits = {hit.photo_id: hit for hit in stub.Search(wire.SearchRequest(photo=query, limit=ALL), timeout=ANSWER_S).hits}
        top = list(hits)[:TOP]
        first += top[0] == piece.collage
        found += piece.collage in top
        if piece.collage not in top:
            missed.append(f"{piece.photo.photo_id} in {piece.collage}: {top}")
        box = hits[piece.collage].region
        if _is_inside(box.x + box.width / 2, box.y + box.height / 2, piece.corner):
            placed += 1
        else:
            misplaced.append(
                f"{piece.photo.photo_id} at {piece.corner}: {box.x:.2f},{box.y:.2f},{box.width:.2f},{box.height:.2f}"
            )
    yield share(f"a photo finds its collage in the top {TOP}", found, len(pieces), goal=0.92, misses=missed)
    yield share("the box in its collage has its centre in its quadrant", placed, len(pieces), goal=0.97, misses=misplaced)
    at_first = first / len(pieces) if pieces else 0.0
    yield Check("a photo finds its collage first", at_first, ">=", 0.75)
    for space in WHOLE_PHOTO:
        as_whole = sum(
            example(stub, piece.photo.path.read_bytes(), space=space, limit=1)[0].photo_id == piece.collage for piece in pieces
        ) / max(1, len(pieces))
        name = f"its collage is first {at_first:.3f} by region, {as_whole:.3f} in {space}: difference"
        yield Check(name, at_first - as_whole, ">=", 0.25)
    wrong = []
    for piece in pieces[:: max(1, len(pieces) // SAMPLE)][:SAMPLE]:
        asked = wire.SearchRequest(photo=wire.ExampleQuery(data=piece.photo.path.read_bytes(), region=WHOLE), limit=TOP)
        by_grpc = [hit.photo_id for hit in stub.Search(asked, timeout=ANSWER_S).hits]
        words = ("--photo", str(piece.photo.path), "--region", "0,0,1,1")
        by_command = [hit["photo_id"] for hit in search_by_command(data, *words, limit=TOP)]
        if by_grpc != by_command:
            wrong.append(f"{piece.photo.photo_id}: {by_grpc} over gRPC, {by_command} by the command")
    yield share("the command answers a region as gRPC does", SAMPLE - len(wrong), SAMPLE, goal=1, misses=wrong)


def _make(photos: Sequence[Photo], folder: Path) -> list[Piece]:
    """Writes collages of four photos each, every photo in one; those that make no whole collage are left out."""
    folder.mkdir(parents=True)
    shuffled = sorted(photos, key=lambda photo: photo.photo_id)
    random.Random(SEED).shuffle(shuffled)  # the same collages every time
    pieces = []
    for number in range(len(shuffled) // 4):
        name = f"{number:03}.jpg"
        picture = Image.new("RGB", (2 * CELL, 2 * CELL))
        for photo, (x, y) in zip(shuffled[4 * number : 4 * number + 4], QUADRANTS, strict=True):
            with Image.open(photo.path) as image:
                cell = image.convert("RGB").resize((CELL, CELL), Image.Resampling.BICUBIC)
            picture.paste(cell, (int(2 * CELL * x), int(2 * CELL * y)))
            pieces.append(Piece(photo, f"collages/{name}", (x, y)))
        picture.save(folder / name, quality=QUALITY)
    return pieces


def _is_inside(x: float, y: float, corner: tuple[float, float]) -> bool:
    left, top = corner
    return left < x < left + 0.5 and top < y < top + 0.5
