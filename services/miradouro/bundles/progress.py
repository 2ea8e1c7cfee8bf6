"""Progress of long steps: a bar for people at a terminal, lines for logs."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import structlog
from tqdm import tqdm

Advance = Callable[[int], object]  # called with the number of new bytes; negative when a download restarts
_LOG_EVERY = 0.25  # of the bytes


class Progress(Protocol):
    """Shows steps and downloads."""

    def step(self, message: str) -> None:
        """Shows the current step."""
        ...

    def transfer(self, name: str, *, total_bytes: int, present_bytes: int) -> AbstractContextManager[Advance]:
        """Shows a download while the context is open; `present_bytes` are left from an earlier attempt."""
        ...


class TerminalProgress:
    """Bars on standard error."""

    def step(self, message: str) -> None:
        """Writes the message above the bar."""
        tqdm.write(message, file=sys.stderr)

    @contextmanager
    def transfer(self, name: str, *, total_bytes: int, present_bytes: int) -> Iterator[Advance]:
        """A bar in bytes, with rate and time left."""
        with tqdm(total=total_bytes, initial=present_bytes, unit="B", unit_scale=True, desc=name, file=sys.stderr) as bar:
            yield bar.update


class LogProgress:
    """A log line per step and quarter of a download."""

    def __init__(self) -> None:
        self._log = structlog.get_logger(__name__)

    def step(self, message: str) -> None:
        """Logs the message."""
        self._log.info(message)

    @contextmanager
    def transfer(self, name: str, *, total_bytes: int, present_bytes: int) -> Iterator[Advance]:
        """Logs the start and every further quarter."""
        done, logged = present_bytes, present_bytes

        def advance(count: int) -> None:
            nonlocal done, logged
            done += count
            logged = min(logged, done)
            if done - logged >= total_bytes * _LOG_EVERY or (done == total_bytes > logged):
                logged = done
                self._log.info("downloading", file=name, done_bytes=done, total_bytes=total_bytes)

        self._log.info("downloading", file=name, done_bytes=done, total_bytes=total_bytes)
        yield advance


def default_progress() -> Progress:
    """Bars where standard error is a terminal, log lines elsewhere."""
    return TerminalProgress() if sys.stderr.isatty() else LogProgress()
