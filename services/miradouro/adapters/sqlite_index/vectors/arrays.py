"""Types of arrays, the form of stored vectors, and membership in a sorted array."""

import numpy as np
import numpy.typing as npt

from miradouro.core.spaces import Storage

Bool = npt.NDArray[np.bool_]
Int8 = npt.NDArray[np.int8]
Int64 = npt.NDArray[np.int64]
Float16 = npt.NDArray[np.float16]
Float64 = npt.NDArray[np.float64]
# Vectors as blobs and segments hold them; codes are those of core.codes.
Stored = Float16 | Int8


def stored_of(data: bytes | npt.NDArray[np.uint8], storage: Storage) -> Stored:
    """The numbers of stored vectors, one-dimensional, without a copy: little-endian float16, or int8."""
    return np.frombuffer(data, np.int8) if storage is Storage.INT8 else np.frombuffer(data, "<f2")


def stored_bytes(storage: Storage) -> int:
    """Bytes of each number of a stored vector."""
    return 1 if storage is Storage.INT8 else 2


def are_in(sorted_numbers: Int64, numbers: Int64) -> Bool:
    """Which of `numbers` are among `sorted_numbers`, which are in ascending order: bool [n]."""
    if not len(sorted_numbers):
        return np.zeros(len(numbers), bool)
    positions = np.minimum(np.searchsorted(sorted_numbers, numbers), len(sorted_numbers) - 1)
    found: Bool = sorted_numbers[positions] == numbers
    return found
