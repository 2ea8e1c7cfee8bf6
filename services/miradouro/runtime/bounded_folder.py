"""A folder of derived files, bounded in bytes: the least recently used files are deleted first.

There is no index beside the files: any number of processes share a folder, and a crash leaves it consistent. Files are in
subfolders by a hash in their names. Each subfolder holds an equal share of the bytes, and a write scans only its own subfolder:
the work does not grow with the folder. A file's mtime is the time of its last use, because many file systems record no access
times.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

from miradouro.runtime.whole_file import write_whole

_PARTS = 256  # sub-folders, by the first two hexadecimal digits of a hash
_BLOCK_BYTES = 4_096  # what the smallest file takes, at least
_LEFT_SHARE = 0.9  # of a full part: not every new file shall look for an old one
_MOST_REMOVED = 1_000  # at a time, if the bound was lowered: the remaining ones go with the next files
_USE_NOTED_EVERY_S = 3_600.0


class BoundedFolder:
    """Files below `folder`, together at most about `most_bytes` on the disk. Safe for any number of threads and processes."""

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        self._folder = folder
        self._part_bytes = most_bytes // _PARTS

    def read(self, name: str) -> bytes:
        """The file, called `HH/NAME` where HH are hexadecimal digits of a hash. Raises OSError."""
        with (self._folder / name).open("rb") as file:
            data = file.read()
            if time.time() - os.fstat(file.fileno()).st_mtime > _USE_NOTED_EVERY_S:
                with suppress(OSError):  # another user's file, or a folder to be read alone
                    os.utime(file.fileno())
            return data

    def write(self, name: str, data: bytes) -> None:
        """Writes the file whole, and removes those of its sub-folder that were used longest ago. Raises OSError."""
        path = self._folder / name
        write_whole(path, data)
        self._make_room(path.parent)

    def _make_room(self, part: Path) -> None:
        there = []
        with os.scandir(part) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # another process made room
                    one = entry.stat(follow_symlinks=False)
                    there.append((one.st_mtime_ns, max(_BLOCK_BYTES, one.st_size), entry.path))
        used = sum(size for _, size, _ in there)
        if used <= self._part_bytes:
            return
        there.sort()
        for _, size, path in there[:_MOST_REMOVED]:
            if used <= self._part_bytes * _LEFT_SHARE:
                return
            with suppress(FileNotFoundError):
                os.unlink(path)
            used -= size
