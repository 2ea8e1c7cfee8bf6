"""One call to a service, as passed to its handlers over gRPC and HTTP."""

import threading
import time
from dataclasses import dataclass, field

from miradouro.core.errors import DeadlineExceeded


@dataclass(frozen=True)
class Caller:
    """The origin of a call.

    `peer` is the IP address at the other end of the connection, without its port. `token_id` is the first TOKEN_ID_CHARS
    hexadecimal digits of the SHA-256 of the token in the call, empty without one: it names a token in logs and limits, and does
    not reveal it. `is_owner` is true for the token of the data folder, and for this process itself.
    """

    peer: str
    token_id: str
    is_owner: bool


TOKEN_ID_CHARS = 12
THIS_PROCESS = Caller(peer="", token_id="", is_owner=True)


@dataclass(frozen=True)
class Call:
    """`deadline` is on the clock of time.monotonic, None for no limit; `cancelled` is set when the caller waits no more.

    Every door sets `caller`; the default is for calls that this process makes by itself.
    """

    deadline: float | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    caller: Caller = THIS_PROCESS

    def remaining_s(self) -> float | None:
        """Seconds left, None for no limit. Raises DeadlineExceeded when none are."""
        if self.deadline is None:
            return None
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise DeadlineExceeded("the call's deadline has passed; ask again with more time")
        return remaining

    def check_cancelled(self) -> None:
        """Raises DeadlineExceeded when the caller waits no more."""
        self.remaining_s()
        if self.cancelled.is_set():
            raise DeadlineExceeded("the caller ended the call; send it again")
