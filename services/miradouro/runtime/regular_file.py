"""Reads files of folders that other users write to. A file is opened first and checked then: it cannot be replaced in between.

A pipe, device, socket or folder is an immediate error; it is neither waited for nor read.
"""

import errno
import os
import stat
from typing import BinaryIO


class NotRegular(OSError):
    """The path is not a regular file."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.EINVAL, "it is not a regular file", path)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """The file at `path` to be read, links followed. Raises NotRegular, OSError."""
    try:
        # Without O_NONBLOCK, opening a pipe blocks until a writer opens it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as exc:
        if exc.errno in {errno.ENXIO, errno.ENODEV}:  # a socket, or a device without a driver
            raise NotRegular(os.fspath(path)) from exc
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegular(os.fspath(path))
    os.set_blocking(descriptor, True)
    return open(descriptor, "rb")


def read_regular(path: str | os.PathLike[str], limit_bytes: int) -> bytes:
    """At most `limit_bytes` from the beginning of the file at `path`. Raises NotRegular, OSError."""
    with open_regular(path) as file:
        return file.read(limit_bytes)
