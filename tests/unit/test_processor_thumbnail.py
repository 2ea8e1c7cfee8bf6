"""Thumbnails: by the photo's hash, whole or not at all, made once, where the page finds them."""

import io
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest
from miradouro.core.decode import decode
from miradouro.core.errors import ConfigurationError, Internal
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.fingerprint import GEOMETRY, sha256
from miradouro.core.pipeline import PhotoInProgress
from miradouro.core.thumbnail import FOLDER
from miradouro.processors.pipeline_file import parse_pipeline
from miradouro.processors.plugin import Context, Processor
from miradouro.query.thumbnail_cache import ThumbnailCache
from PIL import Image

from tests.ingest_fixture import LABEL_TABLE, open_ingest
from tests.photo_folder import write
from tests.pictures import jpeg
from tests.reading import READER

DATA = jpeg(400, 200)
HASH = sha256(DATA)
PHOTO = PhotoInProgress(
    PhotoEvent("e", EventKind.UPLOADED, "photos", "a", 1, data=DATA), (), DATA, decode(DATA, [GEOMETRY]), HASH
)


def step(folder: Path | None, options: str = "", *, is_rehearsal: bool = False) -> Processor:
    [parsed] = parse_pipeline(f"processors: [{{thumbnail: {{{options}}}}}]", source="x").steps
    nothing = object()
    context = Context(nothing, tuple, nothing, LABEL_TABLE, READER, thumbnails=folder, is_rehearsal=is_rehearsal)  # type: ignore[arg-type]  # not used
    return parsed.build(context)


def files(folder: Path) -> dict[str, tuple[str | None, tuple[int, int]]]:
    """Format and size in pixels of each file below the folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with Image.open(path) as image:
                found[path.relative_to(folder).as_posix()] = image.format, image.size
    return found


@pytest.mark.parametrize(("name", "suffix"), [("jpeg", "jpg"), ("webp", "webp"), ("png", "png")])
def test_every_size_is_written_under_the_photos_hash(tmp_path, name, suffix):
    assert step(tmp_path, f"sizes: [100, 1280], format: {name}")(PHOTO) == PHOTO
    assert files(tmp_path) == {
        f"{HASH[:2]}/{HASH}-100.{suffix}": (name.upper(), (100, 50)),
        f"{HASH[:2]}/{HASH}-1280.{suffix}": (name.upper(), (400, 200)),
    }


def test_thumbnails_are_served_and_made_only_once(tmp_path):
    step(tmp_path)(PHOTO)
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    found = ThumbnailCache(tmp_path).get(HASH, 320, lambda: b"made again")
    assert found == path.read_bytes()
    made = path.stat()
    step(tmp_path)(PHOTO)
    assert path.stat() == made
    path.write_bytes(b"")
    step(tmp_path)(PHOTO)
    assert path.read_bytes() == found


def test_thumbnails_go_to_any_fsspec_location():
    step(None, "folder: 'memory://small/pictures', sizes: [64]")(PHOTO)
    data = fsspec.filesystem("memory").cat_file(f"/small/pictures/{HASH[:2]}/{HASH}-64.jpg")
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (64, 32)


def test_a_rehearsal_writes_nothing(tmp_path):
    assert step(tmp_path, is_rehearsal=True)(PHOTO) == PHOTO
    assert step(None, is_rehearsal=True)(PHOTO) == PHOTO
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_fails_photos_unless_ignored(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Internal, match="can't be written: Not a directory; mend"):
        step(tmp_path / "file")(PHOTO)
    assert step(tmp_path / "file", "ignore_failure: true")(PHOTO).left_out == ("thumbnail",)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("sizes: []", "option sizes"),
        ("sizes: [5]", "sizes: 5; allowed: 16 to 4,096"),
        ("format: gif", "option format='gif'.*'jpeg', 'webp' or 'png'"),
        ("folder: 'nowhere://x'", "folder='nowhere://x'"),
        ("", "option folder: there is no data folder"),
    ],
)
def test_wrong_options_are_named(options, named):
    with pytest.raises(ConfigurationError, match=named):
        step(None, options)


def test_missing_inputs_are_named(tmp_path):
    for photo, wanted in ((replace(PHOTO, decoded=None), "decode"), (replace(PHOTO, sha256=""), "fingerprint")):
        with pytest.raises(ConfigurationError, match=wanted):
            step(tmp_path)(photo)


def test_in_a_pipeline_thumbnails_are_not_indexed(tmp_path):
    file = tmp_path / "pipeline.yaml"
    file.write_text(
        f"processors: [fetch, decode, fingerprint, {{thumbnail: {{folder: '{tmp_path / FOLDER}'}}}}, embed, tag, caption]"
    )
    with open_ingest(tmp_path / "ingest", pipeline=str(file)) as ingest:
        write(tmp_path / "photos/a.jpg", DATA)
        assert ingest.index_folder(tmp_path / "photos").indexed == 1
    assert list(files(tmp_path / FOLDER)) == [f"{HASH[:2]}/{HASH}-320.jpg"]
