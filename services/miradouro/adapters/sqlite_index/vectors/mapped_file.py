"""Memory-mapped files without an open descriptor.

Python's `mmap` keeps a copy of the descriptor as long as the map exists; before 3.13 there is no option against it. An index maps
two or three files for every space of every collection, and a process may have 1,000 descriptors, but 65,530 maps.
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
    """Owns a map. Every array over it refers to this object; the last array to be freed unmaps it."""

    def __init__(self, address: int, size: int) -> None:
        self.__array_interface__ = {"version": 3, "shape": (size,), "typestr": "|u1", "data": (address, True)}
        unmapping = weakref.finalize(self, _libc.munmap, address, size)
        unmapping.atexit = False  # another thread may still read while the process ends


def map_file(file: int, size: int) -> Bytes:
    """Maps the first `size` bytes, at least 1, of the open file, read-only: uint8 [size]. `file` may be closed at once.

    Arrays made from the result keep the map. A read beyond the end of a file that was cut ends the process. Raises OSError.
    """
    address = _libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file, 0)
    if address == _FAILED:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return np.asarray(_Map(address, size))
