"""The memory budget for decoding photos. Small photos may overtake large ones, but only for a limited time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

PATIENCE_S = 5.0  # after this time no other photo overtakes a waiting one


@dataclass
class Share:
    """A part of the budget, in bytes; `grow` may enlarge it while it is held."""

    size: int
    grow: Callable[[int], bool]


class DecodeMemory:
    """A budget of `limit` bytes for all photos of the process. Others may overtake the oldest waiting photo for `patience_s`."""

    def __init__(self, limit: int, *, patience_s: float = PATIENCE_S) -> None:
        self.limit, self._patience_s = limit, patience_s
        self._taken = 0
        self._changed = threading.Condition()
        self._waiting: list[float] = []  # start times of the waiting photos, the oldest first

    @property
    def taken(self) -> int:
        """The bytes in use."""
        with self._changed:
            return self._taken

    @contextmanager
    def share(self, size: int, *, remaining_s: Callable[[], float | None], at_hand: int = 0) -> Iterator[Share]:
        """Holds `size` bytes, at most the limit, while the block runs; waits until they are free.

        With `size` 0 it does not wait, and holds `at_hand` bytes if they are free now.
        `remaining_s` returns the seconds that the caller still waits, and raises when there are none left.
        """
        if size:
            self._take(min(size, self.limit), remaining_s)
        share = Share(min(size, self.limit), lambda wanted: self._grow(share, wanted))
        if not size and at_hand:
            self._grow(share, at_hand)
        try:
            yield share
        finally:
            self._give_back(share.size)

    def _take(self, size: int, remaining_s: Callable[[], float | None]) -> None:
        since = time.monotonic()
        with self._changed:
            self._waiting.append(since)
            try:
                while not self._fits(size, since):
                    self._changed.wait(remaining_s())
                self._taken += size
            finally:
                self._waiting.remove(since)
                self._changed.notify_all()

    def _fits(self, size: int, since: float) -> bool:
        oldest = min(self._waiting, default=since)
        must_wait = oldest < since and time.monotonic() - oldest > self._patience_s
        return self._taken + size <= self.limit and not must_wait

    def _grow(self, share: Share, wanted: int) -> bool:
        """Enlarges a share to `wanted` bytes if they are free now."""
        with self._changed:
            if not self._fits(wanted - share.size, time.monotonic()):
                return False
            self._taken += wanted - share.size
            share.size = wanted
            return True

    def _give_back(self, size: int) -> None:
        with self._changed:
            self._taken -= size
            self._changed.notify_all()
