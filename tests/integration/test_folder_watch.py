"""A watched folder: what happens in it is in the index soon, and what happens to it harms nothing."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path

import pytest
from miradouro.adapters.folder.source import FolderSource
from miradouro.adapters.folder.watch import touched
from miradouro.adapters.photo_store import file_uri
from miradouro.core.errors import FailedPrecondition, InvalidArgument
from miradouro.core.event import PhotoEvent
from miradouro.ingest.folder_watch import Watched, watching
from miradouro.ingest.pace import PACE, Pace
from miradouro.runtime.call import Call
from miradouro.v1.ingest_service_pb2 import IndexFolderRequest
from structlog.testing import capture_logs

from tests.ingest_fixture import IngestFixture, open_ingest
from tests.metadata_blocks import packet
from tests.opened_files import opened_files
from tests.photo_folder import write
from tests.pictures import jpeg
from tests.reading import READER
from tests.waiting import WAIT_S


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[IngestFixture]:
    with open_ingest(tmp_path / "ingest") as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


@contextmanager
def watch(
    ingest: IngestFixture,
    folders: Mapping[str, Path],
    *,
    begun: threading.Event | None = None,
    rescan_s: float = PACE.rescan_s,
    quiet_s: float = 0.1,
) -> Iterator[Watched]:
    """Watches; `begun` is set when the first comparison begins."""

    def shown(_: str) -> AbstractContextManager[Callable[[object], None]]:
        if begun is not None:
            begun.set()
        return nullcontext(lambda _: None)

    pace = Pace(settle_s=0.02, quiet_s=quiet_s, rescan_s=rescan_s)
    with watching(ingest.service.folders, folders, excluded=[ingest.data], shown=shown, pace=pace) as watched:
        watched.start()
        yield watched


def until(condition: Callable[[], bool]) -> None:
    """Waits for what is to come."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def photos(ingest: IngestFixture, collection: str = "photos") -> set[str]:
    return set(ingest.photos(collection))


def test_a_watched_folder_is_indexed_and_followed(ingest, folder):
    write(folder / "a.jpg", jpeg(seed=1))
    write(folder / "trip/b.jpg", jpeg(seed=2))
    with watch(ingest, {"photos": folder}):
        until(lambda: photos(ingest) == {"a.jpg", "trip/b.jpg"})
        write(folder / "trip/c.jpg", jpeg(seed=3))
        until(lambda: "trip/c.jpg" in photos(ingest))
        write(folder / "trip/c.jpg", jpeg(seed=4, width=99))
        until(lambda: ingest.index.get("photos", "trip/c.jpg").width == 99)
        write(folder / "trip/c.json", {"caption": "At sea"})
        until(lambda: ingest.index.get("photos", "trip/c.jpg").caption == "At sea")
        sidecar = write(folder / "trip/c.xmp", packet("<dc:title>Waves</dc:title>"))
        until(lambda: ingest.index.get("photos", "trip/c.jpg").title == "Waves")
        sidecar.unlink()
        until(lambda: ingest.index.get("photos", "trip/c.jpg").title == "")
        (folder / "trip/c.jpg").unlink()
        until(lambda: "trip/c.jpg" not in photos(ingest))
        (folder / "a.jpg").rename(folder / "trip/renamed.jpg")
        until(lambda: photos(ingest) == {"trip/b.jpg", "trip/renamed.jpg"})
        for number in range(2):  # at most half of the photos may go
            write(folder / f"{number}.jpg", jpeg(seed=number + 5))
        until(lambda: len(photos(ingest)) == 4)
        (folder / "trip").rename(folder / "journey")
        until(lambda: photos(ingest) == {"journey/b.jpg", "journey/renamed.jpg", "0.jpg", "1.jpg"})
        outside = write(folder.parent / "moved.jpg", jpeg(seed=7))
        outside.rename(folder / "journey" / "moved.jpg")
        until(lambda: "journey/moved.jpg" in photos(ingest))


def test_a_folder_made_within_is_watched_too(ingest, folder):
    with watch(ingest, {"photos": folder}):
        write(folder / "first.jpg", jpeg())
        until(lambda: photos(ingest) == {"first.jpg"})
        write(folder / "new/deep/a.jpg", jpeg(seed=1))
        until(lambda: "new/deep/a.jpg" in photos(ingest))
        write(folder / "new/deep/b.jpg", jpeg(seed=2))
        until(lambda: "new/deep/b.jpg" in photos(ingest))


def test_every_collection_follows_its_own_folder(ingest, folder):
    write(folder / "one/a.jpg", jpeg(seed=1))
    write(folder / "two/b.jpg", jpeg(seed=2))
    with watch(ingest, {"first": folder / "one", "second": folder / "two"}):
        until(lambda: {one.name for one in ingest.index.stats()} == {"first", "second"})
        until(lambda: (photos(ingest, "first"), photos(ingest, "second")) == ({"a.jpg"}, {"b.jpg"}))
        write(folder / "two/c.jpg", jpeg(seed=3))
        until(lambda: photos(ingest, "second") == {"b.jpg", "c.jpg"})
    assert photos(ingest, "first") == {"a.jpg"}


def test_changes_before_the_start_are_found(ingest, folder):
    for number in range(3):
        write(folder / f"{number}.jpg", jpeg(seed=number))
    with watch(ingest, {"photos": folder}):
        until(lambda: len(photos(ingest)) == 3)
    (folder / "0.jpg").unlink()
    write(folder / "new.jpg", jpeg(seed=8))
    with watch(ingest, {"photos": folder}):
        until(lambda: photos(ingest) == {"1.jpg", "2.jpg", "new.jpg"})
    assert ingest.photos()["1.jpg"] == 1


def test_a_missing_folder_keeps_photos_until_it_returns(ingest, folder):
    for number in range(4):
        write(folder / f"{number}.jpg", jpeg(seed=number))
    with capture_logs() as logs, watch(ingest, {"photos": folder}):
        until(lambda: len(photos(ingest)) == 4)
        away = folder.rename(folder.with_name("away"))
        until(lambda: any("is missing" in str(entry.get("error")) for entry in logs))
        folder.mkdir()  # as an unmounted disk leaves it
        until(lambda: any("4 of the 4" in str(entry.get("reason")) for entry in logs))
        assert len(photos(ingest)) == 4
        folder.rmdir()
        write(away / "new.jpg", jpeg(seed=9))
        away.rename(folder)
        until(lambda: len(photos(ingest)) == 5)
        write(folder / "newer.jpg", jpeg(seed=10))
        until(lambda: len(photos(ingest)) == 6)
    errors = [entry["error"] for entry in logs if "error" in entry]
    assert all(one != other for one, other in pairwise(errors))
    assert {state.deleted for state in ingest.index.origins("photos")} == {False}


def test_the_periodic_rescan_finds_unnoticed_changes(ingest, folder):
    (folder / ".hidden").mkdir()
    write(folder / ".hidden/a.jpg", jpeg())
    os.symlink(folder / ".hidden/a.jpg", folder / "linked.jpg")
    with watch(ingest, {"photos": folder}, rescan_s=0.2):
        until(lambda: photos(ingest) == {"linked.jpg"})
        write(folder / ".hidden/a.jpg", jpeg(seed=1, width=77))  # no change below the folder that is followed by name
        until(lambda: ingest.index.get("photos", "linked.jpg").width == 77)


def test_a_folder_renamed_while_watched_runs_no_network(ingest, folder):
    for number in range(3):
        write(folder / f"old/{number}.jpg", jpeg(seed=number))
    with watch(ingest, {"photos": folder}):
        until(lambda: len(photos(ingest)) == 3)
        ingest.networks.runs.clear()
        (folder / "old").rename(folder / "new")
        until(lambda: photos(ingest) == {f"new/{number}.jpg" for number in range(3)})
    assert ingest.networks.runs == []


def test_a_growing_file_waits_until_it_is_whole(ingest, folder):
    whole, path = jpeg(seed=3), folder / "slow.jpg"
    with watch(ingest, {"photos": folder}):
        for end in (0, 100, len(whole) // 2):
            with opened_files(folder) as opened:
                path.write_bytes(whole[:end])
                until(lambda opened=opened: opened.count(path) > 1)  # written here, then read
        path.write_bytes(whole)
        until(lambda: photos(ingest) == {"slow.jpg"})
    assert ingest.photos() == {"slow.jpg": 1}
    assert ingest.failures() == {}


def test_links_keep_the_names_of_a_full_scan(ingest, folder):
    write(folder.parent / "elsewhere/a.jpg", jpeg(seed=1))
    os.symlink(folder.parent / "elsewhere", folder / "linked")
    write(folder / "own/b.jpg", jpeg(seed=2))
    os.symlink(folder, folder / "own" / "loop")
    with watch(ingest, {"photos": folder}):
        until(lambda: photos(ingest) == {"linked/a.jpg", "own/b.jpg"})
        write(folder / "linked/c.jpg", jpeg(seed=3))
        write(folder / "own/loop/own/d.jpg", jpeg(seed=4))
        until(lambda: photos(ingest) == {"linked/a.jpg", "linked/c.jpg", "own/b.jpg", "own/d.jpg"})


def test_a_concurrent_run_is_waited_for(ingest, folder):
    write(folder / "a.jpg", jpeg())
    stream = ingest.service.IndexFolder(IndexFolderRequest(path=str(folder)), Call())
    next(stream)
    begun = threading.Event()
    with capture_logs() as logs, watch(ingest, {"photos": folder}, begun=begun):
        assert begun.wait(WAIT_S)
        list(stream)
        write(folder / "b.jpg", jpeg(seed=1))
        until(lambda: photos(ingest) == {"a.jpg", "b.jpg"})
    assert [entry for entry in logs if entry["log_level"] != "info"] == []


def test_it_stops_without_waiting_for_any_work(ingest, folder):
    for number in range(8):
        write(folder / f"{number}.jpg", jpeg(seed=number))
    with ingest.networks.closed():
        with watch(ingest, {"photos": folder}):
            assert ingest.networks.arrived.wait(WAIT_S)
        assert ingest.networks.runs == [], "the gate still holds the forward pass"
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("watch-")]


def test_an_unwatchable_folder_is_refused_before_the_start(ingest, folder):
    with pytest.raises(InvalidArgument, match="no folder"), watch(ingest, {"photos": folder / "nowhere"}):
        pass
    with watch(ingest, {"photos": folder}):
        pass
    with pytest.raises(FailedPrecondition, match="--collection"), watch(ingest, {"photos": folder.parent}):
        pass


@pytest.mark.parametrize("name", ["tiny", "big"])
def test_a_part_of_the_folder_is_compared_alone(ingest, folder, name):
    for number in range(4):
        write(folder / f"big/{number}.jpg", jpeg(seed=number))
    write(folder / "tiny/a.jpg", jpeg(seed=9))
    ingest.index_folder(folder)
    (folder / "big/0.jpg").unlink()
    write(folder / "tiny/b.jpg", jpeg(seed=10))
    *_, report = ingest.service.folders.follow(str(folder), "photos", Call(), within=f"{name}/")

    assert (report.indexed, report.unchanged, report.deleted) == {"tiny": (1, 1, 0), "big": (0, 3, 1)}[name]


def test_a_mostly_deleted_part_waits_for_a_rescan(ingest, folder):
    for number in range(4):
        write(folder / f"{number}.jpg", jpeg(seed=number))
    write(folder / "part/a.jpg", jpeg(seed=9))
    with watch(ingest, {"photos": folder}):
        until(lambda: len(photos(ingest)) == 5)
        (folder / "part/a.jpg").unlink()
        until(lambda: len(photos(ingest)) == 4)


def test_a_root_vanishing_during_a_run_deletes_nothing(ingest, folder):
    for name in "abcde":
        write(folder / f"{name}.jpg", jpeg(seed=ord(name)))
    ingest.index_folder(folder)
    (folder / "e.jpg").unlink()
    source = FolderSource(str(folder), collection="photos", index=ingest.index, file_uri=file_uri, reader=READER)
    items = source.events()
    seen = [next(items)]
    folder.rename(folder.with_name("away"))
    folder.mkdir()
    with pytest.raises(FailedPrecondition, match="vanished while"):
        seen.extend(items)
    assert not [item for item in seen if isinstance(item, PhotoEvent)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a/b/x.jpg"], "a/b/"),
        (["a/b/x.jpg", "a/b/c/y.jpg"], "a/b/"),
        (["x.jpg"], ""),
        (["a/x.jpg", "a/.hidden.jpg", "data/index.db", ".hidden/x.jpg"], "a/"),
        (["linked/x.jpg"], ""),
        (["a/\u00e9 \ufffd/x.jpg"], "a/\u00e9 \ufffdEF\ufffdBF\ufffdBD/"),
    ],
)
def test_changes_are_reported_as_their_common_folder(folder, names, expected):
    (folder.parent / "elsewhere").mkdir()
    (folder / "linked").symlink_to(folder.parent / "elsewhere")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    changes = touched(str(folder), stop=stop, settle_ms=100, excluded=[folder / "data"])
    try:
        assert next(changes) == ""
        for name in names:
            (folder / name).write_bytes(b"x")
        assert next(changed for changed in changes if changed is not None) == expected
    finally:
        stop.set()
        changes.close()


def test_a_move_is_reported_as_the_common_folder(folder):
    """Two changes that come together, however busy the machine is."""
    for name in ("a", "a-b"):
        (folder / name).mkdir()
    (folder / "a/x.jpg").write_bytes(b"x")
    stop = threading.Event()
    changes = touched(str(folder), stop=stop, settle_ms=100)
    try:
        assert next(changes) == ""
        (folder / "a/x.jpg").rename(folder / "a-b/x.jpg")
        assert next(changed for changed in changes if changed is not None) == ""
    finally:
        stop.set()
        changes.close()


def test_changes_of_excluded_files_are_not_reported(folder):
    (folder / "data").mkdir()
    stop = threading.Event()
    changes = touched(str(folder), stop=stop, settle_ms=20, excluded=[folder / "data"])
    try:
        assert next(changes) == ""
        (folder / "data/x").write_bytes(b"x")
        (folder / ".x").write_bytes(b"x")
        assert [next(changes) for _ in range(3)] == [None] * 3
    finally:
        stop.set()
        changes.close()


def test_an_ignore_file_is_followed_at_once(ingest, folder):
    for name in ("a.jpg", "trip/b.jpg", "trip/c.png"):
        write(folder / name, jpeg())
    with watch(ingest, {"photos": folder}):
        until(lambda: len(photos(ingest)) == 3)
        write(folder / "trip/.miradouroignore", b"*.png")
        until(lambda: photos(ingest) == {"a.jpg", "trip/b.jpg"})
        (folder / "trip/.miradouroignore").unlink()
        until(lambda: len(photos(ingest)) == 3)
