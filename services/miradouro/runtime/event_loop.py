"""The single event loop of a process, on its own thread: grpc.aio does not support several loops."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _SharedLoop:
    """A loop that runs while it has users."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def acquire(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="event-loop", daemon=True)
                self._thread.start()
            self._users += 1
            return self._loop

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users or self._loop is None or self._thread is None:
                return
            # On its own thread: the caller's may be running another loop.
            asyncio.run_coroutine_threadsafe(_cancel_rest(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = self._thread = None


async def _cancel_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


_SHARED = _SharedLoop()


@contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """The process's loop, running on its thread at least until the block ends."""
    loop = _SHARED.acquire()
    try:
        yield loop
    finally:
        _SHARED.release()
