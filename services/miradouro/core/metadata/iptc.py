"""IPTC-IIM 4.2: the captions, keywords and dates of press photos."""

from collections.abc import Iterator

from miradouro.core.document import TakenAt
from miradouro.core.metadata.block_metadata import BlockMetadata, bounded
from miradouro.core.metadata.bounds import MAX_DATASETS, MAX_TEXT_BYTES
from miradouro.core.metadata.texts import decode_text
from miradouro.core.metadata.times import read_time

Dataset = tuple[int, int]  # record and number

_CHARACTER_SET, _OBJECT_NAME, _KEYWORDS, _HEADLINE, _CAPTION = (1, 90), (2, 5), (2, 25), (2, 105), (2, 120)
_DATE, _CLOCK = (2, 55), (2, 60)
_WANTED = frozenset({_OBJECT_NAME, _KEYWORDS, _HEADLINE, _CAPTION, _DATE, _CLOCK})
_ENCODINGS = {b"\x1b%G": "utf-8", b"\x1b%/I": "utf-8", b"\x1b.A": "latin-1", b"\x1b-A": "latin-1"}  # ISO 2022 escapes


def read_iptc(block: bytes) -> BlockMetadata:
    """Title (object name, else headline), caption, tags and time of creation of the IIM datasets in `block`.

    Texts are in the character set that dataset 1:90 names; without one they are decoded by `decode_text`.
    """
    encoding = ""
    texts: dict[Dataset, list[str]] = {}
    unread: list[str] = []
    for dataset, value in _datasets(block, unread):
        if dataset == _CHARACTER_SET:
            encoding = _ENCODINGS.get(value, "")
        elif dataset in _WANTED:
            texts.setdefault(dataset, []).append(_text(value, encoding))
    first = {dataset: next(filter(None, values), "") for dataset, values in texts.items()}
    try:
        taken = _time(first.get(_DATE, ""), first.get(_CLOCK, ""))
    except (ValueError, OverflowError):
        taken = None
        unread.append("iptc.taken_at")
    return bounded(
        titles=[first.get(_OBJECT_NAME, ""), first.get(_HEADLINE, "")],
        captions=[first.get(_CAPTION, "")],
        tags=texts.get(_KEYWORDS, []),
        times={"iptc": taken},
        unread=unread,
    )


def _datasets(block: bytes, unread: list[str]) -> Iterator[tuple[Dataset, bytes]]:
    """Record and number of every dataset with its value; a broken structure adds `iptc` to `unread`."""
    at = 0
    for _ in range(MAX_DATASETS):
        if block[at : at + 1] != b"\x1c" or at + 5 > len(block):
            break
        dataset = block[at + 1], block[at + 2]
        size = int.from_bytes(block[at + 3 : at + 5], "big")
        start = at + 5
        if size & 0x8000:  # an extended dataset: the length of the length
            length_bytes = size & 0x7FFF
            if length_bytes > 8:
                break
            size = int.from_bytes(block[start : start + length_bytes], "big")
            start += length_bytes
        if start + size > len(block):
            break
        yield dataset, block[start : start + min(size, MAX_TEXT_BYTES + 1)]
        at = start + size
    if block.count(0, at) < len(block) - at:
        unread.append("iptc")


def _text(value: bytes, encoding: str) -> str:
    if encoding == "latin-1":
        return value[:MAX_TEXT_BYTES].decode("latin-1")
    return decode_text(value)


def _time(date: str, clock: str) -> TakenAt | None:
    """The time of a date and a clock such as `20240501` and `183015+0100`. Raises ValueError."""
    day, hour = date.replace(":", "").replace("-", "").strip("\0 ")[:8], clock.replace(":", "").strip("\0 ")
    if not hour[:6].isdigit():
        return read_time(f"{day[:4]}-{day[4:6]}-{day[6:]}" if day else "")
    return read_time(f"{day[:4]}-{day[4:6]}-{day[6:]} {hour[:2]}:{hour[2:4]}:{hour[4:6] or '00'}{hour[6:]}")
