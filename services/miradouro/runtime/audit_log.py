"""The audit log: lines with `audit=true`, at any log level, of refused calls and of requested changes.

A line names the caller by peer address and token id (see `Caller`), never by the token, and holds no photo, caption or question.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from miradouro.core.errors import MiradouroError
from miradouro.runtime.call import THIS_PROCESS, Call
from miradouro.runtime.call_limits import network_of

INTERVAL_S = 60.0
MAX_CALLERS = 128  # with lines of their own in an interval: a flood from everywhere writes 250 lines a minute
_SHOWN_CHARS = 200
_EVERYBODY_ELSE = "others"
# Without the filter of MIRADOURO_LOG_LEVEL.
_log = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET), audit=True)


class RefusedCalls:
    """Logs the calls that a door refuses: the first of a caller and reason at once, the others once in INTERVAL_S, as a count.

    Used on the event loop; `flush` also where the loop has ended.
    """

    def __init__(self, door: str) -> None:
        self._door = door
        self._since_last_line: dict[tuple[str, str, str], int] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, reason: str, *, peer: str, token_id: str = "") -> None:
        """Counts a refusal; `reason` is the status of the answer."""
        key = (network_of(peer), token_id, reason)
        if key not in self._since_last_line and len(self._since_last_line) >= MAX_CALLERS:
            key = (_EVERYBODY_ELSE, "", reason)
        if key in self._since_last_line:
            self._since_last_line[key] += 1
            return
        self._since_last_line[key] = 0
        self._write(key, count=1)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL_S, self._end_interval)

    def _end_interval(self) -> None:
        self._timer = None
        self.flush()

    def flush(self) -> None:
        """Writes the counts, when the interval or the door ends."""
        counts, self._since_last_line = self._since_last_line, {}
        for key, count in counts.items():
            if count:
                self._write(key, count=count)

    def _write(self, key: tuple[str, str, str], *, count: int) -> None:
        peer, token_id, reason = key
        _log.warning("refused", door=self._door, peer=peer, token=token_id, result=reason, count=count)


@contextmanager
def audited(action: str, call: Call, **what: str | int | bool) -> Iterator[None]:
    """Logs the change that the block makes, with its result, when it ends; calls of this process itself are not logged."""
    if call.caller is THIS_PROCESS:
        yield
        return
    result = "CANCELLED"  # of a stream that is not read to its end
    try:
        yield
        result = "OK"
    except MiradouroError as exc:
        result = exc.status
        raise
    except Exception:
        result = "INTERNAL"
        raise
    finally:
        details = {name: value[:_SHOWN_CHARS] if isinstance(value, str) else value for name, value in what.items()}
        _log.info("changed", action=action, peer=call.caller.peer, token=call.caller.token_id, result=result, **details)
