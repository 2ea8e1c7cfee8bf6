"""Classifies a file as photo, raw file of a camera or neither: by its name, else by its first bytes."""

from enum import Enum

from miradouro.core.raw_file import ReadAt, begins_as_raw, is_raw_name, is_raw_tiff
from miradouro.core.sniff import SNIFF_BYTES, Format, is_picture_name, sniff

_TIFF_NAMES = (".tif", ".tiff")


class FileKind(Enum):
    """The kind of a file, damaged or not. UNREADABLE: its name leaves the kind open, and its bytes can't be read."""

    PHOTO = "photo"
    RAW = "raw"
    OTHER = "other"
    UNREADABLE = "unreadable"


def is_photo_name(name: str) -> bool:
    """Whether the name alone identifies a photo: every picture name does, except TIFF, which raw files use too."""
    return is_picture_name(name) and not name.lower().endswith(_TIFF_NAMES)


def kind_by_bytes(name: str, read_at: ReadAt) -> FileKind:
    """The kind of a file that `is_photo_name` leaves open: a JPEG named .nef is a photo. Raises what `read_at` raises."""
    head = read_at(0, SNIFF_BYTES)
    if begins_as_raw(head):
        return FileKind.RAW
    found = sniff(head)
    if found is Format.TIFF:
        return FileKind.RAW if is_raw_name(name) or is_raw_tiff(read_at) else FileKind.PHOTO
    return FileKind.PHOTO if found else kind_by_name(name)


def kind_by_name(name: str) -> FileKind:
    """The kind of a file whose bytes identify no format."""
    if is_picture_name(name):
        return FileKind.PHOTO
    return FileKind.RAW if is_raw_name(name) else FileKind.OTHER
