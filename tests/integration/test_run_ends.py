"""How a run ends when the index is away, or when the process itself is short of something."""

import errno
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from miradouro.core.errors import BadEvent, BadPhoto, Corrupt, FailedPrecondition, Unavailable
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.pipeline import PhotoInProgress
from miradouro.core.ports import NothingYet, Refused, SourceItem
from miradouro.ingest.metrics import IngestMetrics
from miradouro.ingest.pace import Pace
from miradouro.ingest.retry_policy import RetryPolicy
from miradouro.ingest.run import Run
from miradouro.ingest.runner import Runner
from miradouro.processors.guarded_step import GuardedStep, StepOutcome, StepRun
from miradouro.runtime.call import Call
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from tests.e2e.many_machines import eventually
from tests.ingest_fixture import IngestFixture, open_ingest
from tests.pictures import jpeg
from tests.waiting import WAIT_S

WAITS = {"step": "dead_letter"}


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[IngestFixture]:
    with open_ingest(tmp_path / "ingest") as opened:
        yield opened


def refused(photo_id: str) -> Refused:
    """An item that is finished at once, and waits for its group to be committed."""
    return Refused("photos", photo_id, 1, "", BadEvent("bad_data", "data", "is none"))


def consumed(
    ingest: IngestFixture, items: Iterator[SourceItem | NothingYet], call: Call, *, meanwhile: Callable[[], object] = lambda: None
) -> list[object]:
    """The results of the events of a log; fails when they take for ever."""
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(lambda: list(ingest.consume(items, call)))
        try:
            meanwhile()
            return list(done.result(WAIT_S))
        finally:
            call.cancelled.set()


def test_a_fatal_error_is_raised_without_the_index(ingest: IngestFixture) -> None:
    def items() -> Iterator[SourceItem]:
        yield refused("a")
        ingest.index.close()
        raise Corrupt("the log is damaged")

    with pytest.raises(Corrupt, match="the log is damaged"):
        consumed(ingest, items(), Call())


def test_a_stopped_run_ends_without_the_index(ingest: IngestFixture) -> None:
    call = Call(cancelled=threading.Event())

    def items() -> Iterator[SourceItem]:
        yield refused("a")
        ingest.index.close()
        call.cancelled.set()
        yield refused("b")

    assert consumed(ingest, items(), call) == [], "neither is acknowledged, so both come again"


def test_a_run_stopped_while_waiting_ends_cleanly(ingest: IngestFixture) -> None:
    call = Call(cancelled=threading.Event())

    def items() -> Iterator[SourceItem | NothingYet]:
        yield refused("a")
        ingest.index.close()
        yield NothingYet()

    def stop() -> None:
        eventually("it waits", lambda: bool(ingest.registry.get_sample_value("miradouro_ingest_retries_total", WAITS)))
        call.cancelled.set()

    assert consumed(ingest, items(), call, meanwhile=stop) == []


def test_waiting_photos_log_their_reason(ingest: IngestFixture) -> None:
    call = Call(cancelled=threading.Event())

    def items() -> Iterator[SourceItem | NothingYet]:
        yield refused("a")
        ingest.index.close()
        yield NothingYet()

    with capture_logs() as logged:

        def stop() -> None:
            eventually("it is logged", lambda: any(entry["event"] == "still waiting" for entry in logged))
            call.cancelled.set()

        consumed(ingest, items(), call, meanwhile=stop)
    [entry] = [entry for entry in logged if entry["event"] == "still waiting" and entry["tries"] == 4]
    assert (entry["step"], entry["log_level"]) == ("dead_letter", "warning")
    assert "closed" in entry["error"]


def no_memory(photo: PhotoInProgress) -> PhotoInProgress:
    np.empty(2**62, np.uint8)
    return photo


def no_handles(_photo: PhotoInProgress) -> PhotoInProgress:
    raise OSError(errno.EMFILE, "Too many open files")


SHORTAGES = pytest.mark.parametrize("step", [no_memory, no_handles])


@SHORTAGES
def test_a_shortage_of_resources_fails_no_photo(
    ingest: IngestFixture, step: Callable[[PhotoInProgress], PhotoInProgress]
) -> None:
    metrics = IngestMetrics(CollectorRegistry())
    runner = Runner(index=ingest.index, dead_letters=ingest.index, workers=1, pace=Pace(), metrics=metrics)
    retry = RetryPolicy(threading.Event(), math.inf, original_retry_s=0, metrics=metrics)
    run = Run(processors=[step], spaces=lambda _: (), retry=retry, retriable_stops=True)
    try:
        with pytest.raises(FailedPrecondition, match="out of memory or file handles"):
            list(runner.run([PhotoEvent("e", EventKind.UPLOADED, "photos", "a", 1, data=jpeg())], run))
    finally:
        runner.close()
    assert ingest.failures() == {}


@SHORTAGES
def test_a_shortage_of_the_process_is_never_ignored(step: Callable[[PhotoInProgress], PhotoInProgress]) -> None:
    runs: list[StepRun] = []
    guarded = GuardedStep("step", step, None, ignore_failure=True, on_failure=(), observe=runs.append)
    with pytest.raises((MemoryError, OSError)):
        guarded(PhotoInProgress(PhotoEvent("e", EventKind.UPLOADED, "photos", "a", 1), ()))
    assert [one.outcome for one in runs] == [StepOutcome.FAILED]


def test_a_retried_answer_does_not_repeat_the_steps() -> None:
    ran: list[str] = []

    def broken(_photo: PhotoInProgress) -> PhotoInProgress:
        ran.append("broken")
        raise BadPhoto("not_a_photo", "it is none")

    def answer(photo: PhotoInProgress) -> PhotoInProgress:
        ran.append("answer")
        if len(ran) < 4:
            raise Unavailable("not yet")
        return photo

    metrics = IngestMetrics(CollectorRegistry())
    retry = RetryPolicy(threading.Event(), WAIT_S, original_retry_s=0, metrics=metrics)
    answering = GuardedStep("answer", answer, None, ignore_failure=False, on_failure=(), observe=metrics.step, attempt=retry)
    step = GuardedStep("broken", broken, None, ignore_failure=False, on_failure=(answering,), observe=metrics.step, attempt=retry)
    done = step(PhotoInProgress(PhotoEvent("e", EventKind.UPLOADED, "photos", "a", 1), ()))

    assert ran == ["broken", "answer", "answer", "answer"]
    assert done.left_out == ("broken",)
