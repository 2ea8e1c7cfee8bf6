"""Bounds of one call over untrusted bytes: CPU time and memory of this process.

CPU time and not the clock, so that a loaded machine fails nothing. Linux only: memory is read from /proc.
"""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_PROCESS = Path("/proc/self")
_RESET_PEAK = "5"  # proc(5), clear_refs: sets the peak resident size to the current one


class TooExpensive(BaseException):
    """A call took more than its bound. No part of the program catches it: it is not an Exception."""


@contextmanager
def bounded(*, seconds: float, mebibytes: int) -> Iterator[None]:
    """Raises TooExpensive when the block uses more CPU time or resident memory than this; main thread only."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise TooExpensive(f"more than {seconds:g} s of CPU time")

    (_PROCESS / "clear_refs").write_text(_RESET_PEAK)
    before = _resident_kib("VmRSS")
    handler = signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
    grown = (_resident_kib("VmHWM") - before) / 1024
    if grown > mebibytes:
        raise TooExpensive(f"{grown:.0f} MiB more memory at the peak; allowed: {mebibytes}")


def _resident_kib(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", (_PROCESS / "status").read_text(), re.M)
    assert found, f"{_PROCESS}/status holds no {name}"
    return int(found[1])
