"""The calls in progress of a server: their number, their threads, and whether new ones are accepted."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from prometheus_client import Gauge

from miradouro.core.errors import Overloaded, Unavailable
from miradouro.runtime.call_limits import CallSlot

T = TypeVar("T")


class CallPool:
    """At most `max_calls` calls at a time, blocking work in `threads` threads; `gauge` shows the calls in progress."""

    def __init__(self, *, threads: int, max_calls: int, gauge: Gauge) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="handler")
        self._max_calls, self._gauge = max_calls, gauge
        self._lock = threading.Lock()
        self._active = 0
        self._draining = False

    @property
    def active(self) -> int:
        """Calls whose work has not ended, cancelled ones included."""
        with self._lock:
            return self._active

    def drain(self) -> None:
        """From now on refuses new calls as Unavailable."""
        with self._lock:
            self._draining = True

    def close(self) -> None:
        """Shuts the thread pool down; each thread ends with its current handler."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def admit(self) -> None:
        """Counts a call in; `release` counts it out. Raises Unavailable (draining) and Overloaded."""
        with self._lock:
            if self._draining:
                raise Unavailable("the server is shutting down; ask again, another one may answer")
            if self._active >= self._max_calls:
                raise Overloaded(f"{self._active} calls are in progress, which is the limit; ask again after a pause")
            self._active += 1
            self._gauge.inc()

    def release(self) -> None:
        """Counts a call out."""
        with self._lock:
            self._active -= 1
            self._gauge.dec()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Runs `work` in a thread, in the context (its trace above all) of the caller; fails as Unavailable once closed."""
        try:
            return self._pool.submit(contextvars.copy_context().run, work)
        except RuntimeError as exc:  # the pool is closed: the grace period is over
            failed: Future[T] = Future()
            failed.set_exception(
                Unavailable("the server is shutting down; ask again, another one may answer").with_traceback(exc.__traceback__)
            )
            return failed

    async def run(self, work: Callable[[], T], slot: CallSlot) -> T:
        """The result of `work`, run in a thread as the call of `slot`. Raises what it raises, Unavailable and Overloaded."""
        self.admit()
        slot.hold()

        def end(_: Future[T]) -> None:
            self.release()
            slot.release()

        future = self.submit(work)
        # Released when the thread is done, not when the caller gives up: abandoned work still takes a thread.
        future.add_done_callback(end)
        return await asyncio.wrap_future(future)
