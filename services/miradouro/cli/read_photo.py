"""Reads a photo that the command line names."""

import os
from pathlib import Path

from miradouro.core.errors import BadPhoto

_PIPES = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")  # `<(…)` of a shell is one of the latter two


def read_photo(path: Path, limit_bytes: int) -> bytes:
    """At most one byte more than `limit_bytes` of the file at `path`. Raises BadPhoto (unreadable).

    A pipe is read and waited for when it is named as one; under any other name, as among the files of a folder, it is refused.
    """
    from miradouro.runtime.regular_file import read_regular

    try:
        if os.fspath(path).startswith(_PIPES):
            with path.open("rb") as file:
                return file.read(limit_bytes + 1)
        return read_regular(path, limit_bytes + 1)
    except OSError as exc:
        raise BadPhoto("unreadable", f"{path} can't be read: {exc.strerror}; name a file that can") from exc
