"""A reader of photos that is opened with the first photo."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, cast

from miradouro.core.ports import PhotoReader

if TYPE_CHECKING:
    from miradouro.adapters.photo_reader.reading import Reading
    from miradouro.adapters.photo_reader.settings import ReadingSettings


class _ReaderOnDemand:
    """Every method of PhotoReader, of the reader that `reading` opens."""

    def __init__(self, reading: "Callable[[], Reading]") -> None:
        self._reading = reading

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reading().reader, name)


def reader_of(reading: "Callable[[], Reading]") -> PhotoReader:
    """The reader that `reading` opens, when a photo is read: its modules take longer to import than words take to answer."""
    return cast("PhotoReader", _ReaderOnDemand(reading))


@contextmanager
def reading_on_demand(settings: "ReadingSettings") -> "Iterator[Callable[[], Reading]]":
    """A function that returns the one Reading, which is opened by the first call and runs until the block ends. Thread-safe."""
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
