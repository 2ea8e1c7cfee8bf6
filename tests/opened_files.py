"""Which files of a folder this process opens, as the interpreter itself reports it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_listening: list[tuple[str, list[Path]]] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _listening and isinstance(arguments[0], str | bytes):
        path = os.fsdecode(arguments[0])
        for folder, opened in _listening:
            if path.startswith(folder):
                opened.append(Path(path))


sys.addaudithook(_note)  # it can't be taken away again; without listeners it does nothing


@contextmanager
def opened_files(folder: Path) -> Iterator[list[Path]]:
    """The files below `folder` that are opened inside the block, in order."""
    entry = (f"{folder}{os.sep}", list[Path]())
    _listening.append(entry)
    try:
        yield entry[1]
    finally:
        _listening.remove(entry)
