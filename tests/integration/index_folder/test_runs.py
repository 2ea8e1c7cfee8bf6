"""A run over a folder: its progress, its order, and how it ends before its time."""

import os
import threading

import pytest
from miradouro.core.errors import FailedPrecondition, Unavailable
from miradouro.ingest.pace import Pace
from miradouro.runtime.call import Call
from miradouro.v1.ingest_service_pb2 import IndexFolderRequest

from tests.ingest_fixture import open_ingest
from tests.photo_folder import counts, write
from tests.pictures import jpeg
from tests.waiting import WAIT_S

FILES = int(os.environ.get("MIRADOURO_TEST_FILES", "100000"))


def test_progress_counts_up_to_every_file(ingest, folder):
    for number in range(5):
        write(folder / f"{number}.jpg", jpeg())
    write(folder / "notes.txt", b"words")
    *progress, last = ingest.stream(folder)

    assert [message.WhichOneof("message") for message in progress] == ["progress"] * len(progress)
    counts = [(message.progress.done, message.progress.total) for message in progress]
    assert counts[0] == (0, 0)
    assert counts[-1] == (6, 6)
    assert counts == sorted(counts)
    assert last.WhichOneof("message") == "report"


def test_failures_beyond_1000_are_sent_in_further_messages(ingest, folder):
    names = [f"{number:04}.jpg" for number in range(2_003)]
    for name in names:
        (folder / name).touch()
    messages = ingest.stream(folder)
    more = [message.more_failed.failed for message in messages if message.HasField("more_failed")]
    report = messages[-1].report

    assert [len(part) for part in more] == [1_000, 3]
    assert (len(report.failed), report.failed_total) == (1_000, 2_003)
    assert [one.path for part in [report.failed, *more] for one in part] == names


def test_ids_are_compared_in_one_order_everywhere(ingest, folder):
    names = ["a.jpg", "a/x.jpg", "a!/x.jpg", "a-b.jpg", "ä.jpg", "ab/x.jpg", "a b.jpg", "Z.jpg", "\uffff.jpg", "\U0001f600.jpg"]
    for name in names:
        write(folder / name, jpeg())

    assert counts(ingest.index_folder(folder)) == (len(names), 0, 0, 0, 0)
    assert list(ingest.photos()) == sorted(names, key=str.encode)
    assert counts(ingest.index_folder(folder)) == (0, len(names), 0, 0, 0)


def test_one_run_at_a_time_per_collection(ingest, folder):
    write(folder / "a.jpg", jpeg())
    stream = ingest.service.IndexFolder(IndexFolderRequest(path=str(folder)), Call())
    next(stream)

    with pytest.raises(FailedPrecondition, match="already"):
        ingest.index_folder(folder)
    stream.close()
    assert counts(ingest.index_folder(folder)) == (1, 0, 0, 0, 0)


def test_a_cancelled_run_stops_soon_and_keeps_progress(tmp_path, folder):
    with open_ingest(tmp_path / "ingest", pace=Pace(commit_photos=1), ingest_workers=2) as ingest:
        for number in range(8):
            write(folder / f"{number}.jpg", jpeg(seed=number))
        cancelled = threading.Event()
        seen: list[int] = []

        def watch() -> None:
            stream = ingest.service.IndexFolder(IndexFolderRequest(path=str(folder)), Call(cancelled=cancelled))
            seen.extend(message.report.indexed for message in stream)

        with ingest.networks.closed():
            run = threading.Thread(target=watch)
            run.start()
            assert ingest.networks.arrived.wait(WAIT_S)
            cancelled.set()
            run.join(WAIT_S)
            assert not run.is_alive(), "it does not wait for the forward pass, which the gate holds"
        assert seen[-1] == len(ingest.photos())
        assert counts(ingest.index_folder(folder))[0] == 8 - seen[-1]


def test_a_consumer_that_leaves_stops_the_run(ingest, folder):
    for number in range(4):
        write(folder / f"{number}.jpg", jpeg(seed=number))
    stream = ingest.service.IndexFolder(IndexFolderRequest(path=str(folder)), Call())
    next(stream)
    next(stream)
    stream.close()
    report = ingest.index_folder(folder)

    assert report.indexed + report.unchanged == 4


def test_a_run_without_embedder_stops_and_can_continue(tmp_path, folder):
    for number in range(3):
        write(folder / f"{number}.jpg", jpeg(seed=number))
    with open_ingest(tmp_path / "ingest", pace=Pace(retry_s=0.01)) as ingest:
        ingest.networks.broken = Unavailable("the network is away")
        with pytest.raises(Unavailable):
            ingest.index_folder(folder)
        assert ingest.failures() == {}
        ingest.networks.broken = None

        assert counts(ingest.index_folder(folder)) == (3, 0, 0, 0, 0)


@pytest.mark.long
def test_100_000_files_are_indexed_once_then_unchanged(ingest, folder):
    for number in range(FILES):
        first = number - number % 50_000  # ext4 allows 65,000 links to a file
        if number == first:
            write(folder / f"{number}.jpg", jpeg())
        else:
            os.link(folder / f"{first}.jpg", folder / f"{number}.jpg")
    progress = [message.progress for message in ingest.stream(folder) if message.HasField("progress")]
    assert [one.done for one in progress] == sorted(one.done for one in progress)
    assert len(ingest.photos()) == FILES
    assert counts(ingest.index_folder(folder)) == (0, FILES, 0, 0, 0)
