"""A run reads what changed, and nothing else."""

import os
from pathlib import Path

import pytest
from miradouro.core.document import Origin
from miradouro.runtime.call import Call
from miradouro.v1.ingest_service_pb2 import RETRY_STATUS_FAILED, RetryFailuresRequest

from tests.ingest_fixture import IngestFixture
from tests.opened_files import opened_files
from tests.photo_folder import counts, write
from tests.pictures import jpeg


def bytes_of(paths: list[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())


def test_a_rescan_reads_no_byte_of_unchanged_files(ingest: IngestFixture, folder: Path) -> None:
    for seed in range(3):
        write(folder / f"{seed}.jpg", jpeg(seed=seed))
    write(folder / "0.json", {"title": "one"})
    write(folder / "cut.jpg", jpeg()[:300])
    write(folder / "text.png", b"no picture")
    with opened_files(folder) as opened:
        first = ingest.index_folder(folder)
    assert bytes_of(opened) > 0
    with opened_files(folder) as opened:
        again = ingest.index_folder(folder)

    assert bytes_of(opened) == 0, opened
    assert counts(again) == (0, 3, 0, 0, 2)
    assert list(again.failed) == list(first.failed)


def test_a_touched_sidecar_is_read_without_its_photo(ingest: IngestFixture, folder: Path) -> None:
    write(folder / "a.jpg", jpeg())
    write(folder / "a.json", {"title": "one"})
    ingest.index_folder(folder)
    os.utime(folder / "a.json", (10**9, 10**9))
    with opened_files(folder) as opened:
        report = ingest.index_folder(folder)

    assert (counts(report), opened) == ((0, 1, 0, 0, 0), [folder / "a.json"])


@pytest.mark.parametrize("mended", [True, False])
def test_a_refused_file_that_changes_is_read_again(ingest: IngestFixture, folder: Path, mended: bool) -> None:
    write(folder / "a.jpg", jpeg()[:300])
    ingest.index_folder(folder)
    data = jpeg() if mended else jpeg(seed=1)[:300]
    write(folder / "a.jpg", data)

    with opened_files(folder) as opened:
        report = ingest.index_folder(folder)
    assert folder / "a.jpg" in opened
    assert counts(report) == ((1, 0, 0, 0, 0) if mended else (0, 0, 0, 0, 1))
    assert set(ingest.failures()) == (set() if mended else {"a.jpg"})


def test_a_retry_reads_an_unchanged_refused_file(ingest: IngestFixture, folder: Path) -> None:
    write(folder / "a.jpg", jpeg()[:300])
    ingest.index_folder(folder)
    with opened_files(folder) as opened:
        [answer] = ingest.service.RetryFailures(RetryFailuresRequest(), Call())

    assert folder / "a.jpg" in opened
    assert (answer.status, answer.reason) == (RETRY_STATUS_FAILED, "truncated")


def test_other_bytes_of_equal_size_and_time_show(ingest: IngestFixture, folder: Path) -> None:
    first, second = jpeg(seed=1), jpeg(seed=2)
    size = max(len(first), len(second))
    path = write(folder / "a.jpg", first.ljust(size, b"\0"))
    ingest.index_folder(folder)
    status = path.stat()
    path.write_bytes(second.ljust(size, b"\0"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert counts(ingest.index_folder(folder)) == (1, 0, 0, 0, 0)


@pytest.mark.parametrize(("pieces", "indexed"), [(2, 1), (3, 0)])
def test_a_growing_file_is_read_once_more(ingest: IngestFixture, folder: Path, pieces: int, indexed: int) -> None:
    data, path = jpeg(), folder / "a.jpg"
    write(path, data[:200])
    ends = iter([len(data) * piece // pieces for piece in range(1, pieces + 1)])

    def grow(opened: Path) -> None:
        if end := next(ends, 0):
            with opened.open("r+b") as file:
                file.write(data[:end])

    with opened_files(folder, before=grow) as opened:
        report = ingest.index_folder(folder)
    assert opened == [path, path]
    assert counts(report) == (indexed, 0, 0, 0, 1 - indexed)


def test_verify_compares_bytes_for_any_stored_state(ingest: IngestFixture, folder: Path) -> None:
    path = write(folder / "a.jpg", jpeg(seed=1))
    write(folder / "b.jpg", jpeg(seed=3))
    ingest.index_folder(folder)
    write(path, jpeg(seed=2))
    now = path.stat()  # as a disk that lies would leave it
    state = Origin(now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino, "", "")
    ingest.index.refresh_origins("photos", {"a.jpg": state})

    assert counts(ingest.index_folder(folder)) == (0, 2, 0, 0, 0)
    assert counts(ingest.index_folder(folder, verify=True)) == (1, 1, 0, 0, 0)
    assert ingest.photos() == {"a.jpg": 2, "b.jpg": 1}
