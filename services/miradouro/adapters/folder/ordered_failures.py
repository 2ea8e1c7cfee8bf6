"""The failures of a collection, side by side with a walk."""

from collections.abc import Iterator

from miradouro.core.document import Failure


class OrderedFailures:
    """Failures ordered by photo id (UTF-8 bytes), looked up in that order: one is held in memory at a time."""

    def __init__(self, failures: Iterator[Failure]) -> None:
        self._failures = failures
        self._next = next(failures, None)

    def of(self, photo_id: str) -> Failure | None:
        """The failure of this photo, None without one. Each id is that of the call before or comes after it."""
        while self._next is not None and self._next.photo_id.encode() < photo_id.encode():
            self._next = next(self._failures, None)
        return self._next if self._next is not None and self._next.photo_id == photo_id else None
