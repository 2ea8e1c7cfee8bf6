"""One call to a service as its handlers see it, whichever door it came through."""

import threading
import time
from dataclasses import dataclass, field

from miradouro.core.errors import DeadlineExceeded


@dataclass(frozen=True)
class Call:
    """`deadline` is on the clock of time.monotonic, None for no limit; `cancelled` is set when nobody waits any more."""

    deadline: float | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def remaining_s(self) -> float | None:
        """Seconds left, None for no limit. Raises DeadlineExceeded when none are."""
        if self.deadline is None:
            return None
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise DeadlineExceeded("the call's deadline has passed; ask again with more time")
        return remaining
