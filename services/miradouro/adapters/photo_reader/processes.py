"""The children of a pool: starts them on demand, lends them by priority, replaces those that ended."""

import heapq
import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from miradouro.adapters.photo_reader.limits import ReaderLimits
from miradouro.adapters.photo_reader.process import ReaderProcess
from miradouro.core.embedding import Priority
from miradouro.core.errors import Unavailable

_ORDER = {Priority.INTERACTIVE: 0, Priority.BULK: 1}


class Processes:
    """At most `size` children; `one` lends them."""

    def __init__(self, size: int, limits: ReaderLimits) -> None:
        self._size, self._limits = size, limits
        self._changed = threading.Condition()
        self._idle: list[ReaderProcess] = []  # a stack: the child used last is lent first, its memory is warm
        self._lent: set[ReaderProcess] = set()
        self._starting = 0
        self._start_error: OSError | None = None
        self._waiting: list[tuple[int, int]] = []  # a heap of (order of the priority, ticket)
        self._tickets = itertools.count()
        self._starts: queue.SimpleQueue[bool] = queue.SimpleQueue()  # False: no more
        self._starter: threading.Thread | None = None
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """The process ids of the running children."""
        with self._changed:
            return [process.pid for process in (*self._idle, *self._lent) if process.is_alive]

    @property
    def lent(self) -> int:
        """The number of children in use."""
        with self._changed:
            return len(self._lent)

    @property
    def waiting(self) -> int:
        """The number of callers that wait for a child."""
        with self._changed:
            return len(self._waiting)

    def start_all(self) -> None:
        """Starts the missing children in the background."""
        with self._changed:
            while not self._closed and self._count < self._size:
                self._start_one()

    @contextmanager
    def one(self, priority: Priority, *, remaining_s: Callable[[], float | None]) -> Iterator[ReaderProcess]:
        """Lends a child to the block. An error in the block ends the child.

        Waiting callers are served by priority, then in order. `remaining_s` returns the seconds that the caller still waits, and
        raises when there are none left. Raises Unavailable (closed, or no process can be started).
        """
        process = self._take(priority, remaining_s)
        is_reusable = False
        try:
            yield process
            is_reusable = process.is_reusable
        finally:
            if not is_reusable:
                process.kill()
            self._put_back(process, is_reusable=is_reusable)

    def close(self) -> None:
        """Ends every child and waits for its end."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            idle, self._idle = self._idle, []
            for process in self._lent:
                process.end()
            self._changed.notify_all()
        for process in idle:
            process.kill()
        self._starts.put(False)
        if self._starter is not None:
            self._starter.join()
        with self._changed:  # each borrower's read fails now and puts its child back
            self._changed.wait_for(lambda: not self._lent)

    @property
    def _count(self) -> int:
        return len(self._idle) + len(self._lent) + self._starting

    def _take(self, priority: Priority, remaining_s: Callable[[], float | None]) -> ReaderProcess:
        with self._changed:
            ticket = (_ORDER[priority], next(self._tickets))
            heapq.heappush(self._waiting, ticket)
            try:
                while True:
                    if self._closed:
                        raise Unavailable(
                            "photos are not read any more: the process is shutting down; ask again, another may answer"
                        )
                    self._remove_ended()
                    if self._idle and self._waiting[0] == ticket:
                        process = self._idle.pop()
                        self._lent.add(process)
                        return process
                    if self._start_error is not None:
                        error, self._start_error = self._start_error, None
                        raise Unavailable(f"no process that reads photos can be started: {error}") from error
                    if len(self._idle) + self._starting < len(self._waiting) and self._count < self._size:
                        self._start_one()
                    self._changed.wait(remaining_s())
            finally:
                self._waiting.remove(ticket)
                heapq.heapify(self._waiting)
                self._changed.notify_all()

    def _put_back(self, process: ReaderProcess, *, is_reusable: bool) -> None:
        with self._changed:
            self._lent.remove(process)
            if self._closed:
                process.kill()
            elif is_reusable:
                self._idle.append(process)
            self._changed.notify_all()

    def _remove_ended(self) -> None:
        """Removes idle children that were killed from outside. No photo caused their end."""
        for process in [one for one in self._idle if not one.is_alive]:
            self._idle.remove(process)
            process.kill()

    def _start_one(self) -> None:
        """Starts a child in the starter thread: the kernel ends a child together with the thread that started it."""
        if self._starter is None:
            self._starter = threading.Thread(target=self._start_them, name="start-readers", daemon=True)
            self._starter.start()
        self._starting += 1
        self._starts.put(True)

    def _start_them(self) -> None:
        while self._starts.get():
            process, error = None, None
            try:
                process = ReaderProcess(self._limits)
            except OSError as exc:
                error = exc
            with self._changed:
                self._starting -= 1
                self._start_error = error
                if process is not None and self._closed:
                    process.kill()
                elif process is not None:
                    self._idle.append(process)
                self._changed.notify_all()
