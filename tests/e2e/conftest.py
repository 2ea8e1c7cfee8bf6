"""A folder of pictures with sidecars, and an index of it."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.command import run
from tests.pictures import jpeg

SIDECARS = {
    "beach/ana.json": {
        "caption": "Waves at the red lighthouse",
        "title": "Morning",
        "tags": ["lighthouse", "Golden Hour"],
        "owner": "Ana",
        "attributes": {"rating": "5"},
        "place": {"lat": 38.7, "lon": -9.4},
        "taken_at": "2024-05-01T00:30:00+01:00",
    },
    "beach/rui.json": {"caption": "A quiet street in Graça", "tags": ["street"], "owner": "Rui"},
}
PHOTOS = ("beach/ana.jpg", "beach/rui.jpg", "city/a b.jpg", "city/ção.jpg", "one.jpg", "two.jpg")


@dataclass(frozen=True)
class Indexed:
    """A folder of pictures, the data folder of its index, and what `miradouro index --json` printed."""

    photos: Path
    data: Path
    report: dict


def make_photos(folder: Path, names=PHOTOS, *, first_seed: int = 0) -> Path:
    """Pictures of these names, each different."""
    for seed, name in enumerate(names, first_seed):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(240, 200, seed=seed, quality=90))
    return folder


@pytest.fixture(scope="session")
def indexed(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    """Six photos, two with sidecars, a file that is none and one that only claims to be one. Read it, change nothing."""
    assert models_dir.is_dir()
    place = tmp_path_factory.mktemp("indexed")
    photos = make_photos(place / "photos")
    for name, sidecar in SIDECARS.items():
        (photos / name).write_text(json.dumps(sidecar))
    (photos / "notes.txt").write_text("not a photo")
    (photos / "broken.jpg").write_bytes(b"not a photo either")
    done = run("index", photos, "--data", place / "data", "--json")
    return Indexed(photos, place / "data", done.json)
