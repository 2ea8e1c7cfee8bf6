"""The embedded index survives what happens to disks and processes: nothing acknowledged is lost, derived files come back."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from miradouro.adapters.sqlite_index import SqliteIndex, read_holder
from miradouro.core.errors import StoreLocked, Unavailable
from miradouro.core.ports import WriteStatus
from miradouro.core.query import IndexQuery, KeywordClause, Matches, TextClause, VectorClause

from tests.photo_documents import COLLECTION, SPACES, WHOLE, label, photo, tombstone, vectors_of
from tests.waiting import WAIT_S

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "services"), str(ROOT)])}
KILLS = 10
CHECKPOINT_BYTES = 16 << 20  # where the writer's connection begins one
PHOTOS = 40
# Writes batches for ever, each photo's version one more than before, and prints the acknowledged ones.
WRITER = """
import sys
from pathlib import Path
from miradouro.adapters.sqlite_index import SqliteIndex
from tests.photo_documents import COLLECTION, SPACES, label, photo, tombstone

with SqliteIndex.open(Path(sys.argv[1]), writer=True) as index:
    index.ensure_collection(COLLECTION, spaces=SPACES)
    versions = {state.photo_id: state.version for state in index.origins(COLLECTION)}
    step = 0
    while True:
        names = [f"{(step * 7 + i) % int(sys.argv[2])}.jpg" for i in range(7)]
        step += 1
        batch = []
        for name in names:
            versions[name] = versions.get(name, 0) + 1
            caption = f"version{versions[name]}"
            gone = versions[name] % 5 == 0
            filler = {"filler": "x" * int(sys.argv[3])}
            live = photo(name, versions[name], caption=caption, tags=(label("pier", 0.5),), attributes=filler)
            batch.append(tombstone(name, versions[name]) if gone else live)
        index.write(batch)
        print(" ".join(f"{name}={versions[name]}" for name in names), flush=True)
"""
FULL_DISK = """
import resource, sys
from pathlib import Path
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.core.errors import StoreLocked, Unavailable
from tests.photo_documents import COLLECTION, SPACES, photo

with SqliteIndex.open(Path(sys.argv[1]), writer=True) as index:
    index.ensure_collection(COLLECTION, spaces=SPACES)
    index.write([photo("first.jpg", caption="x")])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, hard))
    written = 0
    try:
        for i in range(1_000):
            index.write([photo(f"{i}.jpg", caption="filler " * 200)])
            written += 1
    except Unavailable as exc:
        print("full:", exc.retriable, flush=True)
    assert index.stats()[0].photos == written + 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    index.write([photo("after.jpg")])
    print("resumed:", index.stats()[0].photos == written + 2, flush=True)
"""


def near(index: SqliteIndex, name: str, version: int) -> Matches:
    clause = VectorClause(WHOLE.name, WHOLE.provenance, photo(name, version).vectors[WHOLE.name][0])
    return index.search(IndexQuery(COLLECTION, clause, limit=1_000, with_documents=False))


def check(index: SqliteIndex, acknowledged: dict[str, int]) -> None:
    """Every acknowledged version or a newer one is there, whole, once, in every structure."""
    states = list(index.origins(COLLECTION))
    stored = {state.photo_id: state.version for state in states}
    assert len(stored) == len(states)
    assert {name: stored.get(name, 0) for name, version in acknowledged.items() if stored.get(name, 0) < version} == {}
    live = {state.photo_id: state.version for state in states if not state.deleted}
    tagged = index.search(IndexQuery(COLLECTION, KeywordClause(("pier",)), limit=1_000, with_documents=False))
    assert sorted(match.photo_id for match in tagged.matches) == sorted(live)
    for name, version in live.items():
        assert index.get(COLLECTION, name).caption == f"version{version}"
        found = near(index, name, version)
        assert (found.matches[0].photo_id, found.total, len(found.matches)) == (name, len(live), len(live))
        assert found.matches[0].distance == pytest.approx(0, abs=1e-3)
        words = index.search(
            IndexQuery(COLLECTION, TextClause((f"version{version}",), (), ()), limit=1_000, with_documents=False)
        )
        assert sorted(match.photo_id for match in words.matches) == sorted(n for n, v in live.items() if v == version)
    (stats,) = index.stats()
    assert (stats.photos, stats.deleted) == (len(live), len(states) - len(live))


def kill_again_and_again(folder: Path, rounds: int, *, filler: int = 0) -> int:
    """Kills the writer that many times; how often the log had grown so long that it was being written back, or had been."""
    draw = random.Random(3)
    acknowledged: dict[str, int] = {}
    checkpoints = 0
    for _ in range(rounds):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), str(PHOTOS), str(filler)],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdout is not None
            for _ in range(draw.randint(1, 60)):
                for word in writer.stdout.readline().split():
                    name, version = word.split("=")
                    acknowledged[name] = int(version)
            holder = read_holder(folder)
            assert holder is not None
            assert holder.pid == writer.pid
            with pytest.raises(StoreLocked):
                SqliteIndex.open(folder, writer=True)
            writer.send_signal(signal.SIGKILL)
            for line in writer.stdout.read().splitlines():
                for word in line.split():
                    name, _, version = word.partition("=")
                    acknowledged[name] = max(int(version or 0), acknowledged.get(name, 0))
        assert read_holder(folder) is None
        checkpoints += (folder / "miradouro.db-wal").stat().st_size >= CHECKPOINT_BYTES
        with SqliteIndex.open(folder, writer=False) as reader:
            check(reader, acknowledged)
    with SqliteIndex.open(folder, writer=True) as index:
        check(index, acknowledged)
    assert len(acknowledged) == PHOTOS
    database = apsw.Connection(str(folder / "miradouro.db"))
    assert database.pragma("integrity_check") == "ok"
    database.close()
    return checkpoints


def test_killed_while_writing_it_loses_nothing_acknowledged(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "data", KILLS)


@pytest.mark.long
def test_killed_a_hundred_times_it_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Photos so large that the log is written back to the database again and again."""
    assert kill_again_and_again(tmp_path / "data", 100, filler=60_000) >= 10


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 0xFF
    path.write_bytes(content)


def damage_header(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[20] ^= 0xFF
    path.write_bytes(content)


def exchange(path: Path) -> None:
    """The files of another space, whole in themselves."""
    others = [other for other in path.parent.glob(f"*{path.suffix}") if other != path]
    shutil.copy(others[0], path)


def remove(path: Path) -> None:
    path.unlink()


HARMS: dict[str, tuple[Callable[[Path], None], str]] = {
    "keys cut": (cut, "keys"),
    "vectors cut": (cut, "vectors"),
    "keys flipped": (flip, "keys"),
    "vectors flipped": (flip, "vectors"),
    "header damaged": (damage_header, "keys"),
    "keys of another space": (exchange, "keys"),
    "vectors of another space": (exchange, "vectors"),
    "keys gone": (remove, "keys"),
    "vectors gone": (remove, "vectors"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_damaged_growing_segments_are_rebuilt(tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "data"
    names = [f"{i}.jpg" for i in range(50)]
    with SqliteIndex.open(folder, writer=True) as index:
        index.ensure_collection(COLLECTION, spaces=SPACES)
        index.write([photo(name, caption="version1", tags=(label("pier", 0.5),)) for name in names])
    do_harm, suffix = HARMS[harm]
    for path in (folder / "segments").glob(f"*.{suffix}"):
        do_harm(path)
    acknowledged = dict.fromkeys(names, 1)
    with SqliteIndex.open(folder, writer=False) as reader:
        check(reader, acknowledged)
    with SqliteIndex.open(folder, writer=True) as index:
        check(index, acknowledged)
        assert index.settle(timeout_s=WAIT_S)
        assert all(path.stat().st_size for path in (folder / "segments").iterdir())
        assert len(list((folder / "segments").iterdir())) == 2 * len(SPACES)
        check(index, acknowledged)


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize("remove", [empty, shutil.rmtree])
def test_segments_removed_under_the_writer_are_rebuilt(tmp_path: Path, remove: Callable[[Path], None]) -> None:
    folder = tmp_path / "data"
    with SqliteIndex.open(folder, writer=True) as index, SqliteIndex.open(folder, writer=False) as reader:
        index.ensure_collection(COLLECTION, spaces=SPACES)
        index.write([photo(f"{i}.jpg", caption="version1", tags=(label("pier", 0.5),)) for i in range(20)])
        check(reader, {"19.jpg": 1})
        remove(folder / "segments")
        check(index, {"19.jpg": 1})
        index.write([photo("20.jpg", caption="version1", tags=(label("pier", 0.5),))])
        check(reader, {"20.jpg": 1})
        deadline = time.monotonic() + WAIT_S
        while len(list((folder / "segments").glob("[0-9]*"))) < 2 * len(SPACES):  # the next write is all that it takes
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert index.settle(timeout_s=WAIT_S)
        assert len(list((folder / "segments").iterdir())) == 2 * len(SPACES)
        check(reader, {"20.jpg": 1})
        check(index, {"20.jpg": 1})


@pytest.mark.parametrize("pattern", ["*", "*.vectors", "*.keys"])
def test_a_reader_survives_a_segment_that_is_cut(tmp_path: Path, pattern: str) -> None:
    folder = tmp_path / "data"
    with SqliteIndex.open(folder, writer=True) as index:
        index.ensure_collection(COLLECTION, spaces=SPACES)
        index.write([photo(f"{i}.jpg", caption="version1", tags=(label("pier", 0.5),)) for i in range(30)])
        with SqliteIndex.open(folder, writer=False) as reader:
            check(reader, {"0.jpg": 1})
            for path in (folder / "segments").glob(pattern):
                os.truncate(path, 0)
            check(reader, {"0.jpg": 1})
            index.write([photo("0.jpg", 2, caption="version2", tags=(label("pier", 0.5),))])
            check(reader, {"0.jpg": 2})


def test_segments_of_another_space_are_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    twin = replace(WHOLE, layer="other", provenance="7" * 64)
    with SqliteIndex.open(folder, writer=True) as index:
        index.ensure_collection(COLLECTION, spaces=[WHOLE, twin])
        index.write([photo(f"{i}.jpg", spaces=(WHOLE, twin), caption="version1", tags=(label("pier", 0.5),)) for i in range(30)])
        answers = [near(index, "7.jpg", 1)]
    for suffix in ("keys", "vectors"):
        mine, theirs = (folder / "segments").glob(f"*.{suffix}")
        mine.rename(folder / "kept")
        theirs.rename(mine)
        (folder / "kept").rename(theirs)
    for writer in (False, True):
        with SqliteIndex.open(folder, writer=writer) as index:
            clause = VectorClause(WHOLE.name, WHOLE.provenance, photo("7.jpg", spaces=(WHOLE, twin)).vectors[WHOLE.name][0])
            found = index.search(IndexQuery(COLLECTION, clause, limit=1))
            assert found.matches[0].photo_id == "7.jpg"
            answers.append(near(index, "7.jpg", 1))
    assert answers[0] == answers[1] == answers[2]


def test_segments_of_another_database_are_not_used(tmp_path: Path) -> None:
    """Same collection, same spaces, valid in themselves, as after a copy of the wrong folder."""
    for name, count in (("one", 30), ("other", 50)):
        with SqliteIndex.open(tmp_path / name, writer=True) as index:
            index.ensure_collection(COLLECTION, spaces=SPACES)
            index.write([photo(f"{name}{i}.jpg", caption="version1", tags=(label("pier", 0.5),)) for i in range(count)])
    shutil.rmtree(tmp_path / "one/segments")
    shutil.copytree(tmp_path / "other/segments", tmp_path / "one/segments")
    with SqliteIndex.open(tmp_path / "one", writer=True) as index:
        check(index, {"one0.jpg": 1})
    shutil.rmtree(tmp_path / "other/segments")
    shutil.copytree(tmp_path / "one/segments", tmp_path / "other/segments")
    with SqliteIndex.open(tmp_path / "other", writer=True) as index:
        check(index, {"other0.jpg": 1})


def test_constant_changes_do_not_grow_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with SqliteIndex.open(folder, writer=True) as index, SqliteIndex.open(folder, writer=False) as reader:
        index.ensure_collection(COLLECTION, spaces=[WHOLE])
        vectors = vectors_of("same", (WHOLE,))
        sizes = []
        for version in range(1, 35):
            index.write(
                [
                    photo(f"{i}.jpg", version, vectors=vectors, caption=f"version{version}", tags=(label("pier", 0.5),))
                    for i in range(100)
                ]
            )
            assert index.settle(timeout_s=WAIT_S)
            answer = near(reader, "0.jpg", version)
            assert (answer.total, len(answer.matches)) == (100, 100)
            sizes.append(sum(path.stat().st_size for path in (folder / "segments").iterdir()))
        assert len(list((folder / "segments").iterdir())) == 2
        assert max(sizes[22:]) <= max(sizes[:22])
        index.write([tombstone(f"{i}.jpg", 100) for i in range(100)])
        assert near(reader, "0.jpg", 1).total == 0


def test_writes_fail_on_a_full_disk_and_recover(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "data")],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout.split("\n")[:2]) == (0, ["full: True", "resumed: True"]), done.stderr


def fill(index: SqliteIndex) -> int:
    """Writes photos until the store takes no more; how many it took."""
    for i in range(10_000):
        try:
            index.write([photo(f"{i}.jpg", caption=f"version1 {'filler ' * 100}", tags=(label("pier", 0.5),))])
        except Unavailable:
            return i
    return 10_000


def test_at_the_size_limit_only_queries_work(tmp_path: Path) -> None:
    with SqliteIndex.open(tmp_path / "data", writer=True, max_bytes=600_000) as index:
        index.ensure_collection(COLLECTION, spaces=SPACES)
        written = fill(index)
        assert 0 < written < 10_000
        with pytest.raises(Unavailable, match=r"full.*free some space"):
            index.write([photo("again.jpg", caption="filler " * 2_000)])
        assert index.stats()[0].photos == written
        assert near(index, "0.jpg", 1).total == written
    with SqliteIndex.open(tmp_path / "data", writer=True) as index:
        assert index.write([photo("more.jpg")]) == [WriteStatus.STORED]
        assert index.stats()[0].photos == written + 1


def test_writes_continue_where_segments_do_not_fit(tmp_path: Path) -> None:
    """The commit is the truth: what the segments lack is scanned from the database, and comes when there is room."""
    folder = tmp_path / "data"
    with SqliteIndex.open(folder, writer=True) as index:
        index.ensure_collection(COLLECTION, spaces=SPACES)
        index.write([photo("0.jpg", caption="version1", tags=(label("pier", 0.5),))])
        shutil.rmtree(folder / "segments")
        (folder / "segments").write_text("in the way")
        index.write([photo("1.jpg", caption="version1", tags=(label("pier", 0.5),))])
        check(index, {"0.jpg": 1, "1.jpg": 1})
        (folder / "segments").unlink()
        (folder / "segments").mkdir()
        index.write([photo("2.jpg", caption="version1", tags=(label("pier", 0.5),))])
        check(index, {"2.jpg": 1})
        assert index.settle(timeout_s=WAIT_S)
        assert len(list((folder / "segments").iterdir())) == 2 * len(SPACES)
