"""Whether a file is a photo, a raw file of a camera or neither: by its name, else by its first bytes."""

from enum import Enum

from miradouro.core.raw_file import ReadAt, begins_as_raw, is_raw_name, is_raw_tiff
from miradouro.core.sniff import SNIFF_BYTES, Format, is_picture_name, sniff

_TIFF_NAMES = (".tif", ".tiff")


class FileKind(Enum):
    """What a file is, damaged or not. UNREADABLE: neither name nor bytes say that it is a photo or a raw file."""

    PHOTO = "photo"
    RAW = "raw"
    OTHER = "other"
    UNREADABLE = "unreadable"


def is_photo_name(name: str) -> bool:
    """Whether a name alone makes a file a photo: a name of a picture, but for TIFF, which raw files are as well."""
    return is_picture_name(name) and not name.lower().endswith(_TIFF_NAMES)


def kind_by_bytes(name: str, read_at: ReadAt) -> FileKind:
    """What a file is for which `is_photo_name` does not decide: a JPEG called .nef is a photo. Raises what `read_at` raises."""
    head = read_at(0, SNIFF_BYTES)
    if begins_as_raw(head):
        return FileKind.RAW
    found = sniff(head)
    if found is Format.TIFF:
        return FileKind.RAW if is_raw_name(name) or is_raw_tiff(read_at) else FileKind.PHOTO
    return FileKind.PHOTO if found else kind_by_name(name)


def kind_by_name(name: str) -> FileKind:
    """What a file is whose bytes say nothing."""
    if is_picture_name(name):
        return FileKind.PHOTO
    return FileKind.RAW if is_raw_name(name) else FileKind.OTHER
