"""Whether a file is a photo, a raw file of a camera or neither: by its name, else by its first bytes."""

import os
import stat
import time
from collections.abc import Callable
from enum import Enum
from functools import lru_cache

from miradouro.core.raw_file import begins_as_raw, is_raw_name, is_raw_tiff
from miradouro.core.sniff import SNIFF_BYTES, Format, is_picture_name, sniff
from miradouro.runtime.regular_file import open_regular

_TIFF_NAMES = (".tif", ".tiff")
_REMEMBERED = 50_000  # files, about 20 MB of memory: those of a folder that is looked through again and again
_FRESH_NS = 2_000_000_000  # one that changed this short a time ago may change again within a tick of its clock


class FileKind(Enum):
    """What a file is."""

    PHOTO = "photo"
    RAW = "raw"
    OTHER = "other"


def is_photo(path: str) -> bool:
    """Whether the file is a photo, or is called one."""
    return file_kind(path) is FileKind.PHOTO


def file_kind(path: str) -> FileKind:
    """What the file at `path` is, damaged or not.

    A name of a picture decides, but for TIFF, which raw files are as well. Under any other name the first bytes decide: a JPEG
    called .nef is a photo. They are read once as long as the file does not change.
    """
    name = os.path.basename(path)
    if is_picture_name(name) and not name.lower().endswith(_TIFF_NAMES):
        return FileKind.PHOTO
    try:
        status = os.stat(path)
    except OSError:
        return _kind_by_name(name)
    if not stat.S_ISREG(status.st_mode):
        return _kind_by_name(name)
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < _FRESH_NS:
        return _kind_by_bytes(path)
    return _remembered_kind(path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@lru_cache(_REMEMBERED)
def _remembered_kind(path: str, *_state: int) -> FileKind:
    return _kind_by_bytes(path)


def _kind_by_bytes(path: str) -> FileKind:
    name = os.path.basename(path)
    try:
        with open_regular(path) as file:

            def read_at(offset: int, size: int) -> bytes:
                file.seek(offset)
                return file.read(size)

            return _kind(name, read_at)
    except OSError:
        return _kind_by_name(name)


def _kind(name: str, read_at: Callable[[int, int], bytes]) -> FileKind:
    head = read_at(0, SNIFF_BYTES)
    if begins_as_raw(head):
        return FileKind.RAW
    found = sniff(head)
    if found is Format.TIFF:
        return FileKind.RAW if is_raw_name(name) or is_raw_tiff(read_at) else FileKind.PHOTO
    return FileKind.PHOTO if found else _kind_by_name(name)


def _kind_by_name(name: str) -> FileKind:
    if is_picture_name(name):
        return FileKind.PHOTO
    return FileKind.RAW if is_raw_name(name) else FileKind.OTHER
