"""The writer's background thread: seals and merges the segments of every space.

It works in small steps at a low priority, mostly outside the interpreter's lock, so that queries and writes go on. Stopped at any
point, it leaves only files under temporary names, which the next start removes.
"""

import logging
import os
import sys
import threading

from miradouro.adapters.sqlite_index.vector_spaces import VectorSpaces
from miradouro.adapters.sqlite_index.vectors.index import VectorIndex
from miradouro.adapters.sqlite_index.vectors.segment_file import Unusable
from miradouro.core.errors import MiradouroError

_NICENESS = 5
_NOTED_PHOTOS = 256  # look for work after so many writes

_log = logging.getLogger(__name__)


class _Cancelled(Exception):
    """The index is being closed."""


class Maintenance:
    """Runs until closed. Answers are right without it: errors are logged, and the work is tried again later."""

    def __init__(self, spaces: VectorSpaces) -> None:
        self._spaces = spaces
        self._condition = threading.Condition()
        self._requested = self._finished = self._noted = 0
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="index maintenance", daemon=True)

    def start(self) -> None:
        """Removes files that belong to no segment, and starts the thread."""
        self._spaces.remove_other_files()
        self._thread.start()
        self._request()

    def note(self, photos: int, *, at_once: bool = False) -> None:
        """Counts written photos; requests a round when they are many, or `at_once`."""
        with self._condition:
            self._noted += photos
            if self._noted < _NOTED_PHOTOS and not at_once:
                return
            self._noted = 0
        self._request()

    def settle(self, timeout_s: float | None) -> bool:
        """Waits until the work that is due now is done. Returns False on timeout."""
        requested = self._request()
        with self._condition:
            return self._condition.wait_for(lambda: self._finished >= requested or self._stopped, timeout_s)

    def close(self) -> None:
        """Cancels the work, within some tens of milliseconds. Safe to call twice."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _request(self) -> int:
        with self._condition:
            self._requested += 1
            self._condition.notify_all()
            return self._requested

    def _check_cancelled(self) -> None:
        if self._stopped:
            raise _Cancelled

    def _run(self) -> None:
        if sys.platform == "linux":  # where each thread has its own niceness
            me = threading.get_native_id()
            # Never below the niceness that the process was started with: only root may lower it.
            os.setpriority(os.PRIO_PROCESS, me, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, me)))
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._requested > self._finished or self._stopped)
                if self._stopped:
                    return
                requested = self._requested
            try:
                while self._work():
                    self._check_cancelled()
            except _Cancelled:
                return
            except (MiradouroError, OSError, Unusable) as exc:
                _log.warning("segments stay as they are for now: %s", exc)
            except Exception:  # noqa: BLE001 # our own fault, or out of memory: tried again with the next photos
                _log.exception("segments stay as they are for now")
            with self._condition:
                self._finished = requested
                self._condition.notify_all()

    def _work(self) -> bool:
        """Does one step for every space, so that none waits for another. Returns whether there was any."""
        worked = [self._work_on(index) for index in self._spaces.all()]
        return any(worked)

    def _work_on(self, index: VectorIndex) -> bool:
        self._check_cancelled()
        return index.seal(self._check_cancelled) or index.merge(self._check_cancelled)
