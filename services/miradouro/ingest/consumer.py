"""The consume loop: items of a log run through the pipeline, and each is acknowledged when it is settled."""

import functools
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import structlog

from miradouro.core.ports import EventSource, NothingYet, SourceItem
from miradouro.ingest.event_trace import names_of, trace_of
from miradouro.ingest.metrics import IngestMetrics
from miradouro.ingest.outcome import Outcome, Status
from miradouro.ingest.run_factory import RunFactory
from miradouro.ingest.runner import Runner
from miradouro.runtime.call import Call

_log = structlog.get_logger(__name__)


class LogSource(EventSource, Protocol):
    """An event source that runs until it is closed, such as a member of a consumer group."""

    @property
    def pending(self) -> int:
        """Items that were yielded, or wait to be, and are not acknowledged."""
        ...

    def close(self) -> None:
        """Stops reading; `events` ends after the items that were read."""
        ...

    def leave(self) -> None:
        """Makes the acknowledgements durable and closes the connections."""
        ...


def consume(items: Iterable[SourceItem | NothingYet], call: Call, *, runner: Runner, runs: RunFactory) -> Iterator[Outcome]:
    """Indexes the items of a log: one outcome per item, in order, each after it is stored, stale, or a dead letter.

    Retriable errors are retried until the call is cancelled. Raises what stops every photo.
    """
    return runner.run(items, runs.event_run(call, retriable_stops=True, retry_s=math.inf))


class Consumer:
    """Consumes `source` on its own thread until `stop`, or until an error that stops every photo; see `raise_error`."""

    def __init__(self, source: LogSource, *, runner: Runner, runs: RunFactory, metrics: IngestMetrics) -> None:
        self._source, self._runner, self._runs, self._metrics = source, runner, runs, metrics
        self._call = Call()
        self._error: BaseException | None = None
        self._on_failure: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._run, name="consume", daemon=True)

    def start(self, *, on_failure: Callable[[], None]) -> None:
        """Starts the thread, which calls `on_failure` if an error ends it."""
        self._on_failure = on_failure
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Stops reading, stores the items that were read, and commits.

        Items that are not stored within `grace_s` seconds are left to the next consumer.
        """
        self._source.close()
        self._thread.join(grace_s)
        if self._thread.is_alive():
            _log.warning("not everything that was read could be stored in time", pending=self._source.pending)
            self._call.cancelled.set()
            self._thread.join()
        self._source.leave()

    @property
    def is_running(self) -> bool:
        """Whether the thread consumes."""
        return self._thread.is_alive()

    def raise_error(self) -> None:
        """Raises the error that ended the thread, if one did."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            for outcome in consume(self._source.events(), self._call, runner=self._runner, runs=self._runs):
                self._source.acknowledge(outcome.item)
                self._metrics.events.labels(outcome.status.value, outcome.reason).inc()
                self._log_outcome(outcome)
        except BaseException as exc:  # noqa: BLE001 - `raise_error` raises it
            self._error = exc
            _log.error("consuming ended", error=str(exc))
            self._on_failure()

    def _log_outcome(self, outcome: Outcome) -> None:
        if outcome.status is Status.FAILED:
            self._metrics.dead_letters.labels(outcome.reason).inc()
            log = functools.partial(_log.warning, "dead letter", reason=outcome.reason, message=outcome.message)
        else:
            log = functools.partial(_log.debug, outcome.status.value)
        log(trace_id=trace_of(outcome.item).trace_id, **names_of(outcome.item))
