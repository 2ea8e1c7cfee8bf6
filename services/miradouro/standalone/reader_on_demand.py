"""A PhotoReader that is opened when the first photo is read."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, cast

from miradouro.core.ports import PhotoReader

if TYPE_CHECKING:
    from miradouro.adapters.photo_reader.reading import Reading
    from miradouro.adapters.photo_reader.settings import ReadingSettings


class _ReaderOnDemand:
    """Delegates every method of PhotoReader to the reader that `reading` opens."""

    def __init__(self, reading: "Callable[[], Reading]") -> None:
        self._reading = reading

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reading().reader, name)


def reader_of(reading: "Callable[[], Reading]") -> PhotoReader:
    """A reader that calls `reading` with the first photo: importing its modules takes longer than a search by words."""
    return cast("PhotoReader", _ReaderOnDemand(reading))


@contextmanager
def reading_on_demand(settings: "ReadingSettings") -> "Iterator[Callable[[], Reading]]":
    """A function that returns the same Reading for every call; the first call opens it, the end of the block closes it.

    Thread-safe.
    """
    lock = threading.Lock()
    opened: list[Reading] = []
    with ExitStack() as running:

        def reading() -> "Reading":
            from miradouro.adapters.photo_reader.reading import open_reading

            with lock:
                if not opened:
                    opened.append(running.enter_context(open_reading(settings)))
                return opened[0]

        yield reading
