"""Reloads files that change while the process runs, such as mounted secrets and certificates."""

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
    """The result of `read` for the files `paths`, read again when one of them has changed. Thread-safe.

    When the changed files are unusable, the former result stays in force and one line is logged. The first call propagates the
    ConfigurationError of `read`.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[], T]) -> None:
        self._paths, self._read = tuple(paths), read
        self._lock = threading.Lock()
        self._state = self._states()
        self._value = read()

    def current(self) -> T:
        """The current value; costs one stat per file while nothing changes."""
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
