"""`miradouro index`: what changes, what stays, what is refused, and what an end at any moment leaves behind."""

import fcntl
import json
import os
import pty
import resource
import signal
import struct
import subprocess
import tempfile
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.core.errors import NotFound

from tests.e2e.command import COMMAND, ONE_BY_ONE, START_S, run, start
from tests.e2e.conftest import make_photos
from tests.ingest_fixture import not_root
from tests.pictures import jpeg

pytestmark = pytest.mark.usefixtures("models_dir")
COUNTS = ("indexed", "unchanged", "deleted", "ignored")


def _index(photos: Path, data: Path, *words: object) -> tuple[int, ...]:
    """indexed, unchanged, deleted, ignored and failed."""
    report = run("index", photos, "--data", data, "--json", *words).json
    assert set(report) >= {*COUNTS, "failed", "moved", "withheld"}
    return (*(report[name] for name in COUNTS), len(report["failed"]))


def _found(data: Path, *question: object) -> list[str]:
    return [hit["photo_id"] for hit in run("search", *question, "--data", data, "--json").json["hits"]]


def test_repeated_runs_change_only_what_differs(tmp_path):
    photos, data = make_photos(tmp_path / "photos", ["a.jpg", "b.jpg", "c/d.jpg"]), tmp_path / "data"
    assert _index(photos, data) == (3, 0, 0, 0, 0)
    assert _index(photos, data) == (0, 3, 0, 0, 0)

    (photos / "a.jpg").write_bytes(jpeg(240, 200, seed=50))
    (photos / "b.json").write_text(json.dumps({"caption": "A harbour at dawn"}))
    assert _index(photos, data) == (2, 1, 0, 0, 0)
    assert _found(data, "--text", "harbours") == ["b.jpg"]

    os.utime(photos / "a.jpg", (1, 1))
    assert _index(photos, data) == (0, 3, 0, 0, 0)

    (photos / "b.jpg").unlink()
    (photos / "b.json").unlink()
    assert _index(photos, data) == (0, 2, 1, 0, 0)
    assert _found(data, "--text", "harbours") == []
    assert run("search", "--like", "b.jpg", "--data", data).code == 1

    make_photos(photos, ["b.jpg"], first_seed=1)
    assert _index(photos, data) == (1, 2, 0, 0, 0)
    assert _found(data, "--like", "b.jpg", "--limit", 1) == ["b.jpg"]
    [collection] = run("stats", "--data", data, "--json").json["collections"]
    assert (collection["photos"], collection["deleted"], collection["failed"]) == (3, 0, 0)


def _on_a_terminal(*words: object) -> str:
    """What `miradouro WORDS` shows on standard error, where that is a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    with subprocess.Popen([COMMAND, *map(str, words)], stdout=subprocess.DEVNULL, stderr=theirs) as command:
        os.close(theirs)
        output = b""
        try:
            while part := os.read(ours, 4_096):
                output += part
        except OSError:  # Linux: no writer is left
            pass
        os.close(ours)
    assert command.returncode == 0
    return output.decode()


def test_progress_is_a_bar_on_terminals_lines_elsewhere(tmp_path):
    photos, data = make_photos(tmp_path / "photos", ["a.jpg", "b.jpg"]), tmp_path / "data"
    bar = _on_a_terminal("index", photos, "--data", data)
    assert "2/2 [" in bar
    assert '"event"' not in bar
    assert "pages/s" in _on_a_terminal("snapshot", tmp_path / "copy.db", "--data", data)
    lines = [json.loads(line) for line in run("index", photos, "--data", data).err.splitlines()]
    assert {"event": "indexing", "done": 2, "total": 2}.items() <= lines[-1].items()


def test_failed_photos_set_the_exit_status_until_mended(tmp_path):
    photos, data = make_photos(tmp_path / "photos", ["a.jpg"]), tmp_path / "data"
    (photos / "b.jpg").write_bytes(b"broken")
    assert [run("index", photos, "--data", data).code for _ in range(2)] == [3, 3]
    (photos / "b.jpg").unlink()
    assert run("index", photos, "--data", data).code == 0


def test_most_of_a_folder_vanishing_needs_prune(tmp_path):
    photos, data = make_photos(tmp_path / "photos", ["a.jpg", "b.jpg", "c.jpg"]), tmp_path / "data"
    assert _index(photos, data) == (3, 0, 0, 0, 0)
    photos.rename(tmp_path / "elsewhere")
    done = run("index", photos, "--data", data)
    assert done.code == 1
    assert "is missing" in done.err
    assert "--prune" in done.err
    make_photos(photos, ["a.jpg"])
    done = run("index", photos, "--data", data)
    assert done.code == 3
    assert "withheld: 2 of the 3 photos" in done.err
    assert "--prune" in done.err
    assert len(_found(data, "--like", "a.jpg")) == 3
    assert _index(photos, data, "--prune") == (0, 1, 2, 0, 0)
    assert _found(data, "--like", "a.jpg") == ["a.jpg"]


def test_a_collection_has_exactly_one_root(tmp_path):
    photos, data = make_photos(tmp_path / "photos", ["a.jpg", "below/b.jpg"]), tmp_path / "data"
    other = make_photos(tmp_path / "other", ["c.jpg"], first_seed=9)
    assert _index(photos, data) == (2, 0, 0, 0, 0)
    for folder in (other, photos / "below", tmp_path):
        done = run("index", folder, "--data", data)
        assert (done.code, done.out) == (1, "")
        assert str(photos) in done.err
        assert "--collection" in done.err
    assert _index(other, data, "--collection", "trips") == (1, 0, 0, 0, 0)
    assert _found(data, "--like", "c.jpg", "--collection", "trips") == ["c.jpg"]
    assert [one["name"] for one in run("stats", "--data", data, "--json").json["collections"]] == ["photos", "trips"]


def test_a_missing_folder_is_an_error_without_traces(tmp_path):
    photos, data = make_photos(tmp_path / "photos", ["a.jpg"]), tmp_path / "data"
    expected = f"error: path: there is no folder {tmp_path / 'nowhere'}\n"
    done = run("index", tmp_path / "nowhere", "--data", data)
    assert (done.code, done.err) == (1, expected)
    done = run("index", photos / "a.jpg", "--data", data)
    assert (done.code, done.err) == (1, f"error: path: {photos / 'a.jpg'} is a file; name the folder that it lies in\n")
    assert not data.exists()
    assert _index(photos, data)[0] == 1
    done = run("index", tmp_path / "nowhere", "--data", data, "--collection", "trips")
    assert (done.code, done.err) == (1, expected)
    assert [one["name"] for one in run("stats", "--data", data, "--json").json["collections"]] == ["photos"]


def test_a_run_of_failures_alone_is_an_error(tmp_path):
    photos, data = tmp_path / "photos", tmp_path / "data"
    photos.mkdir()
    (photos / "bad.jpg").write_bytes(b"no photo")
    done = run("index", photos, "--data", data, "--json")
    assert done.code == 1
    assert [failed["path"] for failed in json.loads(done.out)["failed"]] == ["bad.jpg"]
    assert done.err.splitlines()[-1] == f"error: none of the 1 photos in {photos} could be indexed"
    make_photos(photos, ["good.jpg"])
    assert _index(photos, data) == (1, 0, 0, 0, 1)
    text = run("index", photos, "--data", data).out.splitlines()
    assert text[0].startswith("failed: bad.jpg: not_a_photo: photo: the data begins with")
    assert text[-1] == "0 indexed, 1 unchanged, 0 deleted, 0 ignored, 1 failed"


def test_a_second_writer_is_refused_naming_the_first(tmp_path):
    photos, data = make_photos(tmp_path / "photos", ["a.jpg"]), tmp_path / "data"
    with SqliteIndex.open(data, writer=True):
        done = run("index", photos, "--data", data)
    assert done.code == 1
    assert f"process {os.getpid()} writes to it" in done.err
    assert _index(photos, data) == (1, 0, 0, 0, 0)


def test_wrong_words_are_refused(tmp_path):
    done = run("index", tmp_path, "--data", tmp_path / "data", "--collection", "My Photos")
    assert done.code == 1
    assert "collection: 'My Photos' is not a collection name" in done.err
    done = run("index")
    assert (done.code, done.err) == (2, "error: Missing argument 'DIR'; see `miradouro index --help`\n")
    done = run("index", "", "--data", tmp_path / "data")
    assert (done.code, done.err) == (
        2,
        "error: Invalid value for 'DIR': it is empty; name a folder; see `miradouro index --help`\n",
    )


MANY = tuple(f"{number:02d}.jpg" for number in range(20))


@contextmanager
def _storing_photos(photos: Path, data: Path) -> Iterator["subprocess.Popen[str]"]:
    """A run that stores every photo by itself, and has stored some but not all."""
    process = start("index", photos, "--data", data, "--json", constants=ONE_BY_ONE)
    try:
        while process.poll() is None and _stored(data) < 2:
            pass
        yield process
    finally:
        process.kill()
        process.communicate(timeout=START_S)


def _stored(data: Path) -> int:
    try:
        with SqliteIndex.open(data, writer=False) as index:
            return sum(one.photos for one in index.stats())
    except NotFound:
        return 0


def test_kill_9_loses_nothing_stored(tmp_path):
    photos, data = make_photos(tmp_path / "photos", MANY), tmp_path / "data"
    with _storing_photos(photos, data) as process:
        process.kill()
    assert process.returncode == -signal.SIGKILL
    stored = _stored(data)
    assert 2 <= stored < len(MANY)
    assert _index(photos, data) == (len(MANY) - stored, stored, 0, 0, 0)
    assert sorted(_found(data, "--like", "00.jpg", "--limit", 100)) == list(MANY)


def test_ctrl_c_exits_130_and_keeps_stored_photos(tmp_path):
    photos, data = make_photos(tmp_path / "photos", MANY), tmp_path / "data"
    with _storing_photos(photos, data) as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=START_S)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "interrupted; what was indexed so far is kept: run the same command again to go on"
    assert "Traceback" not in err
    stored = _stored(data)
    assert 2 <= stored < len(MANY)
    for name in MANY[stored:]:
        (photos / name).unlink()
    assert _index(photos, data) == (0, stored, 0, 0, 0)


def test_a_run_continues_after_a_full_disk(tmp_path):
    photos, data = make_photos(tmp_path / "photos", [f"{i}.jpg" for i in range(4)]), tmp_path / "data"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        done = run("index", photos, "--data", data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert done.code == 1
    assert str(data) in done.err
    assert "space" in done.err
    assert "Traceback" not in done.err
    assert _index(photos, data)[:3] == (4, 0, 0)


def test_a_read_only_data_folder_is_reported():
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        photos, data = make_photos(Path(place) / "photos", ["a.jpg"]), Path(place) / "data"
        assert _index(photos, data)[0] == 1
        with not_root():
            done = run("index", photos, "--data", data)
            found = run("search", "--like", "a.jpg", "--data", data)
        assert (done.code, found.code) == (1, 1)
        assert f"data folder {data} is private to its owner" in done.err
        assert f"data folder {data} is private to its owner" in found.err


def test_a_dry_run_creates_and_needs_no_index(tmp_path):
    photos, data = make_photos(tmp_path / "photos", ["a.jpg", "b\n.jpg"]), tmp_path / "data"
    (photos / "raw.nef").write_bytes(b"II*\0")
    words = ("index", photos, "--data", data, "--dry-run", "--ignore", "b*")
    found = run(*words, "--json").json

    assert [(one["path"], one["action"], one["code"]) for one in found["files"]] == [
        ("a.jpg", "new", ""),
        ("b\n.jpg", "ignored", "ignore_option"),
        ("raw.nef", "ignored", "raw_file"),
    ]
    assert (found["indexed"], found["ignored_by"]) == (1, {"ignore_option": 1, "raw_file": 1})
    (photos / "gone.jpg").symlink_to(photos / "nowhere")
    lines = run(*words).out.splitlines()
    assert "ignored    b\\n.jpg: --ignore 'b*'" in lines
    assert ["gone.jpg" in line for line in lines].count(True) == 1
    (photos / "gone.jpg").unlink()
    assert not data.exists()
    assert _index(photos, data, "--ignore", "b*") == (1, 0, 0, 2, 0)
    assert [one["action"] for one in run(*words, "--json").json["files"]] == ["unchanged", "ignored", "ignored"]
