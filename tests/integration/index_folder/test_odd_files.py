"""Every kind of file has its answer, and the rest of the folder is indexed."""

import hashlib
import os
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from miradouro.core.errors import InvalidArgument
from miradouro.v1.ingest_service_pb2 import FolderReport
from PIL import Image

from tests.ingest_fixture import not_root, open_ingest
from tests.photo_folder import counts, reasons, write
from tests.pictures import blocks, encode, jpeg, png_that_claims
from tests.waiting import WAIT_S

BAD = {
    "text.jpg": (b"no picture at all", "not_a_photo"),
    "empty.jpg": (b"", "empty"),
    "cut.jpg": (jpeg(400, 300)[:2_000], "truncated"),
    "dot.png": (encode(Image.new("RGB", (1, 1)), "PNG"), "too_small"),
    "bomb.png": (png_that_claims(20_000, 10_000), "too_many_pixels"),
    "moving.gif": (encode(blocks(30, 30), "GIF"), "unsupported_format"),
    "scan": (encode(blocks(30, 30), "TIFF"), "unsupported_format"),
}
GOOD = {
    "cmyk.jpg": encode(blocks(60, 40), "JPEG", "CMYK"),
    "deep.png": encode(np.full((40, 60), 40_000, np.uint16), "PNG"),
    "palette.png": encode(blocks(60, 40), "PNG", "P"),
    "moving.webp": encode(Image.new("RGB", (60, 40)), "WEBP", save_all=True, append_images=[Image.new("RGB", (60, 40), "red")]),
    "really a jpeg.png": jpeg(),
    "jpeg.txt": jpeg(),
    "no extension": jpeg(),
    "with space.jpg": jpeg(),
    "Graça ☂.jpg": jpeg(),
    "two\nlines.jpg": jpeg(),
    'quote" and \\ and %41.jpg': jpeg(),
    "CASE.jpg": jpeg(),
    "case.jpg": jpeg(),
}
IGNORED = {"notes.txt": b"words", "data.json": b"{}", ".hidden.jpg": jpeg(), ".thumbs/x.jpg": jpeg(), "film.mp4": bytes(99)}


def test_every_odd_file_is_reported_and_others_indexed(ingest, folder):
    for name, (data, _) in BAD.items():
        write(folder / name, data)
    for name, data in (GOOD | IGNORED).items():
        write(folder / name, data)
    report = ingest.index_folder(folder)

    assert set(ingest.photos()) == set(GOOD)
    assert set(reasons(report)) == set(BAD)
    assert {name: failure.reason for name, failure in ingest.failures().items()} == {name: why for name, (_, why) in BAD.items()}
    assert counts(report) == (len(GOOD), 0, 0, 4, len(BAD))
    for name in GOOD:
        uri = ingest.index.get("photos", name).uri
        assert uri == (folder / name).as_uri()
    assert counts(ingest.index_folder(folder)) == (0, len(GOOD), 0, 4, len(BAD))


def test_names_that_are_not_utf8_get_distinct_ids(ingest, folder):
    raw = os.fsencode(folder)
    names = [b"caf\xe9.jpg", b"caf\xc3\xa9.jpg", b"caf%E9.jpg", "caf\N{REPLACEMENT CHARACTER}E9.jpg".encode()]
    for name in names:
        path = Path(os.fsdecode(raw + b"/" + name))
        write(path, jpeg())
        write(Path(os.fsdecode(raw + b"/" + name[:-4] + b".json")), {"caption": name.decode(errors="replace")})
    report = ingest.index_folder(folder)

    assert counts(report) == (4, 0, 0, 0, 0)
    assert "caf\N{REPLACEMENT CHARACTER}E9.jpg" in ingest.photos()
    uris = {ingest.index.get("photos", photo_id).uri for photo_id in ingest.photos()}
    assert {uri.rpartition("/")[2] for uri in uris} == {"caf%E9.jpg", "caf%C3%A9.jpg", "caf%25E9.jpg", "caf%EF%BF%BDE9.jpg"}
    assert counts(ingest.index_folder(folder)) == (0, 4, 0, 0, 0)


def test_links_are_followed_but_never_in_circles(ingest, folder, tmp_path):
    write(tmp_path / "elsewhere/a.jpg", jpeg())
    (folder / "there").symlink_to(tmp_path / "elsewhere")
    (folder / "there" / "back").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    (folder / "nowhere.jpg").symlink_to(tmp_path / "gone.jpg")
    report = ingest.index_folder(folder)

    assert ingest.photos() == {"there/a.jpg": 1}
    assert list(reasons(report)) == ["nowhere.jpg"]
    assert ingest.failures()["nowhere.jpg"].reason == "unreadable"


def test_a_pipe_is_not_waited_for(ingest, folder):
    os.mkfifo(folder / "pipe.jpg")
    os.mkfifo(folder / "pipe")
    write(folder / "z.jpg", jpeg())
    report = ingest.index_folder(folder)

    assert counts(report) == (1, 0, 0, 1, 1)
    assert "regular file" in reasons(report)["pipe.jpg"]


def test_unreadable_entries_are_reported_and_keep_their_photos():
    with tempfile.TemporaryDirectory() as place:
        root, photos = Path(place), Path(place) / "photos"
        for path in (root, photos):
            path.mkdir(exist_ok=True)
            path.chmod(0o777)
        with open_ingest(root / "warm") as ingest:  # imports every module while it may be read
            write(root / "one" / "a.jpg", jpeg())
            assert counts(ingest.index_folder(root / "one")) == (1, 0, 0, 0, 0)
        with not_root(), open_ingest(root / "ingest") as ingest:
            for name in ("closed/a.jpg", "closed/deep/b.jpg", "closed.jpg", "open.jpg", "closedx/c.jpg", "closed photo"):
                write(photos / name, jpeg())
            assert counts(ingest.index_folder(photos)) == (6, 0, 0, 0, 0)
            write(photos / "closed.jpg", jpeg(seed=5), seconds_ago=5)
            (photos / "closed.jpg").chmod(0)
            (photos / "closed photo").chmod(0)
            (photos / "closed").chmod(0)
            report = ingest.index_folder(photos)
            (photos / "closed").chmod(0o700)
            (photos / "closed.jpg").chmod(0o600)
            (photos / "closed photo").chmod(0o600)

            assert counts(report) == (0, 2, 0, 0, 3)
            assert set(reasons(report)) == {"closed/", "closed.jpg", "closed photo"}
            assert set(ingest.failures()) == {"closed.jpg", "closed photo"}
            assert len(ingest.photos()) == 6
            assert counts(ingest.index_folder(photos)) == (1, 5, 0, 0, 0)
            assert ingest.failures() == {}


def test_a_photo_vanishing_during_a_run_is_reported(tmp_path, folder):
    with open_ingest(tmp_path / "ingest", ingest_workers=1) as ingest:
        for name in "ab":
            write(folder / f"{name}.jpg", jpeg())
        reports: list[FolderReport] = []
        with ingest.networks.closed():
            run = threading.Thread(target=lambda: reports.append(ingest.index_folder(folder)))
            run.start()
            assert ingest.networks.arrived.wait(WAIT_S)  # the one worker embeds a.jpg, b.jpg is listed and waits
            (folder / "b.jpg").unlink()
        run.join(WAIT_S)

        assert counts(reports[0]) == (1, 0, 0, 0, 1)
        assert "b.jpg" in reasons(reports[0])
        assert counts(ingest.index_folder(folder)) == (0, 1, 0, 0, 0)
        assert ingest.failures() == {}


def test_a_photo_changing_during_a_run_is_consistent(tmp_path, folder):
    """Listed as it was, read as it is: what is stored are the bytes that were looked at, whole, and the next run sees to it."""
    with open_ingest(tmp_path / "ingest", ingest_workers=1) as ingest:
        for name in "ab":
            write(folder / f"{name}.jpg", jpeg())
        reports: list[FolderReport] = []
        with ingest.networks.closed():
            run = threading.Thread(target=lambda: reports.append(ingest.index_folder(folder)))
            run.start()
            assert ingest.networks.arrived.wait(WAIT_S)  # the one worker embeds a.jpg, b.jpg is listed and waits
            write(folder / "b.jpg", jpeg(300, 200, seed=7), seconds_ago=5)
        run.join(WAIT_S)

        assert counts(reports[0]) == (2, 0, 0, 0, 0)
        stored = ingest.index.get("photos", "b.jpg")
        assert (stored.width, stored.height) == (300, 200)
        assert stored.sha256 == hashlib.sha256((folder / "b.jpg").read_bytes()).hexdigest()
        assert counts(ingest.index_folder(folder)) == (0, 2, 0, 0, 0)
        assert ingest.photos() == {"a.jpg": 1, "b.jpg": 1}


def test_the_data_folder_among_the_photos_is_excluded(tmp_path):
    with open_ingest(tmp_path / "photos" / "ingest") as ingest:
        write(tmp_path / "photos/a.jpg", jpeg())
        write(ingest.data / "thumbnail.jpg", jpeg())
        ingest.index_folder(tmp_path / "photos")

        assert list(ingest.photos()) == ["a.jpg"]


def test_a_photo_that_became_something_else_is_deleted(ingest, folder):
    write(folder / "a", jpeg())
    write(folder / "b.jpg", jpeg())
    ingest.index_folder(folder)
    write(folder / "a", b"now a text", seconds_ago=5)

    assert counts(ingest.index_folder(folder)) == (0, 1, 1, 1, 0)


def test_a_deleted_failed_photo_is_no_longer_listed(ingest, folder):
    path = write(folder / "a.jpg", b"bad")
    write(folder / "b.jpg", b"bad")
    ingest.index_folder(folder)
    path.unlink()
    ingest.index_folder(folder)

    assert set(ingest.failures()) == {"b.jpg"}


def test_a_repaired_photo_is_indexed_without_its_failure(ingest, folder):
    path = write(folder / "a.jpg", b"bad")
    ingest.index_folder(folder)
    write(path, jpeg(), seconds_ago=5)

    assert counts(ingest.index_folder(folder)) == (1, 0, 0, 0, 0)
    assert ingest.failures() == {}


@pytest.mark.parametrize("part", [".", "segments"])
def test_the_data_folder_is_never_taken_for_photos(ingest, part):
    with pytest.raises(InvalidArgument, match=r"is the data folder .* or lies in it"):
        ingest.index_folder(ingest.data / part)
