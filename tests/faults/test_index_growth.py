"""Sealing and merging in the background: whatever ends or harms them, answers stay right and derived files come back."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from miradouro.adapters.sqlite_index import SqliteIndex, Tuning
from miradouro.core.document import Document
from miradouro.core.query import IndexQuery, Matches, VectorClause
from miradouro.core.spaces import Preset, Space

from tests.photo_documents import COLLECTION, PARTS, SPACES, WHOLE, photo, tombstone, unit, vectors_of
from tests.waiting import WAIT_S

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "services"), str(ROOT)])}
TUNING = Tuning(exact_vectors=50, growing_vectors=50)
LONGEST_GAP = 0.25  # of the time of all sealing and merging: a ratio, for a loaded machine
# Writes, replaces and deletes without end; every few commits it prints its progress.
GROWER = """
import sys
from pathlib import Path
from miradouro.adapters.sqlite_index import SqliteIndex
from tests.faults.test_index_growth import TUNING
from tests.photo_documents import COLLECTION, SPACES, photo, tombstone

with SqliteIndex.open(Path(sys.argv[1]), writer=True, tuning=TUNING) as index:
    index.ensure_collection(COLLECTION, spaces=SPACES)
    versions = {state.photo_id: state.version for state in index.origins(COLLECTION)}
    step = len(versions)
    while True:
        names = [f"{(step * 13 + i) % 400}.jpg" for i in range(13)]
        step += 1
        batch = []
        for name in names:
            versions[name] = versions.get(name, 0) + 1
            gone = versions[name] % 4 == 0
            batch.append(tombstone(name, versions[name]) if gone else photo(name, versions[name]))
        index.write(batch)
        print(step, flush=True)
"""
# Makes a graph while no file may grow beyond what everything else takes, and again when it may.
FULL_DISK = """
import resource, sys
from pathlib import Path
from miradouro.adapters.sqlite_index import SqliteIndex, Tuning
from tests.faults.test_index_growth import near
from tests.photo_documents import COLLECTION, WHOLE, photo, vectors_of

with SqliteIndex.open(Path(sys.argv[1]), writer=True) as index:
    index.ensure_collection(COLLECTION, spaces=[WHOLE])
    index.write([photo(f"{i}.jpg", spaces=(WHOLE,)) for i in range(1_000)])
    assert index.settle(60)
asked = vectors_of(("7.jpg", 1), (WHOLE,))[WHOLE.name][0]
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
with SqliteIndex.open(Path(sys.argv[1]), writer=True, tuning=Tuning.with_exact(0)) as index:
    print("looked after:", index.settle(20), "by graph:", not near(index, WHOLE, asked).exact, flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    print("looked after:", index.settle(20), "by graph:", not near(index, WHOLE, asked).exact, flush=True)
"""


def near(index: SqliteIndex, space: Space, vector: "np.ndarray", *, exact: bool = False, limit: int = 1) -> Matches:
    clause = VectorClause(space.name, space.provenance, vector, exact=exact)
    return index.search(IndexQuery(COLLECTION, clause, limit=limit, with_documents=False))


def check(index: SqliteIndex) -> None:
    """Every live photo finds itself, through graphs and without, and nothing else is counted."""
    live = {state.photo_id: state.version for state in index.origins(COLLECTION) if not state.deleted}
    for name, version in list(live.items())[::5]:
        vectors = vectors_of((name, version))
        for space in SPACES:
            for exact in (False, True):
                answer = near(index, space, vectors[space.name][-1], exact=exact)
                assert (answer.matches[0].photo_id, answer.total) == (name, len(live))


def kill_again_and_again(folder: Path, rounds: int) -> None:
    draw = random.Random(rounds)
    for _ in range(rounds):
        with subprocess.Popen(
            [sys.executable, "-c", GROWER, str(folder)], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
        ) as grower:
            assert grower.stdout is not None
            for _ in range(draw.randint(3, 25)):
                assert grower.stdout.readline()
            grower.send_signal(signal.SIGKILL)
        with SqliteIndex.open(folder, writer=False, tuning=TUNING) as reader:
            check(reader)
    with SqliteIndex.open(folder, writer=True, tuning=TUNING) as index:
        assert index.settle(timeout_s=WAIT_S)
        check(index)
        assert list((folder / "segments").glob("*.graph"))
        assert list((folder / "segments").glob("building*")) == []


def test_killed_while_sealing_and_merging_answers_stay(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "data", 10)


@pytest.mark.long
def test_killed_a_hundred_times_while_sealing_answers_stay(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path / "data", 100)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def exchange(path: Path) -> None:
    """The next one's of the sealed segments, which are three spaces'."""
    sealed = [graph.with_suffix(path.suffix) for graph in sorted(path.parent.glob("*.graph"))]
    shutil.copy(sealed[(sealed.index(path) + 1) % len(sealed)], path)


HARMS: dict[str, Callable[[Path], None]] = {"cut": cut, "flipped": flip, "another's": exchange, "gone": Path.unlink}


@pytest.mark.parametrize("suffix", ["graph", "keys", "vectors"])
@pytest.mark.parametrize("harm", HARMS)
def test_damaged_sealed_segments_are_rebuilt(tmp_path: Path, harm: str, suffix: str) -> None:
    folder = tmp_path / "data"
    with SqliteIndex.open(folder, writer=True, tuning=TUNING) as index:
        index.ensure_collection(COLLECTION, spaces=SPACES)
        index.write([photo(f"{i}.jpg") for i in range(120)])
        assert index.settle(timeout_s=WAIT_S)
    graphs = sorted((folder / "segments").glob("*.graph"))
    assert len(graphs) == len(SPACES)
    for graph in graphs:
        HARMS[harm](graph.with_suffix(f".{suffix}"))
    with SqliteIndex.open(folder, writer=False, tuning=TUNING) as reader:
        check(reader)
    with SqliteIndex.open(folder, writer=True, tuning=TUNING) as index:
        check(index)
        assert index.settle(timeout_s=WAIT_S)
        check(index)
        assert not near(index, WHOLE, vectors_of(("7.jpg", 1))[WHOLE.name][0]).exact
    remade = sorted((folder / "segments").glob("*.graph"))
    assert len(remade) == len(SPACES)
    assert not set(remade) & set(graphs)


@pytest.mark.parametrize("suffix", ["graph", "keys", "vectors"])
def test_a_sealed_file_that_is_removed_is_rebuilt(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "data"
    with SqliteIndex.open(folder, writer=True, tuning=TUNING) as index:
        index.ensure_collection(COLLECTION, spaces=[WHOLE])
        index.write([photo(f"{i}.jpg", spaces=(WHOLE,)) for i in range(120)])
        assert index.settle(timeout_s=WAIT_S)
        [gone] = [graph.with_suffix(f".{suffix}") for graph in (folder / "segments").glob("*.graph")]
        gone.unlink()
        assert index.settle(timeout_s=WAIT_S)
        with SqliteIndex.open(folder, writer=False, tuning=TUNING) as reader:
            answer = near(reader, WHOLE, vectors_of(("7.jpg", 1), (WHOLE,))[WHOLE.name][0])
        assert (answer.matches[0].photo_id, answer.total, answer.exact) == ("7.jpg", 120, False)


def test_segments_newer_than_a_restored_database_are_rebuilt(tmp_path: Path) -> None:
    """The database goes back in time, its segments do not: the same numbers then mean other photos."""
    folder = tmp_path / "data"
    with SqliteIndex.open(folder, writer=True, tuning=TUNING) as index:
        index.ensure_collection(COLLECTION, spaces=SPACES)
        index.write([photo(f"{i}.jpg") for i in range(40)])
    shutil.copy(folder / "miradouro.db", tmp_path / "older.db")
    with SqliteIndex.open(folder, writer=True, tuning=TUNING) as index:
        index.write([photo(f"{i}.jpg") for i in range(40, 150)])
        assert index.settle(timeout_s=WAIT_S)
    shutil.copy(tmp_path / "older.db", folder / "miradouro.db")
    with SqliteIndex.open(folder, writer=True, tuning=TUNING) as index:
        index.write([photo(f"other {i}.jpg", 1, vectors=vectors_of((f"other {i}.jpg", 1))) for i in range(130)])
        check(index)
        assert index.settle(timeout_s=WAIT_S)
        check(index)
        assert index.stats()[0].photos == 170


def test_merged_segments_hold_no_deleted_photos(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with SqliteIndex.open(folder, writer=True, tuning=TUNING) as index:
        index.ensure_collection(COLLECTION, spaces=[WHOLE])
        vectors = vectors_of("any", (WHOLE,))
        for start in range(0, 600, 60):
            index.write([photo(f"{i}.jpg", spaces=(WHOLE,)) for i in range(start, start + 60)])
            assert index.settle(timeout_s=WAIT_S)
        assert 1 <= len(list((folder / "segments").glob("*.graph"))) <= 3, "ten were sealed"
        index.write([tombstone(f"{i}.jpg", 2) for i in range(590)])
        assert index.settle(timeout_s=WAIT_S)
        assert near(index, WHOLE, vectors[WHOLE.name][0], limit=20).total == 10
        assert sum(path.stat().st_size for path in (folder / "segments").glob("*.vectors")) <= 70 * 32 * 2


def test_queries_and_writes_continue_during_sealing_and_merging(tmp_path: Path) -> None:
    """A heartbeat of questions at a real number of dimensions, while everything that is indexed is sealed and merged."""
    space = Space("real", "features", "", 512, "5" * 64, preset=Preset.STANDARD, is_default_pooling=True)
    asked = unit("asked", 1, 512)[0]
    gaps: list[float] = []
    kinds: set[bool] = set()
    stop = threading.Event()

    def documents(start: int, count: int) -> list[Document]:
        rows = unit(start, count, 512)
        return [photo(f"{start + i}.jpg", spaces=(space,), vectors={space.name: rows[i : i + 1]}) for i in range(count)]

    with SqliteIndex.open(tmp_path / "data", writer=True, tuning=Tuning(exact_vectors=400, growing_vectors=400)) as index:
        index.ensure_collection(COLLECTION, spaces=[space])
        index.write(documents(0, 32))

        def beat() -> None:
            while not stop.is_set():
                started = time.monotonic()
                kinds.add(near(index, space, asked, limit=10).exact)
                gaps.append(time.monotonic() - started)

        heart = threading.Thread(target=beat)
        heart.start()
        began = time.monotonic()
        try:
            for start in range(32, 1_632, 32):
                index.write(documents(start, 32))
            assert index.settle(timeout_s=300)
            lasted_s = time.monotonic() - began
            kinds.add(near(index, space, asked, limit=10).exact)
        finally:
            stop.set()
            heart.join()
        assert near(index, space, asked).total == 1_632
    assert kinds == {True, False}, "graphs came into use"
    assert max(gaps) <= LONGEST_GAP * lasted_s


def test_a_graph_follows_once_the_disk_has_room(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "data")],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    expected = ["looked after: True by graph: False", "looked after: True by graph: True"]
    assert (done.returncode, done.stdout.splitlines()) == (0, expected), done.stderr


def test_a_rebuilt_growing_segment_is_sealed_when_full(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with SqliteIndex.open(folder, writer=True, tuning=TUNING) as index:
        index.ensure_collection(COLLECTION, spaces=[WHOLE])
        index.write([photo(f"{i}.jpg", spaces=(WHOLE,)) for i in range(40)])
        for path in (folder / "segments").iterdir():
            path.unlink()
        assert index.settle(timeout_s=WAIT_S)
        assert list((folder / "segments").glob("*.vectors"))
        index.write([photo(f"{i}.jpg", spaces=(WHOLE,)) for i in range(40, 80)])
        assert index.settle(timeout_s=WAIT_S)
        answer = near(index, WHOLE, vectors_of(("7.jpg", 1), (WHOLE,))[WHOLE.name][0])
        assert (answer.matches[0].photo_id, answer.total, answer.exact) == ("7.jpg", 80, False)
        assert len(list((folder / "segments").glob("*.graph"))) == 1


def test_small_collections_keep_the_setting_of_exact_vectors(tmp_path: Path) -> None:
    """1,000 photos stay in the growing segment, which has no graph, unless the setting makes them too many for it."""
    asked = vectors_of(("7.jpg", 1), (WHOLE,))[WHOLE.name][0]
    for tuning, exact in ((Tuning.with_exact(20_000), True), (Tuning.with_exact(0), False)):
        with SqliteIndex.open(tmp_path / "data", writer=True, tuning=tuning) as index:
            index.ensure_collection(COLLECTION, spaces=[WHOLE])
            index.write([photo(f"{i}.jpg", spaces=(WHOLE,)) for i in range(1_000)])
            assert index.settle(timeout_s=WAIT_S)
            answer = near(index, WHOLE, asked, limit=10)
            assert (answer.matches[0].photo_id, answer.total, answer.exact) == ("7.jpg", 1_000, exact)


def test_a_region_hit_names_photo_and_box(tmp_path: Path) -> None:
    with SqliteIndex.open(tmp_path / "data", writer=True, tuning=TUNING) as index:
        index.ensure_collection(COLLECTION, spaces=[PARTS])
        index.write([photo(f"{i}.jpg", spaces=(PARTS,)) for i in range(60)])
        assert index.settle(timeout_s=WAIT_S)
        for number in range(14):
            (match,) = (answer := near(index, PARTS, vectors_of(("33.jpg", 1), (PARTS,))[PARTS.name][number])).matches
            assert (match.photo_id, match.region, answer.exact) == ("33.jpg", PARTS.regions[number], False)
