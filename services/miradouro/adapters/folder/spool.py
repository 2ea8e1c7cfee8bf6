"""A list on disk for the results of a walk: memory does not grow with the folder."""

import pickle
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

_IN_MEMORY_BYTES = 8 * 1024 * 1024
_AT_ONCE = 256
T = TypeVar("T")


class Spool(Generic[T]):
    """A context manager. Append all items first, then iterate in order, any number of times.

    Beyond _IN_MEMORY_BYTES the items are in an unnamed temporary file, which the end of the block removes.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 # closed by `__exit__`
        self._last: list[T] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, item: T) -> None:
        """Adds a picklable item. Raises OSError when the disk is full."""
        self._last.append(item)
        self._count += 1
        if len(self._last) == _AT_ONCE:
            pickle.dump(self._last, self._file, pickle.HIGHEST_PROTOCOL)
            self._last = []

    def __iter__(self) -> Iterator[T]:
        self._file.seek(0)
        for _ in range(self._count // _AT_ONCE):
            yield from pickle.load(self._file)  # noqa: S301 # this process wrote it into an unnamed file
        yield from self._last

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
