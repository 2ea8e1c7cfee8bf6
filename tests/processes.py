"""Processes as tests look at them, by /proc."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.waiting import WAIT_S

T = TypeVar("T")


def eventually(condition: Callable[[], T]) -> T:
    """What `condition` gives as soon as that is true; fails after WAIT_S."""
    ends_at = time.monotonic() + WAIT_S
    while not (found := condition()):
        assert time.monotonic() < ends_at, f"this did not come true within {WAIT_S:g} s"
        time.sleep(0.01)
    return found


def children_of(pid: int) -> list[int]:
    """The process ids of the children of a process."""
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def cpu_s_of(pid: int) -> float:
    """Seconds of CPU that a process has used; 0 when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(pid: int) -> bool:
    """Waits until a process is gone."""
    return eventually(lambda: not is_running(pid))
