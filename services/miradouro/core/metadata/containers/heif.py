"""HEIF and AVIF (ISO/IEC 23008-12, ISO/IEC 14496-12): metadata are items, found by the tables `iinf` and `iloc` of `meta`."""

from collections.abc import Iterator

from miradouro.core.metadata.bounds import MAX_EXIF_BYTES, MAX_ITEMS, MAX_PARTS, MAX_XMP_BYTES
from miradouro.core.metadata.containers.blocks import Blocks, bare_exif

_XMP_TYPE = b"application/rdf+xml"
Extent = tuple[int, int]  # start and end in the file


def heif_blocks(data: bytes) -> Blocks:
    """The metadata blocks of a HEIF or AVIF file; of a truncated one, those before the cut."""
    meta = _find(data, 0, len(data), b"meta")
    if meta is None:
        return Blocks()
    start, end = meta[0] + 4, meta[1]  # version and flags
    tables = {kind: (at, until) for kind, at, until in _boxes(data, start, end)}
    if b"iinf" not in tables or b"iloc" not in tables:
        return Blocks()
    exif_items, xmp_items = _items(data, *tables[b"iinf"])
    extents = _extents(data, *tables[b"iloc"], wanted=set(exif_items + xmp_items), idat=tables.get(b"idat", (0, 0)))
    exif = _joined(data, extents.get(exif_items[0], []), MAX_EXIF_BYTES) if exif_items else b""
    xmp = _joined(data, extents.get(xmp_items[0], []), MAX_XMP_BYTES + 1) if xmp_items else b""
    return Blocks(
        exif=bare_exif(exif, 4 + int.from_bytes(exif[:4], "big")) if exif else b"",  # the item begins with an offset
        xmp=xmp[:MAX_XMP_BYTES],
        unread=("xmp",) if len(xmp) > MAX_XMP_BYTES else (),
    )


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of every box between `at` and `end`."""
    for _ in range(MAX_PARTS):
        if at + 8 > end:
            return
        size, header = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = end - at
        if size < header:
            return
        yield data[at + 4 : at + 8], at + header, min(at + size, end)
        at += size


def _find(data: bytes, start: int, end: int, wanted: bytes) -> Extent | None:
    return next(((at, until) for kind, at, until in _boxes(data, start, end) if kind == wanted), None)


def _items(data: bytes, at: int, end: int) -> tuple[list[int], list[int]]:
    """The ids of the items that hold EXIF, and of those that hold XMP."""
    exif: list[int] = []
    xmp: list[int] = []
    at += 6 if data[at : at + 1] == b"\0" else 8  # version, flags, a count
    for number, (kind, start, until) in enumerate(_boxes(data, at, end)):
        if number == MAX_ITEMS:
            break
        version = data[start : start + 1]
        if kind != b"infe" or version not in {b"\2", b"\3"}:
            continue
        id_bytes = 2 if version == b"\2" else 4
        item = int.from_bytes(data[start + 4 : start + 4 + id_bytes], "big")
        start += 6 + id_bytes
        item_type = data[start : start + 4]
        if item_type == b"Exif":
            exif.append(item)
        elif item_type == b"mime" and _XMP_TYPE in data[start + 4 : min(until, start + 256)]:
            xmp.append(item)
    return exif, xmp


def _extents(data: bytes, at: int, end: int, *, wanted: set[int], idat: Extent) -> dict[int, list[Extent]]:
    """The extents of the wanted items, as offsets in the file: an item may have several, in the file or in the box `idat`."""

    def number(size: int) -> int:
        nonlocal at
        at += size
        return int.from_bytes(data[at - size : min(at, end)], "big")

    version = number(1)
    number(3)
    sizes = number(2)
    offset_bytes, length_bytes, base_bytes, index_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
    found: dict[int, list[Extent]] = {}
    pieces = 0
    for _ in range(min(number(4 if version == 2 else 2), MAX_ITEMS)):
        item = number(4 if version == 2 else 2)
        in_idat = version > 0 and number(2) & 15 == 1
        number(2)
        base = number(base_bytes) + (idat[0] if in_idat else 0)
        extents = number(2)
        pieces += extents
        if at >= end or pieces > MAX_ITEMS:
            break
        for _ in range(extents):
            number(index_bytes if version > 0 else 0)
            start, length = base + number(offset_bytes), number(length_bytes)
            if item in wanted:
                found.setdefault(item, []).append((start, start + length))
    return found


def _joined(data: bytes, extents: list[Extent], most: int) -> bytes:
    out = bytearray()
    for start, end in extents:
        out += data[start : min(end, start + most - len(out))]
    return bytes(out)
