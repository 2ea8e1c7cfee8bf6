"""A budget of bytes that may be in memory at the same time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from miradouro.core.errors import Overloaded


class ByteBudget:
    """At most `limit` bytes of `what`, for any thread."""

    def __init__(self, limit: int, what: str) -> None:
        self._limit, self._what, self._taken = limit, what, 0
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Takes `size` bytes; `give` gives them back. Raises Overloaded when they are not free now."""
        with self._lock:
            if self._taken + size > self._limit:
                raise Overloaded(
                    f"{self._taken:,} bytes of {self._what} are in memory, {size:,} more pass the limit of {self._limit:,}; "
                    "ask again after a pause"
                )
            self._taken += size

    def give(self, size: int) -> None:
        """Gives them back."""
        with self._lock:
            self._taken -= size

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Holds `size` bytes while the block runs. Raises Overloaded."""
        self.take(size)
        try:
            yield
        finally:
            self.give(size)
