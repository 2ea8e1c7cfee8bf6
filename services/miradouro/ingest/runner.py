"""Runs photos through the pipeline: several at a time, committed in groups, with one outcome each in the order of the source.

Worker threads take photos from event to document; the calling thread reads the source, collects the documents in order, and
commits them in groups. So decoding, embedding and writing overlap, and the events of one photo keep their order.
"""

import collections
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass

import structlog

from miradouro.core.document import Document
from miradouro.core.errors import BadEvent, FailedPrecondition, Internal, InvalidArgument, MiradouroError, NotFound
from miradouro.core.event import PhotoEvent
from miradouro.core.pipeline import ingest
from miradouro.core.ports import DeadLetters, NothingYet, PhotoIndex, SourceItem
from miradouro.core.spaces import Space
from miradouro.ingest.commit_group import CommitGroup
from miradouro.ingest.event_trace import names_of, trace_of
from miradouro.ingest.metrics import IngestMetrics
from miradouro.ingest.outcome import Outcome
from miradouro.ingest.pace import Pace
from miradouro.ingest.run import Run
from miradouro.runtime.tracing import traced

_log = structlog.get_logger(__name__)
_POLL_S = 0.05  # how soon a cancelled run is noticed while it waits for a photo


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
        group = CommitGroup(self._index, self._dead_letters, self._pace, self._metrics, run)
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
        self, items: Iterable[SourceItem | NothingYet], flights: collections.deque[_Flight], group: CommitGroup, run: Run
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

    def _land(self, flights: collections.deque[_Flight], group: CommitGroup, run: Run) -> Iterator[Outcome]:
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
        group.add(flight.item, flight.document, began=flight.began)
        if group.is_due():
            yield from group.commit()


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


def _has_landed(flight: _Flight) -> bool:
    return flight.document is None or flight.document.done()
