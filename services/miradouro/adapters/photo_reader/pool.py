"""The pool of warm child processes that read photos, one photo at a time in each."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar

import structlog

from miradouro.adapters.photo_reader.decode_memory import DecodeMemory
from miradouro.adapters.photo_reader.jobs import Job
from miradouro.adapters.photo_reader.limits import AT_HAND_BYTES, MOST_BULK, MOST_INTERACTIVE, MOST_PROCESSES, ReaderLimits
from miradouro.adapters.photo_reader.process import Postponed, ProcessEnded, cpu_is_spent
from miradouro.adapters.photo_reader.processes import Processes
from miradouro.core.embedding import Priority
from miradouro.core.errors import BadPhoto, DeadlineExceeded, Overloaded
from miradouro.runtime.cpus import available_cpus

_log = structlog.get_logger(__name__)
_MOST = {Priority.INTERACTIVE: MOST_INTERACTIVE, Priority.BULK: MOST_BULK}
T = TypeVar("T")


class ReaderPool:
    """At most `size` children, 0 for one per CPU up to MOST_PROCESSES. The first starts with the first photo. Thread-safe.

    `close` ends the children and the reads in progress.
    """

    def __init__(self, *, size: int = 0, limits: ReaderLimits | None = None) -> None:
        self.size = size or min(available_cpus(), MOST_PROCESSES)
        self._limits = limits or ReaderLimits()
        self._budget = DecodeMemory(self._limits.budget_bytes)
        self._processes = Processes(self.size, self._limits)
        self._photos = dict.fromkeys(Priority, 0)  # admitted photos, including the waiting ones
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends every child and waits for its end. Reads in progress raise Unavailable."""
        self._processes.close()

    def warm(self) -> None:
        """Starts every child in the background."""
        self._processes.start_all()

    @property
    def pids(self) -> list[int]:
        """The process ids of the running children."""
        return self._processes.pids

    @property
    def busy(self) -> int:
        """The number of children that are reading a photo."""
        return self._processes.lent

    @property
    def waiting(self) -> int:
        """The number of photos that wait for a child."""
        return self._processes.waiting

    @property
    def taken_bytes(self) -> int:
        """The estimated memory of the photos that are being read."""
        return self._budget.taken

    def run(self, job: Job[T], *, priority: Priority, timeout_s: float | None = None, key: str = "", alone: bool = False) -> T:
        """The answer to a job. `alone` runs it while no other photo holds memory. See `PhotoReader` for the errors."""
        del key  # a pool keeps no journal
        remaining_s = _counting_down(timeout_s)
        with self._admitted(priority):
            try:
                return self._read(job, priority, remaining_s, alone=alone)
            except ProcessEnded as exc:
                if cpu_is_spent(exc):
                    raise self._took_too_much_cpu() from exc
                _log.warning("reading a photo ended its process; trying once more, alone", by=str(exc))
            try:
                return self._read(job, priority, remaining_s, alone=True)
            except ProcessEnded as exc:
                if cpu_is_spent(exc):
                    raise self._took_too_much_cpu() from exc
                raise BadPhoto(
                    "too_expensive", f"reading the photo ended its process twice ({exc}); save it anew as a plain JPEG or PNG"
                ) from exc

    def _read(self, job: Job[T], priority: Priority, remaining_s: Callable[[], float | None], *, alone: bool) -> T:
        """Reads the photo; again with more memory when the child needs more than was free."""
        wanted = self._budget.limit if alone else 0
        while True:
            with (
                self._budget.share(wanted, remaining_s=remaining_s, at_hand=AT_HAND_BYTES) as share,
                self._processes.one(priority, remaining_s=remaining_s) as process,
            ):
                answer = process.ask(job, share, remaining_s=remaining_s)
            if isinstance(answer, Postponed):
                if answer.size > self._budget.limit:
                    raise BadPhoto(
                        "too_expensive",
                        f"reading the photo takes {answer.size / 2**20:,.0f} MiB of memory; allowed: "
                        f"{self._budget.limit / 2**20:,.0f}; save it with fewer pixels",
                    )
                wanted = answer.size
                continue
            if answer.error is not None:
                raise answer.error
            return answer.value  # type: ignore[return-value]  # either `error` or `value` is set

    @contextmanager
    def _admitted(self, priority: Priority) -> Iterator[None]:
        """Counts a photo. Refuses it beyond the limit, which bounds the number of waiting threads."""
        with self._lock:
            if self._photos[priority] >= _MOST[priority]:
                raise Overloaded(f"{self._photos[priority]} photos are being read, which is the limit; ask again after a pause")
            self._photos[priority] += 1
        try:
            yield
        finally:
            with self._lock:
                self._photos[priority] -= 1

    def _took_too_much_cpu(self) -> BadPhoto:
        return BadPhoto(
            "too_expensive",
            f"reading the photo took more than {self._limits.cpu_s} s of CPU; save it anew as a plain JPEG or PNG",
        )


def _counting_down(timeout_s: float | None) -> Callable[[], float | None]:
    if timeout_s is None:
        return lambda: None
    ends_at = time.monotonic() + timeout_s

    def remaining_s() -> float:
        if (left := ends_at - time.monotonic()) <= 0:
            raise DeadlineExceeded(f"the photo was not read within {timeout_s:g} s; ask again with more time")
        return left

    return remaining_s
