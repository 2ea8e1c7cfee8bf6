"""Returns freed memory to the system: a flood of large requests must not enlarge the process permanently."""

import ctypes
import functools
import sys
import threading
import time

# malloc.h of glibc. By itself it raises its threshold to the largest block that was ever freed, up to 32 MiB, keeps smaller ones
# and does so in up to eight heaps for each core, where one small object holds all that lies below it.
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
LARGE_BLOCK_BYTES = 2**20  # blocks from this size on are mapped one by one, and unmapped when they are freed
HEAPS = 4
TRIMMED_EVERY_S = 10.0  # gRPC receives a message of 31 MB in smaller blocks: their pages are given back here, in a few ms


@functools.cache  # one thread in a process
def return_freed_memory() -> bool:
    """Configures glibc accordingly; call it before other threads start. Returns whether it succeeded; False elsewhere."""
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt") or not hasattr(library, "malloc_trim"):
        return False
    agreed = bool(library.mallopt(_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)) and bool(library.mallopt(_ARENA_MAX, HEAPS))
    threading.Thread(target=_trim, args=(library,), name="freed-memory", daemon=True).start()
    return agreed


def _trim(library: ctypes.CDLL) -> None:
    while True:
        time.sleep(TRIMMED_EVERY_S)
        library.malloc_trim(0)  # without the interpreter's lock
