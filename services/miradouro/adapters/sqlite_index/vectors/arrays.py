"""Types of arrays, and membership in a sorted one."""

import numpy as np
import numpy.typing as npt

Bool = npt.NDArray[np.bool_]
Int8 = npt.NDArray[np.int8]
Int64 = npt.NDArray[np.int64]
Float16 = npt.NDArray[np.float16]
Float64 = npt.NDArray[np.float64]


def are_in(sorted_numbers: Int64, numbers: Int64) -> Bool:
    """Which of `numbers` are among `sorted_numbers`, which are in ascending order: bool [n]."""
    if not len(sorted_numbers):
        return np.zeros(len(numbers), bool)
    positions = np.minimum(np.searchsorted(sorted_numbers, numbers), len(sorted_numbers) - 1)
    found: Bool = sorted_numbers[positions] == numbers
    return found
