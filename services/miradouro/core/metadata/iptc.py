"""IPTC-IIM 4.2: the captions and keywords of press photos."""

from collections.abc import Iterator

from miradouro.core.metadata.bounds import MAX_DATASETS, MAX_TEXT_BYTES
from miradouro.core.metadata.photo_metadata import PhotoMetadata, bounded
from miradouro.core.metadata.texts import decode_text

_CHARACTER_SET, _OBJECT_NAME, _KEYWORDS, _HEADLINE, _CAPTION = (1, 90), (2, 5), (2, 25), (2, 105), (2, 120)
_ENCODINGS = {b"\x1b%G": "utf-8", b"\x1b%/I": "utf-8", b"\x1b.A": "latin-1", b"\x1b-A": "latin-1"}  # ISO 2022 escapes


def read_iptc(block: bytes) -> PhotoMetadata:
    """Title (object name, else headline), caption and tags of the IIM datasets in `block`.

    Texts are in the character set that 1:90 names; where it names none they are UTF-8 if they can be.
    """
    encoding = ""
    texts: dict[tuple[int, int], list[str]] = {}
    unread: list[str] = []
    for dataset, value in _datasets(block, unread):
        if dataset == _CHARACTER_SET:
            encoding = _ENCODINGS.get(value, "")
        elif dataset in {_OBJECT_NAME, _KEYWORDS, _HEADLINE, _CAPTION}:
            texts.setdefault(dataset, []).append(_text(value, encoding))
    first = {dataset: next(filter(None, values), "") for dataset, values in texts.items()}
    return bounded(
        title=first.get(_OBJECT_NAME, "") or first.get(_HEADLINE, ""),
        caption=first.get(_CAPTION, ""),
        tags=texts.get(_KEYWORDS, []),
        unread=unread,
    )


def _datasets(block: bytes, unread: list[str]) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Record and number of every dataset with its value; `iptc` is noted in `unread` where the structure breaks off."""
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
