"""Files that somebody swaps while we run, as mounted secrets and certificates are: read again when they have changed."""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from miradouro.core.errors import ConfigurationError

T = TypeVar("T")
_State = tuple[tuple[int, int, int, int] | None, ...]
_log = structlog.get_logger(__name__)


class SwappedFiles(Generic[T]):
    """What `read` makes of the files `paths`, made anew when one of them was changed or swapped. Safe for any threads.

    A change that can't be used leaves in force what there was, and is logged once. `read` raises ConfigurationError, which is the
    caller's at the first time.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[], T]) -> None:
        self._paths, self._read = tuple(paths), read
        self._lock = threading.Lock()
        self._state = self._states()
        self._value = read()

    def current(self) -> T:
        """What is in force now; costs one stat per file while nothing changes."""
        if (found := self._states()) == self._state:
            return self._value
        with self._lock:
            if found != self._state:
                self._take(found)
            return self._value

    def _take(self, found: _State) -> None:
        try:
            value = self._read()
        except ConfigurationError as exc:
            _log.error("a changed file can't be used; what it held before stays in force", error=exc.message)
        else:
            if self._states() != found:
                return  # swapped while it was read: perhaps half of either, so it is read again at the next call
            _log.info("a changed file was read again", files=[str(path) for path in self._paths])
            self._value = value
        self._state = found

    def _states(self) -> _State:
        return tuple(_state_of(path) for path in self._paths)


def _state_of(path: Path) -> tuple[int, int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
