"""Raw files of cameras: recognised by the end of a name, by the first bytes, or by the first directories of a TIFF.

Raw files are not indexed, because they must be developed first. Most of them are TIFF files, so that neither the name nor the
first bytes suffice.
"""

import struct
from collections.abc import Callable, Iterator

_EXTENSIONS = frozenset(
    {"3fr", "ari", "arq", "arw", "bay", "cap", "cr2", "cr3", "crw", "dcr", "dcs", "dng", "drf", "eip", "erf", "fff", "gpr", "iiq"}
    | {"k25", "kdc", "mdc", "mef", "mos", "mrw", "nef", "nrw", "orf", "ori", "pef", "ptx", "pxn", "raf", "raw", "rw2", "rwl"}
    | {"rwz", "sr2", "srf", "srw", "sti", "x3f"}
)
_BEGINNINGS = (
    b"II\x1a\0\0\0HEAPCCDR",  # Canon CRW
    b"FUJIFILMCCD-RAW ",
    b"IIRO",  # Olympus ORF, three ways
    b"IIRS",
    b"MMOR",
    b"IIU\0",  # Panasonic RW2
    b"\0MRM",  # Minolta
    b"FOVb",  # Sigma X3F
)
_BEGINNINGS_AT_8 = (b"CR\x02\0", b"crx ", b"IIII", b"MMMM")  # Canon CR2 and CR3, Phase One IIQ
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_SHORT, _LONG, _IFD = 3, 4, 13
_INTERPRETATION, _SUB_DIRECTORIES, _CFA_PATTERN, _DNG_VERSION = 262, 330, 33422, 50706
_RAW_INTERPRETATIONS = {32803, 34892}  # colour filter array, linear raw
_MAX_ENTRIES = 512
_MAX_DIRECTORIES = 8

# (offset, size in bytes) → the bytes there; fewer at the end of the file.
ReadAt = Callable[[int, int], bytes]


def is_raw_name(name: str) -> bool:
    """Whether a file name has the extension of a raw file, in any case."""
    stem, dot, extension = name.rpartition(".")
    return bool(stem and dot) and extension.lower() in _EXTENSIONS


def begins_as_raw(data: bytes) -> bool:
    """Whether `data` (its first SNIFF_BYTES suffice) begins with bytes that only raw files begin with."""
    if data.startswith(_BEGINNINGS):
        return True
    is_at_8 = data[:4] in _BYTE_ORDERS or data[4:8] == b"ftyp"
    return is_at_8 and data[8:12] in _BEGINNINGS_AT_8


def is_raw_tiff(read_at: ReadAt) -> bool:
    """Whether a TIFF is a raw file: it is a DNG, or one of its directories describes a colour filter array.

    Reads the first directory and those below it, at most 50 kB. A damaged file is not a raw file and raises no error. Raises
    what `read_at` raises.
    """
    head = read_at(0, 8)
    order = _BYTE_ORDERS.get(head[:4])
    if order is None or len(head) < 8:
        return False
    waiting = [struct.unpack(order + "I", head[4:])[0]]
    for _ in range(_MAX_DIRECTORIES):
        if not waiting:
            break
        below: list[int] = []
        for tag, values in _entries(read_at, order, waiting.pop(0)):
            is_raw_value = tag == _INTERPRETATION and bool(_RAW_INTERPRETATIONS.intersection(values))
            if tag in {_CFA_PATTERN, _DNG_VERSION} or is_raw_value:
                return True
            if tag == _SUB_DIRECTORIES:
                below += values
        waiting += below[: _MAX_DIRECTORIES - len(waiting)]
    return False


def _entries(read_at: ReadAt, order: str, offset: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """(tag, values) of a directory (TIFF 6.0, section 2); no values of other types than SHORT, LONG and IFD."""
    count = read_at(offset, 2)
    if offset < 8 or len(count) < 2:
        return
    entries = min(struct.unpack(order + "H", count)[0], _MAX_ENTRIES)
    data = read_at(offset + 2, entries * 12)
    for start in range(0, len(data) - 11, 12):
        tag, kind, number = struct.unpack_from(order + "HHI", data, start)
        letter = {_SHORT: "H", _LONG: "I", _IFD: "I"}.get(kind, "")
        number = min(number, _MAX_DIRECTORIES)
        if tag not in {_INTERPRETATION, _SUB_DIRECTORIES} or not letter or not number:
            yield tag, ()
            continue
        values = f"{order}{number}{letter}"
        size = struct.calcsize(values)
        packed = data[start + 8 : start + 8 + size]
        if size > 4:
            packed = read_at(struct.unpack_from(order + "I", data, start + 8)[0], size)
        yield tag, struct.unpack(values, packed) if len(packed) == size else ()
