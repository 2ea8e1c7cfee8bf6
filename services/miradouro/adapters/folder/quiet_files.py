"""Files that another program is still writing. A watch waits until such a file is quiet and complete."""

import os
import time
from dataclasses import dataclass

from miradouro.core.document import Origin

_PATIENCE_S = 60.0  # a slow upload may pause longer than the quiet time: until then a truncated file is not a failure
_NS_PER_S = 1_000_000_000
_CUT = frozenset({"truncated", "empty", "not_a_photo"})  # the failures of a file whose beginning or end is missing

_Sight = tuple[int, int, int]  # size, ctime and inode


@dataclass(frozen=True)
class _Pending:
    sight: _Sight
    since: float  # on the clock of time.monotonic
    needs_s: float
    was_cut: bool


class QuietFiles:
    """Remembers changed files between the comparisons of one watch. A file is quiet when it has not changed for `quiet_s`.

    An mtime at least `quiet_s` ago is proof enough. Otherwise the time is measured with this machine's clock, because the clock
    of a file server may be wrong.
    """

    def __init__(self, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        self._pending: dict[str, _Pending] = {}

    def is_quiet(self, path: str) -> bool:
        """Whether the file may be read now. True when its state is unavailable: the read then reports the error."""
        try:
            sight, mtime_ns = _look(path)
        except OSError:
            return True
        pending = self._pending.get(path)
        if pending is None or pending.sight != sight:
            if time.time_ns() - mtime_ns >= self._quiet_s * _NS_PER_S:
                self._pending.pop(path, None)
                return True
            self._pending[path] = _Pending(sight, time.monotonic(), self._quiet_s, was_cut=False)
            return False
        if time.monotonic() - pending.since < pending.needs_s:
            return False
        if not pending.was_cut:
            del self._pending[path]
        return True

    def may_grow(self, path: str, read: Origin, reason: str) -> bool:
        """Whether a file that failed for `reason` may be incomplete and is read again later: once per change, after a minute.

        `read` is the file's state before it was read. A file that has changed since is read again as soon as it is quiet.
        """
        try:
            sight, mtime_ns = _look(path)
        except OSError:
            return False
        pending = self._pending.pop(path, None)
        if reason not in _CUT:
            return False
        has_changed = sight != (read.size_bytes, read.ctime_ns, read.inode)
        is_recent = time.time_ns() - mtime_ns < _PATIENCE_S * _NS_PER_S
        had_its_minute = pending is not None and pending.was_cut and pending.sight == sight
        if not has_changed and (had_its_minute or not is_recent):
            return False
        needs_s = self._quiet_s if has_changed else _PATIENCE_S
        self._pending[path] = _Pending(sight, time.monotonic(), needs_s, was_cut=not has_changed)
        return True


def _look(path: str) -> tuple[_Sight, int]:
    """The state of a file, and its mtime in ns. Raises OSError."""
    status = os.stat(path)
    return (status.st_size, status.st_ctime_ns, status.st_ino), status.st_mtime_ns
