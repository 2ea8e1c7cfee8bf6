"""A collection follows its folder: what is new, changed or gone there, and nothing else."""

import os

import numpy as np
import pytest
from miradouro.core.codes import unit_vectors
from miradouro.core.errors import FailedPrecondition, InvalidArgument
from miradouro.runtime.call import Call
from miradouro.v1.ingest_service_pb2 import IndexFolderRequest
from PIL import Image

from tests.ingest_fixture import age
from tests.photo_folder import counts, write
from tests.pictures import blocks, encode, jpeg


def test_photos_are_indexed_once_and_found_unchanged_afterwards(ingest, folder):
    for name in ("b.jpg", "a.png", "deep/er/c.webp"):
        write(folder / name, encode(blocks(60, 40), {"jpg": "JPEG", "png": "PNG", "ebp": "WEBP"}[name[-3:]]))

    assert counts(ingest.index_folder(folder)) == (3, 0, 0, 0, 0)
    assert ingest.photos() == {"a.png": 1, "b.jpg": 1, "deep/er/c.webp": 1}
    ingest.networks.runs.clear()
    assert counts(ingest.index_folder(folder)) == (0, 3, 0, 0, 0)
    assert ingest.networks.runs == []


def test_a_document_describes_its_photo_completely(ingest, folder):
    path = write(folder / "a.jpg", jpeg(300, 200))
    ingest.index_folder(folder)
    found = ingest.index.get("photos", "a.jpg")

    assert (found.width, found.height, found.media_type) == (300, 200, "image/jpeg")
    assert found.uri == path.as_uri()
    assert len(found.sha256) == 64
    assert len(found.perceptual_hash) == 16
    assert found.caption_is_generated
    assert {tag.kind for tag in found.tags} == {"label", "parent"}
    for space in ingest.index.spaces("photos"):
        vectors = ingest.index.vector("photos", "a.jpg", space.name)
        assert vectors.shape == (space.vectors_per_photo, space.dimension)
        assert np.linalg.norm(unit_vectors(vectors, space), axis=1) == pytest.approx(1, abs=1e-3)


def test_a_changed_photo_gets_the_next_version(ingest, folder):
    path = write(folder / "a.jpg", jpeg(seed=1))
    ingest.index_folder(folder)
    write(path, jpeg(seed=2), seconds_ago=5)

    assert counts(ingest.index_folder(folder)) == (1, 0, 0, 0, 0)
    assert ingest.photos() == {"a.jpg": 2}


def test_a_touched_photo_is_read_only_once(ingest, folder):
    path = write(folder / "a.jpg", jpeg())
    ingest.index_folder(folder)
    before = next(ingest.index.origins("photos")).origin
    age(path)

    assert counts(ingest.index_folder(folder)) == (0, 1, 0, 0, 0)
    after = next(ingest.index.origins("photos")).origin
    assert before is not None
    assert after is not None
    assert after.mtime_ns == path.stat().st_mtime_ns != before.mtime_ns
    assert ingest.photos() == {"a.jpg": 1}


def test_recent_changes_of_equal_size_and_time_show(ingest, folder):
    path = folder / "a.bmp.png"
    path.write_bytes(encode(Image.new("RGB", (30, 30), (1, 2, 3)), "PNG", compress_level=0))
    status = path.stat()
    assert counts(ingest.index_folder(folder)) == (1, 0, 0, 0, 0)
    path.write_bytes(encode(Image.new("RGB", (30, 30), (9, 9, 9)), "PNG", compress_level=0))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size

    assert counts(ingest.index_folder(folder)) == (1, 0, 0, 0, 0)
    assert ingest.photos() == {"a.bmp.png": 2}


def test_a_deleted_photo_comes_back_with_newer_versions(ingest, folder):
    data = jpeg()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        write(folder / name, data)
    write(folder / "b.json", {"version": 5})
    ingest.index_folder(folder)
    (folder / "b.jpg").unlink()

    assert counts(ingest.index_folder(folder)) == (0, 2, 1, 1, 0)
    assert ingest.photos() == {"a.jpg": 1, "c.jpg": 1}
    assert counts(ingest.index_folder(folder)) == (0, 2, 0, 1, 0)
    write(folder / "b.jpg", data)
    assert counts(ingest.index_folder(folder)) == (1, 2, 0, 0, 0)
    assert ingest.photos() == {"a.jpg": 1, "b.jpg": 7, "c.jpg": 1}


def test_deletions_of_more_than_half_are_withheld(ingest, folder):
    for seed, name in enumerate("abcd"):
        write(folder / f"{name}.jpg", jpeg(seed=seed))
    ingest.index_folder(folder)
    for name in "ab":
        (folder / f"{name}.jpg").unlink()
    assert counts(ingest.index_folder(folder)) == (0, 2, 2, 0, 0)
    for name in "cd":
        (folder / f"{name}.jpg").unlink()
    write(folder / "e.jpg", jpeg(seed=9))

    report = ingest.index_folder(folder)
    assert (counts(report), report.withheld) == ((1, 0, 0, 0, 0), 2)
    assert ingest.photos() == {"c.jpg": 1, "d.jpg": 1, "e.jpg": 1}
    report = ingest.index_folder(folder, prune=True)
    assert (counts(report), report.withheld) == ((0, 1, 2, 0, 0), 0)
    assert ingest.photos() == {"e.jpg": 1}


def test_a_missing_root_needs_prune(ingest, folder):
    path = write(folder / "a.jpg", jpeg())
    ingest.index_folder(folder)
    path.unlink()
    folder.rmdir()

    with pytest.raises(FailedPrecondition, match=r"missing.*--prune"):
        ingest.index_folder(folder)
    assert ingest.photos() == {"a.jpg": 1}
    assert counts(ingest.index_folder(folder, prune=True)) == (0, 0, 1, 0, 0)


def test_a_folder_that_never_existed_makes_no_collection(ingest, tmp_path):
    for prune in (False, True):
        with pytest.raises(InvalidArgument, match="no folder"):
            ingest.index_folder(tmp_path / "nowhere", prune=prune)
    assert list(ingest.index.stats()) == []


@pytest.mark.parametrize("path", ["", "photos", "./photos", "/a\0b"])
def test_a_path_that_is_not_absolute_is_refused(ingest, path):
    with pytest.raises(InvalidArgument, match="path"):
        list(ingest.service.IndexFolder(IndexFolderRequest(path=path), Call()))


def test_a_file_as_folder_is_refused(ingest, folder):
    with pytest.raises(InvalidArgument, match="no folder"):
        ingest.index_folder(write(folder / "a.jpg", jpeg()))


def test_another_root_is_refused_with_a_suggestion(ingest, folder, tmp_path):
    write(folder / "sub/a.jpg", jpeg())
    ingest.index_folder(folder)
    for other in (folder / "sub", tmp_path, folder.parent / "other"):
        other.mkdir(exist_ok=True)
        with pytest.raises(FailedPrecondition, match="--collection"):
            ingest.index_folder(other)

    assert counts(ingest.index_folder(folder / "sub", collection="sub")) == (1, 0, 0, 0, 0)


def test_a_root_may_have_another_name(ingest, folder, tmp_path):
    write(folder / "a.jpg", jpeg())
    ingest.index_folder(folder)
    (tmp_path / "link").symlink_to(folder)

    assert counts(ingest.index_folder(tmp_path / "link")) == (0, 1, 0, 0, 0)
    assert counts(ingest.index_folder(folder / ".." / "photos")) == (0, 1, 0, 0, 0)
