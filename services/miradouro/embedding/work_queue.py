"""The bounded queue of the runners, with two classes: interactive goes first, bulk takes at most half of the capacity.

It admits by time, too: recent passes show how long the queued work takes. Work that would end too late is refused before it costs
anything, or dropped when its turn comes: the time goes to photos that still have a caller.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from miradouro.core.embedding import Embedding, Priority, Tensor
from miradouro.core.errors import DeadlineExceeded, InvalidArgument, MiradouroError, Overloaded, Unavailable
from miradouro.core.spaces import Geometry
from miradouro.embedding.metrics import EmbeddingMetrics
from miradouro.embedding.pass_times import PassTimes
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


LONGEST_WAIT_S = 60.0  # of work before a request: the time that clients wait by default
CAUTION = 1.25  # passes take longer than expected while photos are decoded beside them
_ORDER = (Priority.INTERACTIVE, Priority.BULK)

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


@dataclass(eq=False)
class Room:
    """Room in the queue for a request whose photos are not decoded yet: `jobs` by bundle."""

    priority: Priority
    jobs: Counter[str]


@dataclass(eq=False)
class Turn(Generic[TicketT]):
    """Jobs that run in one pass, on all CPUs or side by side with other turns; `started` is on the clock of the queue."""

    jobs: list[Job[TicketT]]
    side_by_side: bool
    started: float


class WorkQueue(Generic[TicketT]):
    """A queue of up to `capacity` jobs and LONGEST_WAIT_S of work; thread-safe. Jobs without a waiting caller are dropped.

    `passes`: turns that may run side by side. `max_photos`: the most jobs of a turn.
    """

    def __init__(
        self,
        capacity: int,
        metrics: EmbeddingMetrics,
        *,
        max_photos: Mapping[Priority, int],
        passes: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = {Priority.INTERACTIVE: capacity, Priority.BULK: capacity // 2}
        self._capacity, self._metrics, self._clock = capacity, metrics, clock
        self._passes, self._max_photos = passes, max_photos
        self._times = PassTimes(passes=passes, photos=max_photos[Priority.INTERACTIVE], clock=clock)
        self._waiting: dict[Priority, deque[Job[TicketT]]] = {priority: deque() for priority in _ORDER}
        self._jobs: dict[Priority, Counter[str]] = {priority: Counter() for priority in _ORDER}  # waiting ones and rooms
        self._running: list[Turn[TicketT]] = []
        self._changed = threading.Condition()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether jobs are refused."""
        return self._closed

    def depth(self, priority: Priority) -> int:
        """Number of queued jobs of a class."""
        return len(self._waiting[priority])

    def expected_wait_s(self, priority: Priority) -> float:
        """Seconds until a new job of a class would run, as recent passes suggest."""
        with self._changed:
            return self._wait_s(priority)

    def passes_at_a_time(self, bundle: str) -> int:
        """How many passes of `bundle` run at a time when photos wait."""
        with self._changed:
            return self._passes if self._times.prefers_side_by_side(bundle) else 1

    @contextmanager
    def room(self, jobs: Mapping[str, int], priority: Priority, deadline: float | None) -> Iterator[Room]:
        """Holds room for jobs, by bundle, until `put` fills it or the block ends.

        Raises Overloaded when there is none now or when the jobs would wait beyond the deadline or LONGEST_WAIT_S,
        DeadlineExceeded when they take longer than the deadline even without a wait, InvalidArgument when they exceed the limit
        of their class, Unavailable when closed.
        """
        with self._changed:
            self._check_room(jobs, priority, deadline)
            room = Room(priority, Counter(jobs))
            self._jobs[priority].update(room.jobs)
        try:
            yield room
        finally:
            with self._changed:
                self._give_back(room)

    def put(self, jobs: Sequence[Job[TicketT]], room: Room | None = None) -> None:
        """Queues all jobs of one request, or none. They fit into `room`; without one, raises what `room` raises."""
        with self._changed:
            ticket = jobs[0].ticket
            needed = Counter(job.bundle for job in jobs)
            if room is None:
                self._check_room(needed, ticket.priority, ticket.deadline)
            else:
                self._check_open()
                self._give_back(room)
            now = self._clock()
            for job in jobs:
                job.queued_at = now
            self._waiting[ticket.priority].extend(jobs)
            self._jobs[ticket.priority].update(needed)
            self._changed.notify_all()

    def take(self) -> Turn[TicketT] | None:
        """The next jobs to run together, all of one bundle, one class and the same geometries; `end` must follow.

        Blocks until there are some that may run beside the running turns; None once the queue is closed and drained.
        """
        with self._changed:
            while True:
                if (turn := self._next_turn()) is not None:
                    self._running.append(turn)
                    return turn
                if self._closed and not any(self._waiting.values()):
                    self._changed.notify_all()
                    return None
                self._changed.wait()

    def end(self, turn: Turn[TicketT], *, failed: bool) -> None:
        """Ends a turn that `take` returned; its time counts unless the pass `failed`."""
        with self._changed:
            # A pass that had the other CPUs' share for itself says nothing about passes side by side.
            if not failed and (not turn.side_by_side or len(self._running) == self._passes):
                self._times.add(turn.jobs[0].bundle, self._clock() - turn.started, side_by_side=turn.side_by_side)
            self._running.remove(turn)
            self._changed.notify_all()

    def close(self) -> None:
        """Refuses further jobs; `take` still returns the queued ones."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def fail_all(self, error: MiradouroError) -> None:
        """Closes the queue and ends every queued job with `error`."""
        self.close()
        with self._changed:
            for priority in _ORDER:
                while self._waiting[priority]:
                    self._pop(priority).ticket.end(error)
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the embedding service is stopping; ask again, another one may answer")

    def _check_room(self, jobs: Mapping[str, int], priority: Priority, deadline: float | None) -> None:
        self._check_open()
        count, limit = sum(jobs.values()), self._limits[priority]
        if count > limit:
            raise InvalidArgument("photos", f"the request needs {count} tensors; a {priority.value} request may have {limit}")
        if self._refusal(jobs, priority, deadline) is None:
            return
        self._sweep()
        refusal = self._refusal(jobs, priority, deadline)
        if refusal is not None:
            reason, error = refusal
            self._metrics.dropped.labels(priority.value, reason).inc(count)
            raise error

    def _refusal(self, jobs: Mapping[str, int], priority: Priority, deadline: float | None) -> tuple[str, MiradouroError] | None:
        """Why the jobs are refused now, as the reason in the metrics and the error; None when they are admitted."""
        count = sum(jobs.values())
        queued = {each: self._jobs[each].total() for each in _ORDER}
        if sum(queued.values()) + count > self._capacity or queued[priority] + count > self._limits[priority]:
            return "overloaded", Overloaded(
                f"{queued[Priority.INTERACTIVE]} interactive and {queued[Priority.BULK]} bulk tensors wait, no room for "
                f"{count} {priority.value} ones (at most {self._capacity}, {self._limits[Priority.BULK]} of them bulk); ask later"
            )
        wait_s = self._wait_s(priority)
        if wait_s > LONGEST_WAIT_S:
            return "overloaded", Overloaded(
                f"{wait_s:.0f} s of work wait before {priority.value} tensors, at most {LONGEST_WAIT_S:g} s may; ask later"
            )
        if deadline is None:
            return None
        left_s, run_s = deadline - self._clock(), self._run_s(jobs)
        if CAUTION * (wait_s + run_s) <= left_s:
            return None
        if run_s > left_s:
            return "no_time", DeadlineExceeded(
                f"the photos take about {run_s:.2f} s, the deadline is in {max(left_s, 0):.2f} s; ask again with more time"
            )
        return "no_time", Overloaded(
            f"{wait_s:.2f} s of work wait before the photos, which take about {run_s:.2f} s; the deadline is in {left_s:.2f} s; "
            "ask later, or with more time"
        )

    def _wait_s(self, priority: Priority) -> float:
        """Seconds of work that run before a new job of the class. A running pass counts as if it had just begun."""
        before = Counter(job.bundle for turn in self._running for job in turn.jobs)
        for each in _ORDER[: _ORDER.index(priority) + 1]:
            before.update(self._jobs[each])
        return self._work_s(before)

    def _run_s(self, jobs: Mapping[str, int]) -> float:
        """Seconds from the start of the first job to the end of the last one."""
        return max(self._work_s(jobs), *map(self._times.pass_s, jobs))

    def _work_s(self, jobs: Mapping[str, int]) -> float:
        return sum(count * self._times.photo_s(bundle) for bundle, count in jobs.items() if count)

    def _sweep(self) -> None:
        for priority, waiting in self._waiting.items():
            kept = [job for job in waiting if self._is_wanted(job)]
            self._waiting[priority] = deque(kept)
            self._jobs[priority].subtract(Counter(job.bundle for job in waiting))
            self._jobs[priority].update(job.bundle for job in kept)

    def _next_turn(self) -> Turn[TicketT] | None:
        for priority in _ORDER:
            waiting = self._waiting[priority]
            while waiting and not self._is_wanted(waiting[0]):
                self._pop(priority)
            if waiting:
                side_by_side = self._may_run_side_by_side(waiting)
                if self._running and not (side_by_side and self._have_room_beside()):
                    return None  # nothing overtakes it
                return Turn(self._next_batch(priority), side_by_side, self._clock())
        return None

    def _have_room_beside(self) -> bool:
        return len(self._running) < self._passes and all(turn.side_by_side for turn in self._running)

    def _may_run_side_by_side(self, waiting: Sequence[Job[TicketT]]) -> bool:
        """Whether the first waiting job shares the CPUs: with running passes, or when enough jobs wait to use all of them."""
        if self._running:
            return self._times.prefers_side_by_side(waiting[0].bundle)
        return len(waiting) >= self._passes > 1 and all(
            self._times.prefers_side_by_side(bundle) for bundle in {job.bundle for job in waiting}
        )

    def _next_batch(self, priority: Priority) -> list[Job[TicketT]]:
        """The first job, which is wanted, and those that can run with it."""
        first = self._pop(priority)
        batch, skipped = [first], []
        waiting = self._waiting[priority]
        while waiting and len(batch) < self._max_photos[priority]:
            job = self._pop(priority)
            if not self._is_wanted(job):
                continue
            if (job.bundle, job.tensors.keys()) == (first.bundle, first.tensors.keys()):
                batch.append(job)
            else:
                skipped.append(job)
        waiting.extendleft(reversed(skipped))
        self._jobs[priority].update(job.bundle for job in skipped)
        return batch

    def _pop(self, priority: Priority) -> Job[TicketT]:
        job = self._waiting[priority].popleft()
        self._jobs[priority][job.bundle] -= 1
        return job

    def _give_back(self, room: Room) -> None:
        self._jobs[room.priority].subtract(room.jobs)
        room.jobs.clear()

    def _is_wanted(self, job: Job[TicketT]) -> bool:
        now = self._clock()
        reason = job.ticket.drop_reason(now)
        if reason is None and not self._can_finish(job, now):
            reason = "too_late"
        if reason is None:
            return True
        self._metrics.dropped.labels(job.ticket.priority.value, reason).inc()
        if reason == "expired":
            job.ticket.end(
                DeadlineExceeded("the deadline passed while the photo waited to be embedded; ask again with more time")
            )
        elif reason == "too_late":
            job.ticket.end(
                DeadlineExceeded("the photo waited so long that it could not be embedded in time; ask again with more time")
            )
        return False

    def _can_finish(self, job: Job[TicketT], now: float) -> bool:
        return job.ticket.deadline is None or now + self._times.pass_s(job.bundle) <= job.ticket.deadline
