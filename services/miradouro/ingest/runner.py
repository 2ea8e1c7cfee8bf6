"""Runs photos through the pipeline: several at a time, committed in groups, with one outcome each in the order of the source.

Worker threads take photos from event to document; the calling thread reads the source, collects the documents in order, and
commits them in groups. So decoding, embedding and writing overlap, and the events of one photo keep their order.
"""

import collections
import functools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

import structlog

from miradouro.core.document import Document, Failure, Origin
from miradouro.core.errors import (
    BadEvent,
    BadPhoto,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    MiradouroError,
    NotFound,
    OriginalUnavailable,
    Overloaded,
    is_shortage,
)
from miradouro.core.event import PhotoEvent
from miradouro.core.pipeline import Processor, ingest
from miradouro.core.ports import (
    DeadLetters,
    Ignored,
    NothingYet,
    PhotoIndex,
    Refused,
    SourceItem,
    Unchanged,
    Unsettled,
    WriteStatus,
    Written,
)
from miradouro.core.spaces import Space
from miradouro.ingest.event_trace import names_of, trace_of
from miradouro.ingest.event_wire import kept_with_failure
from miradouro.ingest.metrics import IngestMetrics
from miradouro.ingest.pace import Pace
from miradouro.ingest.retry_policy import RetryPolicy
from miradouro.runtime.tracing import traced

_log = structlog.get_logger(__name__)
_POLL_S = 0.05  # how soon a cancelled run is noticed while it waits for a photo
PROCESSING_FAILED = "processing_failed"  # the reason of a photo at which a processor, not the photo, is at fault
_UNWRITTEN = Overloaded("not written yet")
_OF_THE_BYTES = frozenset(BadPhoto.REASONS) - BadPhoto.PASSING


class Status(StrEnum):
    """The result of an item of a source."""

    STORED = "stored"
    STALE = "stale"
    FAILED = "failed"
    UNCHANGED = "unchanged"
    IGNORED = "ignored"
    UNSETTLED = "unsettled"


_SETTLED = {Ignored: Status.IGNORED, Unsettled: Status.UNSETTLED}  # the status of items without a document


@dataclass(frozen=True)
class Outcome:
    """The result of an item. A failure has a `reason` for programs; it is a dead letter unless it is `retriable`.

    `moved` photos were stored under a new id in place of their old one.
    """

    item: SourceItem
    status: Status
    reason: str = ""
    message: str = ""
    retriable: bool = False
    moved: bool = False


@dataclass(frozen=True)
class Run:
    """Everything that one run uses. The processors own their retries; see `Pipeline.build`.

    `spaces` returns the spaces of a collection, which it creates when missing. `retriable_stops`: a retriable error that outlasts
    `retry` is raised, because it affects the other photos as well; otherwise it is the outcome of its photo. A photo host that
    does not answer never stops a run: the photo fails as `unreachable`. `moved_from` returns the tombstone of a stored photo's
    former id, None for a photo that did not move; it is None for sources without moves. `may_grow` returns whether the file of a
    failed item is still being written: then the item is not a failure yet.
    """

    processors: Sequence[Processor]
    spaces: Callable[[str], Sequence[Space]]
    retry: RetryPolicy
    retriable_stops: bool
    moved_from: Callable[[Document], Document | None] | None = None
    may_grow: Callable[[SourceItem, str], bool] | None = None

    @property
    def cancelled(self) -> threading.Event:
        """An event that is set when the caller no longer waits."""
        return self.retry.cancelled


@dataclass(frozen=True)
class _Flight:
    """An item whose document is being made; `size_bytes` is the size of its encoded photo, 0 if it is not known yet."""

    item: SourceItem
    document: Future[Document] | None
    size_bytes: int
    began: float


class Runner:
    """Owns the worker threads, which all runs share. `close` ends them."""

    def __init__(self, *, index: PhotoIndex, dead_letters: DeadLetters, workers: int, pace: Pace, metrics: IngestMetrics) -> None:
        self._index, self._dead_letters, self._pace, self._metrics = index, dead_letters, pace, metrics
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="ingest")

    def close(self) -> None:
        """Ends the worker threads; photos that wait are dropped."""
        self._workers.shutdown(wait=True, cancel_futures=True)

    def run(self, items: Iterable[SourceItem | NothingYet], run: Run) -> Iterator[Outcome]:
        """One outcome per item, in order, each after it is stored durably.

        Ends early when the run is cancelled; finished items are then committed in one try. Raises what stops every photo: a
        provenance mismatch, a wrong setting, a damaged store; and see `Run`.
        """
        flights: collections.deque[_Flight] = collections.deque()
        group = _Group(self._index, self._dead_letters, self._pace, self._metrics, run)
        try:
            yield from self._committed(items, flights, group, run)
        except MiradouroError as exc:
            if not (exc.retriable and run.cancelled.is_set()):
                raise
            _log.warning("stopped while photos waited; they are left to the next run", error=exc.message)
        finally:
            for one in flights:
                if one.document is not None:
                    one.document.cancel()
            group.save()

    def _committed(
        self, items: Iterable[SourceItem | NothingYet], flights: collections.deque[_Flight], group: "_Group", run: Run
    ) -> Iterator[Outcome]:
        for item in items:
            if run.cancelled.is_set():
                return
            if isinstance(item, NothingYet):
                while flights and not run.cancelled.is_set():
                    yield from self._land(flights, group, run)
                yield from group.commit()
                continue
            flights.append(self._launch(item, run))
            while not run.cancelled.is_set() and flights and (_has_landed(flights[0]) or self._is_full(flights)):
                yield from self._land(flights, group, run)
        while flights and not run.cancelled.is_set():
            yield from self._land(flights, group, run)
        yield from group.commit()

    def _is_full(self, flights: collections.deque[_Flight]) -> bool:
        size_bytes = sum(flight.size_bytes for flight in flights)
        return len(flights) >= self._pace.max_photos or size_bytes > self._pace.max_bytes

    def _launch(self, item: SourceItem, run: Run) -> _Flight:
        if not isinstance(item, PhotoEvent):
            return _Flight(item, None, 0, time.monotonic())
        size_bytes = len(item.data) if item.data is not None else item.origin.size_bytes if item.origin else 0
        return _Flight(item, self._workers.submit(_document_of, item, run), size_bytes, time.monotonic())

    def _land(self, flights: collections.deque[_Flight], group: "_Group", run: Run) -> Iterator[Outcome]:
        """Waits for the oldest item and adds it to the group; yields the outcomes of the commits that fall due meanwhile."""
        document = flights[0].document
        while document is not None and not run.cancelled.is_set():
            try:
                document.exception(timeout=_POLL_S)
                break
            except StillRunning:
                if group.is_due():
                    yield from group.commit()
        if document is not None and not document.done():
            return
        flight = flights.popleft()
        group.add(flight)
        if group.is_due():
            yield from group.commit()


class _Group:
    """Finished items that are committed together."""

    def __init__(self, index: PhotoIndex, dead_letters: DeadLetters, pace: Pace, metrics: IngestMetrics, run: Run) -> None:
        self._index, self._dead_letters, self._pace, self._run = index, dead_letters, pace, run
        self._metrics = metrics
        self._finished: list[tuple[SourceItem, Document | MiradouroError | None]] = []
        self._began: list[float] = []
        self._oldest = 0.0

    def add(self, flight: _Flight) -> None:
        """Adds a finished item. Raises its error if that stops every photo."""
        if not self._finished:
            self._oldest = time.monotonic()
        self._finished.append((flight.item, self._result(flight.item, flight.document)))
        self._began.append(flight.began)

    def is_due(self) -> bool:
        """Whether the group is full, or its oldest item waited long enough."""
        full = len(self._finished) >= self._pace.commit_photos
        waited_s = time.monotonic() - self._oldest
        return full or (bool(self._finished) and waited_s >= self._pace.commit_interval_s)

    def commit(self) -> list[Outcome]:
        """Stores the group and returns its outcomes."""
        finished, self._finished = self._finished, []
        began, self._began = self._began, []
        documents = [result for _, result in finished if isinstance(result, Document)]
        written = iter(self._write(documents))
        outcomes = [self._outcome(item, result, written) for item, result in finished]
        outcomes = self._moved(outcomes, [result for _, result in finished])
        for outcome, since in zip(outcomes, began, strict=True):
            if outcome.status is Status.STORED:
                self._metrics.photo_seconds.observe(time.monotonic() - since)
        failures = [_failure(one) for one in outcomes if one.status is Status.FAILED and _is_recorded(one)]
        if failures:
            self._run.retry("dead_letter", lambda: self._dead_letters.put(failures))
        for collection, origins in _new_origins(item for item, _ in finished).items():
            self._run.retry("write", functools.partial(self._index.refresh_origins, collection, origins))
            # The file is as it is stored, but may have been broken in between.
            self._run.retry("dead_letter", functools.partial(self._dead_letters.forget, collection, list(origins)))
        return outcomes

    def _moved(self, outcomes: list[Outcome], results: Sequence[object]) -> list[Outcome]:
        """Deletes the old ids of photos that moved; the new ones are stored already."""
        moved_from = self._run.moved_from
        if moved_from is None:
            return outcomes
        tombstones: dict[int, Document] = {}
        for i, (outcome, result) in enumerate(zip(outcomes, results, strict=True)):
            if outcome.status is Status.STORED and isinstance(result, Document) and not result.deleted:
                old = self._run.retry("write", functools.partial(moved_from, result))
                if old is not None:
                    tombstones[i] = old
        statuses = dict(zip(tombstones, self._write(list(tombstones.values())), strict=True))
        return [replace(one, moved=statuses.get(i) is WriteStatus.STORED) for i, one in enumerate(outcomes)]

    def save(self) -> None:
        """Tries once to store the finished items when the run ends early; the source yields the others again.

        Neither waits nor raises when the index is unavailable: that would delay the caller, or the error that ended the run.
        """
        if not self._finished:
            return
        self._run = replace(self._run, retry=self._run.retry.once())
        try:
            self.commit()
        except MiradouroError as exc:
            if not exc.retriable:
                raise
            _log.warning("finished photos could not be stored at the end; they come again", error=exc.message)

    def _result(self, item: SourceItem, done: Future[Document] | None) -> Document | MiradouroError | None:
        if done is None:
            return item.error if isinstance(item, Refused) else None
        error = done.exception()
        if error is None:
            return done.result()
        if isinstance(error, InvalidArgument | NotFound | Internal):
            return error
        if isinstance(error, MiradouroError):
            if error.retriable and not self._run.retriable_stops:
                return error
            if isinstance(error, OriginalUnavailable) and not self._run.cancelled.is_set():
                return BadPhoto("unreachable", f"{error.message}; tried for {self._run.retry.original_retry_s:g} s")
            raise error
        if is_shortage(error):
            raise FailedPrecondition(
                f"ingest is out of memory or file handles: {type(error).__name__}: {error}; give it more, or fewer "
                "MIRADOURO_INGEST_WORKERS, and start it again"
            ) from error
        if isinstance(error, Exception):  # a fault of a processor, taken for the fault of this photo
            _log.error("a processor failed", photo_id=getattr(item, "photo_id", ""), exc_info=error)
            return Internal(f"a processor failed: {type(error).__name__}: {error}; the log tells where")
        raise error

    def _write(self, documents: Sequence[Document]) -> list[Written]:
        if not documents:
            return []
        try:
            return self._write_all(documents)
        except InvalidArgument as exc:
            if len(documents) == 1:
                return [exc]
        return [result for one in documents for result in self._write([one])]  # one of them is at fault: store the others

    def _write_all(self, documents: Sequence[Document]) -> list[Written]:
        """Writes the documents. Retries those that the engine had no capacity for."""
        results: list[Written] = [_UNWRITTEN] * len(documents)

        def write_rest() -> None:
            rest = [i for i, result in enumerate(results) if isinstance(result, Overloaded)]
            for i, result in zip(rest, self._index.write([documents[i] for i in rest]), strict=True):
                results[i] = result
            if refused := [result for result in results if isinstance(result, Overloaded)]:
                raise refused[0]

        with self._metrics.write_seconds.time():
            self._run.retry("write", write_rest)
        self._metrics.write_photos.observe(len(documents))
        return results

    def _outcome(
        self, item: SourceItem, result: Document | Written | MiradouroError | None, written: Iterator[Written]
    ) -> Outcome:
        result = next(written) if isinstance(result, Document) else result
        if isinstance(result, MiradouroError):
            if self._run.may_grow is not None and self._run.may_grow(item, code_of(result)):
                return Outcome(item, Status.UNSETTLED)
            return Outcome(item, Status.FAILED, code_of(result), result.message, result.retriable)
        if result is not None:
            return Outcome(item, Status.STORED if result is WriteStatus.STORED else Status.STALE)
        return Outcome(item, _SETTLED.get(type(item), Status.UNCHANGED))


def code_of(error: MiradouroError) -> str:
    """The short reason of a failure, for programs."""
    if isinstance(error, BadPhoto | BadEvent):
        return error.reason
    return PROCESSING_FAILED if isinstance(error, Internal) else error.status.lower()


def _document_of(event: PhotoEvent, run: Run) -> Document:
    with traced(trace_of(event), **names_of(event)):
        return ingest(event, processors=run.processors, spaces=_spaces_of(event, run))


def _spaces_of(event: PhotoEvent, run: Run) -> Sequence[Space]:
    """The spaces of the event's collection. Raises BadEvent if it is not allowed; other errors do not concern the photo."""
    try:
        return run.retry("collection", lambda: run.spaces(event.collection))
    except BadEvent:
        raise
    except (InvalidArgument, NotFound, Internal) as exc:
        raise FailedPrecondition(f"collection {event.collection!r} can't take photos: {exc.message}") from exc


def _new_origins(items: Iterable[SourceItem]) -> dict[str, dict[str, Origin]]:
    """Collection → photo id → the new state of its files."""
    found: dict[str, dict[str, Origin]] = {}
    for item in items:
        if isinstance(item, Unchanged) and item.origin is not None:
            found.setdefault(item.collection, {})[item.photo_id] = item.origin
    return found


def _has_landed(flight: _Flight) -> bool:
    return flight.document is None or flight.document.done()


def _is_recorded(outcome: Outcome) -> bool:
    item = outcome.item
    is_new = not isinstance(item, Refused) or (item.version > 0 and not item.is_recorded)
    return is_new and not outcome.retriable


def _failure(outcome: Outcome) -> Failure:
    item = outcome.item
    assert isinstance(item, PhotoEvent | Refused)
    return Failure(
        collection=item.collection,
        photo_id=item.photo_id,
        version=item.version,
        reason=outcome.reason,
        message=outcome.message,
        uri=item.uri,
        failed_at=datetime.now(UTC),
        event=kept_with_failure(item),
        record=item.record,
        traceparent=trace_of(item).header,
        origin=item.origin if isinstance(item, PhotoEvent) and outcome.reason in _OF_THE_BYTES else None,
    )
