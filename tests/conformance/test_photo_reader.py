"""What every PhotoReader promises: what `core` reads, and limits for photos that are made to harm."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from miradouro.adapters.photo_reader.limits import MOST_INTERACTIVE, ReaderLimits
from miradouro.adapters.photo_reader.pool import ReaderPool
from miradouro.adapters.photo_reader.reader import JobReader
from miradouro.core.decode import decode
from miradouro.core.embedding import Priority
from miradouro.core.errors import BadPhoto, DeadlineExceeded, InvalidArgument, Overloaded, Unavailable
from miradouro.core.metadata import read_metadata, read_xmp_sidecar
from miradouro.core.ports import PhotoReader
from miradouro.core.spaces import Fit, Geometry, Region, Resample
from miradouro.core.thumbnail import thumbnail
from PIL import Image

from tests.hostile_photos import progressive_bomb
from tests.metadata_files import XMP_SIDECARS
from tests.pictures import CROP, SQUASH, blocks, encode, jpeg
from tests.processes import children_of, cpu_s_of, ends, eventually
from tests.slow_photos import LARGE, MANY

ROOT = Path(__file__).parents[2]
PHOTO = jpeg()
QUICK = ReaderLimits(wall_s=1.0)


@dataclass(frozen=True)
class Opened:
    """A reader, and the pool behind it."""

    reader: PhotoReader
    pool: ReaderPool


Open = Callable[..., Opened]


@pytest.fixture(params=["pool"])
def open_reader() -> Iterator[Open]:
    pools: list[ReaderPool] = []

    def opened(**options: object) -> Opened:
        pool = ReaderPool(**options)  # type: ignore[arg-type]  # options of several types
        pools.append(pool)
        return Opened(JobReader(pool.run), pool)

    yield opened
    for pool in pools:
        pool.close()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as executor:
        yield executor


def stop(pid: int) -> None:
    """Holds a child, so that the next photo is certain to be with it for as long as the test wants."""
    os.kill(pid, signal.SIGSTOP)


def held(one: Opened) -> int:
    """The only child of a reader, started and held."""
    one.reader.decode(PHOTO, [SQUASH])
    [pid] = one.pool.pids
    stop(pid)
    return pid


def test_it_decodes_as_core_does(open_reader: Open) -> None:
    reader = open_reader(size=1).reader
    turned = encode(blocks(320, 240), "JPEG", exif=_turned())
    for data in (PHOTO, turned, encode(Image.new("LA", (300, 200), (9, 99)), "PNG")):
        for region in (None, Region(0.25, 0.0, 0.5, 0.5)):
            wanted = decode(data, [SQUASH, CROP], region=region)
            found = reader.decode(data, [SQUASH, CROP, SQUASH], region=region)
            assert (found.width, found.height, found.media_type) == (wanted.width, wanted.height, wanted.media_type)
            assert list(found.tensors) == list(wanted.tensors)
            assert all((found.tensors[one] == wanted.tensors[one]).all() for one in wanted.tensors)


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def test_it_reads_metadata_as_core_does(open_reader: Open) -> None:
    exif = Image.Exif()
    exif[0x4746], exif[0x010F], exif[0x0110], exif[0x010E] = 4, "Leitz", "M3", 'O elétrico 28 <&> \\ "'
    exif.get_ifd(0x8769)[0x9003] = "2024:05:01 18:30:00"
    exif.get_ifd(0x8769)[0x9011] = "+01:00"
    exif.get_ifd(0x8825).update({1: "N", 2: (38.0, 42.0, 0.0), 3: "W", 4: (9.0, 8.0, 0.0)})
    data = encode(Image.new("RGB", (64, 48)), "JPEG", exif=exif)
    found = open_reader(size=1).reader.metadata(data)
    assert found == read_metadata(data)
    assert (found.camera, found.place is None, found.taken_from, found.rating) == ("Leitz M3", False, "exif", 4)
    assert open_reader(size=1).reader.metadata(b"no photo") == read_metadata(b"no photo")


@pytest.mark.parametrize("data", [XMP_SIDECARS[0], b"", b"no XMP", XMP_SIDECARS[0][:-200]])
def test_it_reads_xmp_sidecars_as_core_does(open_reader: Open, data: bytes) -> None:
    assert open_reader(size=1).reader.xmp_sidecar(data) == read_xmp_sidecar(data)


def test_metadata_come_along_with_the_pixels(open_reader: Open) -> None:
    data = jpeg(exif=_turned())
    found = open_reader(size=1).reader.decode(data, [SQUASH], with_metadata=True)
    assert found.metadata == read_metadata(data)
    assert open_reader(size=1).reader.decode(data, [SQUASH]).metadata is None


@pytest.mark.parametrize("file_format", ["jpeg", "webp", "png"])
def test_it_makes_thumbnails_as_core_does(open_reader: Open, file_format: str) -> None:
    options = {"width": 320, "height": 240, "longest_side": 160, "file_format": file_format}
    assert open_reader(size=1).reader.thumbnail(PHOTO, **options) == thumbnail(PHOTO, **options)


@pytest.mark.parametrize("data", [b"", b"no photo", PHOTO[:400], b"GIF89a" + bytes(40)])
def test_a_refused_photo_has_its_own_reason(open_reader: Open, data: bytes) -> None:
    with pytest.raises(BadPhoto) as wanted:
        decode(data, [SQUASH])
    with pytest.raises(BadPhoto) as found:
        open_reader(size=1).reader.decode(data, [SQUASH])
    assert (found.value.reason, found.value.message) == (wanted.value.reason, wanted.value.message)


@pytest.mark.parametrize(
    ("geometry", "region"),
    [(Geometry(Fit.SQUASH, 0, 5, 0, Resample.BICUBIC), None), (SQUASH, Region(0.5, 0.5, 0.6, 0.1))],
)
def test_a_wrong_question_has_its_own_error(open_reader: Open, geometry: Geometry, region: Region | None) -> None:
    with pytest.raises(InvalidArgument) as wanted:
        decode(PHOTO, [geometry], region=region)
    with pytest.raises(InvalidArgument) as found:
        open_reader(size=1).reader.decode(PHOTO, [geometry], region=region)
    assert (found.value.field, found.value.message) == (wanted.value.field, wanted.value.message)


def test_a_slow_photo_costs_its_child_alone(open_reader: Open, threads: ThreadPoolExecutor) -> None:
    one = open_reader(size=2, limits=QUICK)
    slow = threads.submit(one.reader.decode, LARGE, MANY)
    neighbours = [threads.submit(one.reader.decode, PHOTO, [SQUASH]) for _ in range(5)]
    assert all(neighbour.result().width == 320 for neighbour in neighbours)
    assert_too_expensive(slow, "took longer than 1 s")
    assert one.reader.decode(PHOTO, [SQUASH]).width == 320


def test_time_lost_to_a_busy_machine_is_excluded(open_reader: Open, threads: ThreadPoolExecutor) -> None:
    one = open_reader(size=1, limits=ReaderLimits(wall_s=2.0, cpu_s=60))
    one.reader.decode(PHOTO, [SQUASH])
    [pid] = one.pool.pids
    os.kill(pid, signal.SIGSTOP)
    since = time.monotonic()
    read = threads.submit(one.reader.decode, PHOTO, [SQUASH])
    eventually(lambda: time.monotonic() - since > 3.0)
    assert not read.done()
    os.kill(pid, signal.SIGCONT)
    assert read.result().width == 320
    assert one.pool.pids == [pid]


def assert_too_expensive(read: "Future[object]", message: str) -> None:
    error = read.exception()
    assert isinstance(error, BadPhoto)
    assert error.reason == "too_expensive"
    assert message in error.message


def test_each_photo_has_a_full_cpu_limit(open_reader: Open) -> None:
    one = open_reader(size=1, limits=ReaderLimits(wall_s=60.0, cpu_s=1))
    quick = progressive_bomb(20, 4_000, 4_000)  # a tenth of a second
    one.reader.decode(quick, [SQUASH])
    [pid] = one.pool.pids
    while cpu_s_of(pid) < 2.5:  # more than the limit of one photo
        one.reader.decode(quick, [SQUASH])
    assert one.pool.pids == [pid]
    with pytest.raises(BadPhoto, match="more than 1 s of CPU"):
        one.reader.decode(LARGE, MANY)


def test_lack_of_memory_is_no_damage(open_reader: Open) -> None:
    one = open_reader(size=1, limits=ReaderLimits(address_space_bytes=240 * 2**20))
    with pytest.raises(BadPhoto, match="memory") as caught:
        one.reader.decode(LARGE, [SQUASH])
    assert caught.value.reason == "too_expensive"
    assert one.reader.decode(PHOTO, [SQUASH]).width == 320


def test_a_photo_larger_than_all_memory_is_refused(open_reader: Open) -> None:
    one = open_reader(size=1, limits=ReaderLimits(budget_bytes=100 * 2**20))
    with pytest.raises(BadPhoto, match="MiB of memory; allowed: 100") as caught:
        one.reader.decode(LARGE, [SQUASH])
    assert caught.value.reason == "too_expensive"
    assert one.reader.decode(PHOTO, [SQUASH]).width == 320


def test_large_photos_wait_while_small_ones_pass(open_reader: Open, threads: ThreadPoolExecutor) -> None:
    one = open_reader(size=3, limits=ReaderLimits(wall_s=60.0, cpu_s=60, budget_bytes=400 * 2**20))
    one.reader.decode(PHOTO, [SQUASH])
    slow = [threads.submit(one.reader.decode, LARGE, MANY) for _ in range(2)]  # the budget holds one of them
    eventually(lambda: one.pool.taken_bytes > 200 * 2**20)
    for _ in range(3):
        one.reader.decode(PHOTO, [SQUASH])
    assert not any(read.done() for read in slow)
    one.pool.close()


def test_a_killed_child_is_replaced_unnoticed(open_reader: Open, threads: ThreadPoolExecutor) -> None:
    one = open_reader(size=1)
    pid = held(one)
    read = threads.submit(one.reader.decode, PHOTO, [SQUASH])
    eventually(lambda: one.pool.busy == 1)
    os.kill(pid, signal.SIGKILL)
    assert read.result().width == 320
    assert pid not in one.pool.pids


def test_a_photo_that_ends_two_children_is_refused(open_reader: Open, threads: ThreadPoolExecutor) -> None:
    one = open_reader(size=1, limits=ReaderLimits(wall_s=60.0, cpu_s=60))
    read = threads.submit(one.reader.decode, LARGE, MANY)
    first = eventually(lambda: next((pid for pid in one.pool.pids if cpu_s_of(pid) > 1), 0))
    os.kill(first, signal.SIGKILL)
    second = eventually(lambda: next((pid for pid in one.pool.pids if cpu_s_of(pid) > 1 and pid != first), 0))
    os.kill(second, signal.SIGKILL)
    assert_too_expensive(read, "ended its process twice (signal 9)")


def test_no_child_runs_before_the_first_photo(open_reader: Open) -> None:
    one = open_reader(size=2)
    assert one.pool.pids == []
    one.reader.decode(PHOTO, [SQUASH])
    assert len(one.pool.pids) == 1


def test_warming_starts_every_child(open_reader: Open) -> None:
    one = open_reader(size=3)
    one.pool.warm()
    eventually(lambda: len(one.pool.pids) == 3)


def test_an_interrupt_leaves_children_alone(open_reader: Open) -> None:
    one = open_reader(size=1)
    one.reader.decode(PHOTO, [SQUASH])
    [pid] = one.pool.pids
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    one.reader.decode(PHOTO, [SQUASH])
    assert one.pool.pids == [pid]


def test_closing_ends_children_and_their_readers(open_reader: Open, threads: ThreadPoolExecutor) -> None:
    one = open_reader(size=1)
    pid = held(one)
    read = threads.submit(one.reader.decode, PHOTO, [SQUASH])
    eventually(lambda: one.pool.busy == 1)
    one.pool.close()
    assert isinstance(read.exception(), Unavailable)
    assert ends(pid)
    with pytest.raises(Unavailable):
        one.reader.decode(PHOTO, [SQUASH])


def test_a_killed_parent_takes_its_children_along() -> None:
    script = (
        "from miradouro.adapters.photo_reader.pool import ReaderPool\n"
        "from miradouro.adapters.photo_reader.reader import JobReader\n"
        "from tests.slow_photos import LARGE, MANY\n"
        "pool = ReaderPool(size=2)\n"
        "pool.warm()\n"
        "print('reading', flush=True)\n"
        "JobReader(pool.run).decode(LARGE, MANY)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"reading\n"
        children = eventually(lambda: (found := children_of(parent.pid)) and len(found) == 2 and found)
        eventually(lambda: max(map(cpu_s_of, children)) > 0.5)
    finally:
        parent.kill()
        parent.communicate()
    assert all(ends(child) for child in children)


def test_a_child_inherits_nothing(open_reader: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIRADOURO_TOKEN", "secret")
    with (tmp_path / "open").open("wb") as file:
        os.set_inheritable(file.fileno(), False)
        one = open_reader(size=1)
        one.reader.decode(PHOTO, [SQUASH])
        [pid] = one.pool.pids
        files = {os.readlink(path).split(":")[0] for path in Path(f"/proc/{pid}/fd").iterdir()}
    assert files <= {"/dev/null", "socket", "pipe"}
    names = {one.split(b"=")[0].decode() for one in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if one}
    assert names <= {"LANG", "LD_LIBRARY_PATH", "MALLOC_ARENA_MAX", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PYTHONPATH"}


def test_a_caller_with_little_time_gets_its_error(open_reader: Open) -> None:
    one = open_reader(size=1)
    one.reader.decode(PHOTO, [SQUASH])
    with pytest.raises(DeadlineExceeded):
        one.reader.decode(LARGE, MANY, timeout_s=0.3)
    assert one.reader.decode(PHOTO, [SQUASH], timeout_s=60).width == 320


def test_excess_waiting_people_are_refused_at_once(open_reader: Open, threads: ThreadPoolExecutor) -> None:
    one = open_reader(size=1)
    pid = held(one)
    reads = [threads.submit(one.reader.decode, PHOTO, [SQUASH]) for _ in range(MOST_INTERACTIVE)]
    eventually(lambda: one.pool.waiting == MOST_INTERACTIVE - 1)
    with pytest.raises(Overloaded):
        one.reader.decode(PHOTO, [SQUASH])
    bulk = threads.submit(one.reader.decode, PHOTO, [SQUASH], priority=Priority.BULK)
    os.kill(pid, signal.SIGCONT)
    assert all(read.result().width == 320 for read in (*reads, bulk))


def test_people_go_before_bulk(open_reader: Open, threads: ThreadPoolExecutor) -> None:
    one = open_reader(size=1, limits=ReaderLimits(wall_s=60.0, cpu_s=60))
    pid = held(one)
    first = threads.submit(one.reader.decode, PHOTO, [SQUASH], priority=Priority.BULK)
    eventually(lambda: one.pool.busy == 1)
    slow = [threads.submit(one.reader.decode, LARGE, MANY, priority=Priority.BULK) for _ in range(3)]
    eventually(lambda: one.pool.waiting == 3)
    person = threads.submit(one.reader.decode, PHOTO, [SQUASH], priority=Priority.INTERACTIVE)
    eventually(lambda: one.pool.waiting == 4)
    os.kill(pid, signal.SIGCONT)
    assert (first.result().width, person.result().width) == (320, 320)
    assert not any(read.done() for read in slow)
    one.pool.close()
