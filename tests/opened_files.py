"""Which files of a folder this process opens, as the interpreter itself reports it."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class _Listener:
    folder: str
    before: Callable[[Path], object] | None
    opened: list[Path] = field(default_factory=list)
    is_busy: bool = False


_listening: list[_Listener] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event != "open" or not _listening or not isinstance(arguments[0], str | bytes):
        return
    path = os.fsdecode(arguments[0])
    for listener in [one for one in _listening if path.startswith(one.folder) and not one.is_busy]:
        listener.opened.append(Path(path))
        if listener.before is not None:
            listener.is_busy = True  # what it opens itself does not count
            listener.before(Path(path))
            listener.is_busy = False


sys.addaudithook(_note)  # it can't be taken away again; without listeners it does nothing


@contextmanager
def opened_files(folder: Path, *, before: Callable[[Path], object] | None = None) -> Iterator[list[Path]]:
    """The files below `folder` that are opened inside the block, in order; `before` each opening its path is passed on."""
    entry = _Listener(f"{folder}{os.sep}", before)
    _listening.append(entry)
    try:
        yield entry.opened
    finally:
        _listening.remove(entry)
