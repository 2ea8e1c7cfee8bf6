"""A collection follows its folder: what is new, changed or gone there, and nothing else."""

import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from miradouro.core.errors import FailedPrecondition, InvalidArgument, Unavailable
from miradouro.runtime.call import Call
from miradouro.v1.ingest_service_pb2 import FolderReport, IndexFolderRequest
from PIL import Image

from tests.ingest_house import House, age, not_root, open_house
from tests.pictures import blocks, encode, jpeg, png_that_claims


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_house(tmp_path / "house") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def write(path: Path, data: bytes | dict[str, object], *, seconds_ago: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(json.dumps(data).encode() if isinstance(data, dict) else data)
    age(path, seconds=seconds_ago)
    return path


def counts(report: FolderReport) -> tuple[int, int, int, int, int]:
    """indexed, unchanged, deleted, ignored, failed"""
    return report.indexed, report.unchanged, report.deleted, report.ignored, len(report.failed)


def reasons(report: FolderReport) -> dict[str, str]:
    return {failure.path: failure.reason for failure in report.failed}


def test_photos_are_indexed_once_and_found_unchanged_afterwards(house, folder):
    for name in ("b.jpg", "a.png", "deep/er/c.webp"):
        write(folder / name, encode(blocks(60, 40), {"jpg": "JPEG", "png": "PNG", "ebp": "WEBP"}[name[-3:]]))

    assert counts(house.index_folder(folder)) == (3, 0, 0, 0, 0)
    assert house.photos() == {"a.png": 1, "b.jpg": 1, "deep/er/c.webp": 1}
    house.networks.runs.clear()
    assert counts(house.index_folder(folder)) == (0, 3, 0, 0, 0)
    assert house.networks.runs == []


def test_a_document_tells_all_about_its_photo(house, folder):
    path = write(folder / "a.jpg", jpeg(300, 200))
    house.index_folder(folder)
    found = house.index.get("photos", "a.jpg")

    assert (found.width, found.height, found.media_type) == (300, 200, "image/jpeg")
    assert found.uri == path.as_uri()
    assert len(found.sha256) == 64
    assert len(found.perceptual_hash) == 16
    assert found.caption_is_generated
    assert {tag.kind for tag in found.tags} == {"label", "parent"}
    for space in house.index.spaces("photos"):
        vectors = house.index.vector("photos", "a.jpg", space.name)
        assert vectors.shape == (space.vectors_per_photo, space.dimension)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-3)


def test_a_sidecar_tells_what_people_know(house, folder):
    write(folder / "a.jpg", jpeg())
    sidecar = {
        "caption": "Old trams in Graça",
        "title": "Tram 28",
        "tags": ["tram", "Lisbon"],
        "owner": "ana",
        "attributes": {"camera": "X100"},
        "place": {"lat": 38.72, "lon": -9},
        "taken_at": "2024-05-01T12:30:00+01:00",
        "version": 7,
        "of another program": [1, 2],
    }
    write(folder / "a.json", sidecar)
    report = house.index_folder(folder)
    found = house.index.get("photos", "a.jpg")

    assert counts(report) == (1, 0, 0, 0, 0)
    assert (found.caption, found.caption_is_generated, found.title, found.owner) == (
        "Old trams in Graça",
        False,
        "Tram 28",
        "ana",
    )
    assert [tag.label for tag in found.tags if tag.kind == "user"] == ["tram", "Lisbon"]
    assert dict(found.attributes) == {"camera": "X100"}
    assert found.place is not None
    assert (found.place.latitude, found.place.longitude, found.version) == (38.72, -9, 7)
    assert found.taken_at is not None
    assert (found.taken_at.instant.isoformat(), found.taken_at.utc_offset_minutes) == ("2024-05-01T11:30:00+00:00", 60)


def test_one_sidecar_serves_every_photo_of_its_stem(house, folder):
    for name in ("a.jpg", "a.png"):
        write(folder / name, jpeg())
    write(folder / "a.json", {"caption": "both"})

    assert counts(house.index_folder(folder)) == (2, 0, 0, 0, 0)
    assert {house.index.get("photos", name).caption for name in ("a.jpg", "a.png")} == {"both"}


@pytest.mark.parametrize(
    ("sidecar", "named"),
    [
        (b"{", "line 1"),
        (b"[]", "object"),
        (b"\xff\xfe{}", ""),
        ({"caption": 5}, "caption"),
        ({"tags": "tram"}, "tags"),
        ({"tags": [""]}, "tags"),
        ({"attributes": {"iso": 100}}, "attributes.iso"),
        ({"place": {"lat": 91, "lon": 0}}, "place.latitude"),
        ({"place": {"lat": 1}}, "place.lon"),
        ({"taken_at": "yesterday"}, "taken_at"),
        ({"taken_at": "0001-01-01T00:00:00+14:00"}, "taken_at"),
        ({"version": 0}, "version"),
        ({"version": 2**63}, "version"),
        ({"version": "2"}, "version"),
        ({"title": "t" * 2_000}, "title"),
        (b"[" * 100_000, ""),
        (b'{"caption": "' + b"x" * 1024 * 1024 + b'"}', "1,048,576 bytes"),
    ],
)
def test_a_malformed_sidecar_fails_its_photo_and_is_named_with_the_place(house, folder, sidecar, named):
    write(folder / "a.jpg", jpeg())
    write(folder / "a.json", sidecar)
    write(folder / "b.jpg", jpeg())
    report = house.index_folder(folder)

    assert counts(report) == (1, 0, 0, 0, 1)
    assert "a.json" in reasons(report)["a.jpg"]
    assert named in reasons(report)["a.jpg"]
    assert house.failures()["a.jpg"].reason == "bad_sidecar"


def test_a_changed_photo_gets_the_next_version(house, folder):
    path = write(folder / "a.jpg", jpeg(seed=1))
    house.index_folder(folder)
    write(path, jpeg(seed=2), seconds_ago=5)

    assert counts(house.index_folder(folder)) == (1, 0, 0, 0, 0)
    assert house.photos() == {"a.jpg": 2}


def test_a_touched_photo_is_read_once_and_then_trusted_again(house, folder):
    path = write(folder / "a.jpg", jpeg())
    house.index_folder(folder)
    before = next(house.index.origins("photos")).origin
    age(path)

    assert counts(house.index_folder(folder)) == (0, 1, 0, 0, 0)
    after = next(house.index.origins("photos")).origin
    assert before is not None
    assert after is not None
    assert after.mtime_ns == path.stat().st_mtime_ns != before.mtime_ns
    assert house.photos() == {"a.jpg": 1}


def test_a_change_of_the_same_size_and_time_is_seen_when_the_time_was_too_fresh_to_trust(house, folder):
    path = folder / "a.bmp.png"
    path.write_bytes(encode(Image.new("RGB", (30, 30), (1, 2, 3)), "PNG", compress_level=0))
    status = path.stat()
    assert counts(house.index_folder(folder)) == (1, 0, 0, 0, 0)
    path.write_bytes(encode(Image.new("RGB", (30, 30), (9, 9, 9)), "PNG", compress_level=0))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size

    assert counts(house.index_folder(folder)) == (1, 0, 0, 0, 0)
    assert house.photos() == {"a.bmp.png": 2}


def test_a_sidecar_that_comes_changes_or_goes_makes_a_new_version(house, folder):
    write(folder / "a.jpg", jpeg())
    house.index_folder(folder)
    sidecar = write(folder / "a.json", {"caption": "one"})
    house.index_folder(folder)
    write(sidecar, {"caption": "two"}, seconds_ago=5)
    house.index_folder(folder)
    assert (house.index.get("photos", "a.jpg").caption, house.photos()) == ("two", {"a.jpg": 3})
    sidecar.unlink()

    assert counts(house.index_folder(folder)) == (1, 0, 0, 0, 0)
    assert house.index.get("photos", "a.jpg").caption_is_generated
    assert house.photos() == {"a.jpg": 4}


def test_a_sidecars_own_version_counts_and_an_older_one_changes_nothing(house, folder):
    write(folder / "a.jpg", jpeg())
    sidecar = write(folder / "a.json", {"version": 10, "caption": "ten"})
    house.index_folder(folder)
    write(sidecar, {"version": 9, "caption": "nine"}, seconds_ago=5)

    assert counts(house.index_folder(folder)) == (0, 1, 0, 0, 0)
    assert (house.index.get("photos", "a.jpg").caption, house.photos()) == ("ten", {"a.jpg": 10})
    write(sidecar, {"version": 20, "caption": "twenty"}, seconds_ago=3)
    assert counts(house.index_folder(folder)) == (1, 0, 0, 0, 0)
    assert (house.index.get("photos", "a.jpg").caption, house.photos()) == ("twenty", {"a.jpg": 20})


def test_a_photo_that_goes_leaves_a_tombstone_and_comes_back_newer(house, folder):
    data = jpeg()
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        write(folder / name, data)
    write(folder / "b.json", {"version": 5})
    house.index_folder(folder)
    (folder / "b.jpg").unlink()

    assert counts(house.index_folder(folder)) == (0, 2, 1, 1, 0)
    assert house.photos() == {"a.jpg": 1, "c.jpg": 1}
    assert counts(house.index_folder(folder)) == (0, 2, 0, 1, 0)
    write(folder / "b.jpg", data)
    assert counts(house.index_folder(folder)) == (1, 2, 0, 0, 0)
    assert house.photos() == {"a.jpg": 1, "b.jpg": 7, "c.jpg": 1}


def test_exactly_half_gone_is_deleted_and_more_needs_prune(house, folder):
    for name in "abcd":
        write(folder / f"{name}.jpg", jpeg())
    house.index_folder(folder)
    for name in "ab":
        (folder / f"{name}.jpg").unlink()
    assert counts(house.index_folder(folder)) == (0, 2, 2, 0, 0)
    for name in "cd":
        (folder / f"{name}.jpg").unlink()
    write(folder / "e.jpg", jpeg())

    with pytest.raises(FailedPrecondition, match=r"2 of the 2 photos .* --prune"):
        house.index_folder(folder)
    assert house.photos() == {"c.jpg": 1, "d.jpg": 1}
    assert counts(house.index_folder(folder, prune=True)) == (1, 0, 2, 0, 0)
    assert house.photos() == {"e.jpg": 1}


def test_a_missing_root_needs_prune(house, folder):
    path = write(folder / "a.jpg", jpeg())
    house.index_folder(folder)
    path.unlink()
    folder.rmdir()

    with pytest.raises(FailedPrecondition, match=r"missing.*--prune"):
        house.index_folder(folder)
    assert house.photos() == {"a.jpg": 1}
    assert counts(house.index_folder(folder, prune=True)) == (0, 0, 1, 0, 0)


def test_a_folder_that_was_never_there_makes_no_collection(house, tmp_path):
    for prune in (False, True):
        with pytest.raises(InvalidArgument, match="no folder"):
            house.index_folder(tmp_path / "nowhere", prune=prune)
    assert list(house.index.stats()) == []


@pytest.mark.parametrize("path", ["", "photos", "./photos", "/a\0b"])
def test_a_path_that_is_not_absolute_is_refused(house, path):
    with pytest.raises(InvalidArgument, match="path"):
        list(house.service.IndexFolder(IndexFolderRequest(path=path), Call()))


def test_a_file_as_folder_is_refused(house, folder):
    with pytest.raises(InvalidArgument, match="no folder"):
        house.index_folder(write(folder / "a.jpg", jpeg()))


def test_another_root_or_a_folder_below_is_refused_and_a_collection_proposed(house, folder, tmp_path):
    write(folder / "sub/a.jpg", jpeg())
    house.index_folder(folder)
    for other in (folder / "sub", tmp_path, folder.parent / "other"):
        other.mkdir(exist_ok=True)
        with pytest.raises(FailedPrecondition, match="--collection"):
            house.index_folder(other)

    assert counts(house.index_folder(folder / "sub", collection="sub")) == (1, 0, 0, 0, 0)


def test_the_same_root_by_another_name_is_the_same_root(house, folder, tmp_path):
    write(folder / "a.jpg", jpeg())
    house.index_folder(folder)
    (tmp_path / "link").symlink_to(folder)

    assert counts(house.index_folder(tmp_path / "link")) == (0, 1, 0, 0, 0)
    assert counts(house.index_folder(folder / ".." / "photos")) == (0, 1, 0, 0, 0)


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


def test_every_kind_of_file_has_its_answer_and_the_rest_is_indexed(house, folder):
    for name, (data, _) in BAD.items():
        write(folder / name, data)
    for name, data in (GOOD | IGNORED).items():
        write(folder / name, data)
    report = house.index_folder(folder)

    assert set(house.photos()) == set(GOOD)
    assert set(reasons(report)) == set(BAD)
    assert {name: failure.reason for name, failure in house.failures().items()} == {name: why for name, (_, why) in BAD.items()}
    assert counts(report) == (len(GOOD), 0, 0, 4, len(BAD))
    for name in GOOD:
        uri = house.index.get("photos", name).uri
        assert uri == (folder / name).as_uri()
    assert counts(house.index_folder(folder)) == (0, len(GOOD), 0, 4, len(BAD))


def test_names_that_are_no_utf_8_get_ids_of_their_own_and_are_opened(house, folder):
    raw = os.fsencode(folder)
    names = [b"caf\xe9.jpg", b"caf\xc3\xa9.jpg", b"caf%E9.jpg", "caf\N{REPLACEMENT CHARACTER}E9.jpg".encode()]
    for name in names:
        path = Path(os.fsdecode(raw + b"/" + name))
        write(path, jpeg())
        write(Path(os.fsdecode(raw + b"/" + name[:-4] + b".json")), {"caption": name.decode(errors="replace")})
    report = house.index_folder(folder)

    assert counts(report) == (4, 0, 0, 0, 0)
    assert "caf\N{REPLACEMENT CHARACTER}E9.jpg" in house.photos()
    uris = {house.index.get("photos", photo_id).uri for photo_id in house.photos()}
    assert {uri.rpartition("/")[2] for uri in uris} == {"caf%E9.jpg", "caf%C3%A9.jpg", "caf%25E9.jpg", "caf%EF%BF%BDE9.jpg"}
    assert counts(house.index_folder(folder)) == (0, 4, 0, 0, 0)


def test_links_are_followed_but_never_in_circles(house, folder, tmp_path):
    write(tmp_path / "elsewhere/a.jpg", jpeg())
    (folder / "there").symlink_to(tmp_path / "elsewhere")
    (folder / "there" / "back").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    (folder / "nowhere.jpg").symlink_to(tmp_path / "gone.jpg")
    report = house.index_folder(folder)

    assert house.photos() == {"there/a.jpg": 1}
    assert list(reasons(report)) == ["nowhere.jpg"]
    assert house.failures()["nowhere.jpg"].reason == "unreadable"


def test_a_pipe_is_not_waited_for(house, folder):
    os.mkfifo(folder / "pipe.jpg")
    os.mkfifo(folder / "pipe")
    write(folder / "z.jpg", jpeg())
    report = house.index_folder(folder)

    assert counts(report) == (1, 0, 0, 1, 1)
    assert "regular file" in reasons(report)["pipe.jpg"]


def test_what_cannot_be_read_is_named_and_nothing_below_it_is_deleted():
    with tempfile.TemporaryDirectory() as place:
        root, photos = Path(place), Path(place) / "photos"
        for path in (root, photos):
            path.mkdir(exist_ok=True)
            path.chmod(0o777)
        with not_root(), open_house(root / "house") as house:
            for name in ("closed/a.jpg", "closed/deep/b.jpg", "closed.jpg", "open.jpg", "closedx/c.jpg"):
                write(photos / name, jpeg())
            assert counts(house.index_folder(photos)) == (5, 0, 0, 0, 0)
            write(photos / "closed.jpg", jpeg(seed=5), seconds_ago=5)
            (photos / "closed.jpg").chmod(0)
            (photos / "closed").chmod(0)
            report = house.index_folder(photos)
            (photos / "closed").chmod(0o700)
            (photos / "closed.jpg").chmod(0o600)

            assert counts(report) == (0, 2, 0, 0, 2)
            assert set(reasons(report)) == {"closed/", "closed.jpg"}
            assert set(house.failures()) == {"closed.jpg"}
            assert len(house.photos()) == 5
            assert counts(house.index_folder(photos)) == (1, 4, 0, 0, 0)
            assert house.failures() == {}


def test_a_photo_that_vanishes_under_way_is_reported_and_the_next_run_deletes_nothing_of_it(tmp_path, folder):
    with open_house(tmp_path / "house", ingest_workers=1) as house:
        for name in "ab":
            write(folder / f"{name}.jpg", jpeg())
        reports: list[FolderReport] = []
        with house.networks.closed():
            run = threading.Thread(target=lambda: reports.append(house.index_folder(folder)))
            run.start()
            assert house.networks.arrived.wait(10)  # the one worker embeds a.jpg, b.jpg is listed and waits
            (folder / "b.jpg").unlink()
        run.join(10)

        assert counts(reports[0]) == (1, 0, 0, 0, 1)
        assert "b.jpg" in reasons(reports[0])
        assert counts(house.index_folder(folder)) == (0, 1, 0, 0, 0)
        assert house.failures() == {}


def test_the_data_folder_inside_the_photo_folder_is_left_out(tmp_path):
    with open_house(tmp_path / "photos" / "house") as house:
        write(tmp_path / "photos/a.jpg", jpeg())
        write(house.data / "thumbnail.jpg", jpeg())
        house.index_folder(tmp_path / "photos")

        assert list(house.photos()) == ["a.jpg"]


def test_a_photo_that_became_something_else_is_deleted(house, folder):
    write(folder / "a", jpeg())
    write(folder / "b.jpg", jpeg())
    house.index_folder(folder)
    write(folder / "a", b"now a text", seconds_ago=5)

    assert counts(house.index_folder(folder)) == (0, 1, 1, 1, 0)


def test_a_failed_photo_that_goes_is_no_failure_any_more(house, folder):
    path = write(folder / "a.jpg", b"bad")
    write(folder / "b.jpg", b"bad")
    house.index_folder(folder)
    path.unlink()
    house.index_folder(folder)

    assert set(house.failures()) == {"b.jpg"}


def test_a_repaired_photo_is_indexed_and_its_failure_forgotten(house, folder):
    path = write(folder / "a.jpg", b"bad")
    house.index_folder(folder)
    write(path, jpeg(), seconds_ago=5)

    assert counts(house.index_folder(folder)) == (1, 0, 0, 0, 0)
    assert house.failures() == {}


def test_progress_counts_up_to_every_file(house, folder):
    for number in range(5):
        write(folder / f"{number}.jpg", jpeg())
    write(folder / "notes.txt", b"words")
    *progress, last = house.stream(folder)

    assert [message.WhichOneof("message") for message in progress] == ["progress"] * len(progress)
    told = [(message.progress.done, message.progress.total) for message in progress]
    assert told[0] == (0, 0)
    assert told[-1] == (6, 6)
    assert told == sorted(told)
    assert last.WhichOneof("message") == "report"


def test_ids_are_compared_in_one_order_everywhere(house, folder):
    names = ["a.jpg", "a/x.jpg", "a!/x.jpg", "a-b.jpg", "ä.jpg", "ab/x.jpg", "a b.jpg", "Z.jpg", "\uffff.jpg", "\U0001f600.jpg"]
    for name in names:
        write(folder / name, jpeg())

    assert counts(house.index_folder(folder)) == (len(names), 0, 0, 0, 0)
    assert list(house.photos()) == sorted(names, key=str.encode)
    assert counts(house.index_folder(folder)) == (0, len(names), 0, 0, 0)


def test_one_run_at_a_time_per_collection(house, folder):
    write(folder / "a.jpg", jpeg())
    stream = house.service.IndexFolder(IndexFolderRequest(path=str(folder)), Call())
    next(stream)

    with pytest.raises(FailedPrecondition, match="already"):
        house.index_folder(folder)
    stream.close()
    assert counts(house.index_folder(folder)) == (1, 0, 0, 0, 0)


def test_a_cancelled_run_stops_within_two_seconds_and_keeps_what_was_done(tmp_path, folder):
    with open_house(tmp_path / "house", ingest_commit_photos=1, ingest_workers=2) as house:
        for number in range(8):
            write(folder / f"{number}.jpg", jpeg(seed=number))
        cancelled = threading.Event()
        seen: list[int] = []

        def watch() -> None:
            stream = house.service.IndexFolder(IndexFolderRequest(path=str(folder)), Call(cancelled=cancelled))
            seen.extend(message.report.indexed for message in stream)

        with house.networks.closed():
            run = threading.Thread(target=watch)
            run.start()
            assert house.networks.arrived.wait(10)
            started = time.monotonic()
            cancelled.set()
            run.join(10)
            took_s = time.monotonic() - started

        assert not run.is_alive()
        assert took_s < 2
        assert seen[-1] == len(house.photos())
        assert counts(house.index_folder(folder))[0] == 8 - seen[-1]


def test_a_consumer_that_leaves_stops_the_run(house, folder):
    for number in range(4):
        write(folder / f"{number}.jpg", jpeg(seed=number))
    stream = house.service.IndexFolder(IndexFolderRequest(path=str(folder)), Call())
    next(stream)
    next(stream)
    stream.close()
    report = house.index_folder(folder)

    assert report.indexed + report.unchanged == 4


def test_an_embedder_that_stays_away_stops_the_run_and_the_next_one_goes_on(tmp_path, folder):
    for number in range(3):
        write(folder / f"{number}.jpg", jpeg(seed=number))
    with open_house(tmp_path / "house", ingest_retry_s=0.01) as house:
        house.networks.broken = Unavailable("the network is away")
        with pytest.raises(Unavailable):
            house.index_folder(folder)
        assert house.failures() == {}
        house.networks.broken = None

        assert counts(house.index_folder(folder)) == (3, 0, 0, 0, 0)
