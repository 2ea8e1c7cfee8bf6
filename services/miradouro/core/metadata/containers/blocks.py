"""The metadata blocks of a file, not yet decoded."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from miradouro.core.metadata.bounds import MAX_EXIF_BYTES

_EXIF = b"Exif\0"  # one more byte follows: a zero, or by some writers 0xff
EXIF_PREFIX = _EXIF
EXIF_PREFIX_BYTES = len(_EXIF) + 1


@dataclass(frozen=True)
class Blocks:
    """A TIFF structure, IPTC-IIM datasets, an XMP packet; empty where there is none.

    `texts` are those of the file format, by keyword in lower case. `unread` names blocks that are damaged or cut at a bound.
    """

    exif: bytes = b""
    iptc: bytes = b""
    xmp: bytes = b""
    texts: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()


def bare_exif(data: bytes, start: int = 0, end: int | None = None) -> bytes:
    """The TIFF structure in `data[start:end]`, without the prefix that JPEG demands and others may write; cut at its bound."""
    if data.startswith(_EXIF, start):
        start += EXIF_PREFIX_BYTES
    end = len(data) if end is None else end
    return data[start : min(end, start + MAX_EXIF_BYTES)]
