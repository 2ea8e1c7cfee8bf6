"""How many CPUs this process may use."""

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of this process's own control group, as a container sees it


def available_cpus(quota: Path = _QUOTA) -> int:
    """CPUs that the scheduler gives this process, at most as many as the limit of its container; otherwise the machine's.

    A container sees every CPU of its node. One thread for each would make it wait for its own quota.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(cpus, _limit(quota) or cpus)


def _limit(quota: Path) -> int | None:
    """The limit of the control group (version 2) in whole CPUs, None where there is none."""
    try:
        allowed_us, period_us = quota.read_text(encoding="ascii").split()
        return math.ceil(int(allowed_us) / int(period_us))
    except (OSError, ValueError, ZeroDivisionError):  # "max", another version of control groups, or another system
        return None
