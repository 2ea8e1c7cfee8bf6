"""The bounded queue of the runner, with two classes: interactive goes first, bulk takes at most half of the capacity."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from miradouro.core.embedding import Embedding, Priority, Tensor
from miradouro.core.errors import DeadlineExceeded, InvalidArgument, MiradouroError, Overloaded, Unavailable
from miradouro.core.spaces import Geometry
from miradouro.embedding.metrics import EmbeddingMetrics
from miradouro.runtime.tracing import current_trace


class Ticket:
    """The state shared by the jobs of one request: the caller's future and its deadline.

    `deadline` is on the clock of time.monotonic, None for no deadline. Cancelling `future` before it has a result drops the
    jobs that have not run.
    """

    def __init__(self, priority: Priority, deadline: float | None) -> None:
        self.priority, self.deadline, self.trace = priority, deadline, current_trace()
        self.future: Future[list[Embedding]] = Future()
        self._ending = threading.Lock()

    def drop_reason(self, now: float) -> str | None:
        """Why the jobs are dropped: cancelled, failed or expired; None while they may run."""
        if self.future.cancelled():
            return "cancelled"
        if self.future.done():
            return "failed"
        return "expired" if self.deadline is not None and now >= self.deadline else None

    def end(self, result: list[Embedding] | BaseException) -> None:
        """Sets the result or the error of the future, unless it has one already or is cancelled."""
        with self._ending:
            if self.future.done() or not self.future.set_running_or_notify_cancel():
                return
            if isinstance(result, BaseException):
                self.future.set_exception(result)
            else:
                self.future.set_result(result)


TicketT = TypeVar("TicketT", bound=Ticket)


@dataclass(eq=False)
class Job(Generic[TicketT]):
    """One photo for one bundle, in the geometries that the requested outputs (`spaces`, `tags`) need.

    `photo` is its position in the request.
    """

    ticket: TicketT
    photo: int
    bundle: str
    tensors: Mapping[Geometry, Tensor]
    spaces: tuple[str, ...]
    tags: bool
    queued_at: float = 0.0


class WorkQueue(Generic[TicketT]):
    """A queue of up to `capacity` jobs; thread-safe. Jobs without a waiting caller are dropped."""

    def __init__(self, capacity: int, metrics: EmbeddingMetrics, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = {Priority.INTERACTIVE: capacity, Priority.BULK: capacity // 2}
        self._capacity, self._metrics, self._clock = capacity, metrics, clock
        self._waiting: dict[Priority, deque[Job[TicketT]]] = {Priority.INTERACTIVE: deque(), Priority.BULK: deque()}
        self._changed = threading.Condition()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether jobs are refused."""
        return self._closed

    def depth(self, priority: Priority) -> int:
        """Number of queued jobs of a class."""
        return len(self._waiting[priority])

    def check_room(self, jobs: int, priority: Priority) -> None:
        """Raises what `put` of that many jobs would raise now: Overloaded, Unavailable or InvalidArgument."""
        with self._changed:
            self._check_room(jobs, priority)

    def put(self, jobs: Sequence[Job[TicketT]]) -> None:
        """Queues all jobs of one request, or none.

        Raises Overloaded when there is no room for all of them now, InvalidArgument when they exceed the limit of their class,
        Unavailable when closed.
        """
        with self._changed:
            priority = jobs[0].ticket.priority
            self._check_room(len(jobs), priority)
            now = self._clock()
            for job in jobs:
                job.queued_at = now
            self._waiting[priority].extend(jobs)
            self._changed.notify()

    def take(self, max_photos: Callable[[Priority], int]) -> list[Job[TicketT]]:
        """The next jobs to run together, all of one bundle, one class and the same geometries.

        Blocks until there are some; empty once the queue is closed and drained.
        """
        with self._changed:
            while True:
                for priority in (Priority.INTERACTIVE, Priority.BULK):
                    batch = self._next_batch(priority, max_photos(priority))
                    if batch:
                        return batch
                if self._closed:
                    return []
                self._changed.wait()

    def close(self) -> None:
        """Refuses further jobs; `take` still returns the queued ones."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def fail_all(self, error: MiradouroError) -> None:
        """Closes the queue and ends every queued job with `error`."""
        self.close()
        with self._changed:
            for waiting in self._waiting.values():
                while waiting:
                    waiting.popleft().ticket.end(error)

    def _check_room(self, jobs: int, priority: Priority) -> None:
        if self._closed:
            raise Unavailable("the embedding service is stopping; ask again, another one may answer")
        limit = self._limits[priority]
        if jobs > limit:
            raise InvalidArgument("photos", f"the request needs {jobs} tensors; a {priority.value} request may have {limit}")
        if self._fits(jobs, priority):
            return
        self._sweep()
        if not self._fits(jobs, priority):
            self._metrics.dropped.labels(priority.value, "overloaded").inc(jobs)
            raise Overloaded(
                f"{self.depth(Priority.INTERACTIVE)} interactive and {self.depth(Priority.BULK)} bulk tensors wait, no room for "
                f"{jobs} {priority.value} ones (at most {self._capacity}, {self._limits[Priority.BULK]} of them bulk); ask later"
            )

    def _fits(self, jobs: int, priority: Priority) -> bool:
        total = sum(len(waiting) for waiting in self._waiting.values())
        return total + jobs <= self._capacity and self.depth(priority) + jobs <= self._limits[priority]

    def _sweep(self) -> None:
        for priority, waiting in self._waiting.items():
            self._waiting[priority] = deque(job for job in waiting if self._is_wanted(job))

    def _next_batch(self, priority: Priority, max_photos: int) -> list[Job[TicketT]]:
        batch: list[Job[TicketT]] = []
        skipped: list[Job[TicketT]] = []
        waiting = self._waiting[priority]
        while waiting and len(batch) < max_photos:
            job = waiting.popleft()
            if not self._is_wanted(job):
                continue
            if batch and (job.bundle, job.tensors.keys()) != (batch[0].bundle, batch[0].tensors.keys()):
                skipped.append(job)
            else:
                batch.append(job)
        waiting.extendleft(reversed(skipped))
        return batch

    def _is_wanted(self, job: Job[TicketT]) -> bool:
        reason = job.ticket.drop_reason(self._clock())
        if reason is None:
            return True
        self._metrics.dropped.labels(job.ticket.priority.value, reason).inc()
        if reason == "expired":
            job.ticket.end(
                DeadlineExceeded("the deadline passed while the photo waited to be embedded; ask again with more time")
            )
        return False
