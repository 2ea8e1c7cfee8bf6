"""How many CPUs this process may use."""

import os


def available_cpus() -> int:
    """CPUs that the scheduler gives this process, where the system tells; otherwise those of the machine."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
