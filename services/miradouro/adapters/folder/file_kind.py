"""The kinds of a folder's files: photo, raw file, sidecar, other. An unchanged file is opened once."""

import os
import stat
import time
from functools import lru_cache

from miradouro.core.file_kind import FileKind, is_photo_name, kind_by_bytes, kind_by_name
from miradouro.runtime.regular_file import NotRegular, open_regular

_REMEMBERED = 50_000  # files, about 20 MB of memory: enough for a folder that a watch compares repeatedly
_FRESH_NS = 2_000_000_000  # a younger change is not cached: the file may change again within one tick of its file system's clock


def is_photo(path: str) -> bool:
    """Whether the file is a photo by its name or by its first bytes."""
    return file_kind(path) is FileKind.PHOTO


def file_kind(path: str) -> FileKind:
    """The kind of the file at `path`: by its name when that is a photo's, otherwise by its first bytes."""
    name = os.path.basename(path)
    if is_photo_name(name):
        return FileKind.PHOTO
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return kind_by_name(name)
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < _FRESH_NS:
            return _kind(path)
        return _remembered_kind(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    except NotRegular:
        return kind_by_name(name)
    except OSError:
        kind = kind_by_name(name)
        return FileKind.UNREADABLE if kind is FileKind.OTHER else kind


@lru_cache(_REMEMBERED)
def _remembered_kind(path: str, *_state: int) -> FileKind:
    return _kind(path)


def _kind(path: str) -> FileKind:
    with open_regular(path) as file:
        # `file.read` would fill a whole buffer for 32 bytes.
        return kind_by_bytes(os.path.basename(path), lambda offset, size: os.pread(file.fileno(), size, offset))
