"""Files in memory that need no open descriptor.

Python's `mmap` keeps a copy of the descriptor for as long as the map lives, until 3.13 without a choice. An index maps two or
three files for every space of every collection: a process may have a thousand descriptors, but 65,530 maps.
"""

import ctypes
import mmap
import os
import weakref

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_FAILED = ctypes.c_void_p(-1).value


class _Map:
    """Owns a map; every array over it refers to this object, and the last one to go unmaps it."""

    def __init__(self, address: int, size: int) -> None:
        self.__array_interface__ = {"version": 3, "shape": (size,), "typestr": "|u1", "data": (address, True)}
        unmapping = weakref.finalize(self, _libc.munmap, address, size)
        unmapping.atexit = False  # a thread that still reads at the end of the process keeps its map


def map_file(file: int, size: int) -> Bytes:
    """The first `size` bytes, 1 or more, of the open file, read-only. `file` may be closed at once.

    Every array that is made of it keeps the map. To read it beyond the end of a file that was cut ends the process. Raises
    OSError.
    """
    address = _libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file, 0)
    if address == _FAILED:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return np.asarray(_Map(address, size))
