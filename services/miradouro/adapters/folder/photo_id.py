"""Photo ids of files: paths below the root as valid Unicode text, also for names that are not UTF-8."""

import os

_ESCAPE = "\N{REPLACEMENT CHARACTER}"


def photo_id_of(relative_path: str) -> str:
    """The photo id of a path below the root, which the operating system gave.

    Each byte that is not UTF-8 becomes U+FFFD and two hexadecimal digits. So does each byte of U+FFFD itself: two files never
    share an id.
    """
    if relative_path.isascii():
        return relative_path
    text = relative_path.replace(_ESCAPE, "".join(f"{_ESCAPE}{byte:02X}" for byte in _ESCAPE.encode()))
    return "".join(f"{_ESCAPE}{ord(one) - 0xDC00:02X}" if "\udc80" <= one <= "\udcff" else one for one in text)


def path_of(photo_id: str) -> str:
    """The path below the root: the inverse of `photo_id_of`."""
    if _ESCAPE not in photo_id:
        return photo_id
    head, *rest = photo_id.split(_ESCAPE)
    raw = head.encode() + b"".join(bytes.fromhex(part[:2]) + part[2:].encode() for part in rest)
    return os.fsdecode(raw)
