"""Commits the finished items of a run in groups: their documents, their dead letters, and the new states of unchanged files."""

import functools
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from miradouro.core.document import Document, Failure, Origin
from miradouro.core.errors import (
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
from miradouro.core.ports import (
    DeadLetters,
    Ignored,
    PhotoIndex,
    Refused,
    SourceItem,
    Unchanged,
    Unsettled,
    WriteStatus,
    Written,
)
from miradouro.ingest.event_trace import trace_of
from miradouro.ingest.event_wire import kept_with_failure
from miradouro.ingest.metrics import IngestMetrics
from miradouro.ingest.outcome import Outcome, Status, code_of
from miradouro.ingest.pace import Pace
from miradouro.ingest.run import Run

_log = structlog.get_logger(__name__)
_UNWRITTEN = Overloaded("not written yet")
_OF_THE_BYTES = frozenset(BadPhoto.REASONS) - BadPhoto.PASSING
_SETTLED = {Ignored: Status.IGNORED, Unsettled: Status.UNSETTLED}  # the status of items without a document


class CommitGroup:
    """The finished items of a run that are committed together."""

    def __init__(self, index: PhotoIndex, dead_letters: DeadLetters, pace: Pace, metrics: IngestMetrics, run: Run) -> None:
        self._index, self._dead_letters, self._pace, self._run = index, dead_letters, pace, run
        self._metrics = metrics
        self._finished: list[tuple[SourceItem, Document | MiradouroError | None]] = []
        self._began: list[float] = []
        self._oldest = 0.0

    def add(self, item: SourceItem, document: Future[Document] | None, *, began: float) -> None:
        """Adds an item whose document, if it has one, is done; `began` is the monotonic time at which its processing began.

        Raises the item's error if that stops every photo.
        """
        if not self._finished:
            self._oldest = time.monotonic()
        self._finished.append((item, self._result(item, document)))
        self._began.append(began)

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
            return Internal(f"a processor failed: {type(error).__name__}: {error}; the log has the traceback")
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


def _new_origins(items: Iterable[SourceItem]) -> dict[str, dict[str, Origin]]:
    """Collection → photo id → the new state of its files."""
    found: dict[str, dict[str, Origin]] = {}
    for item in items:
        if isinstance(item, Unchanged) and item.origin is not None:
            found.setdefault(item.collection, {})[item.photo_id] = item.origin
    return found


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
