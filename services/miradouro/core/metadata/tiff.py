"""The TIFF structure of EXIF (TIFF 6.0, section 2): directories of tagged values."""

import struct
from fractions import Fraction

from miradouro.core.metadata.bounds import MAX_ENTRIES, MAX_TEXT_BYTES

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}  # type → bytes a value
_WHOLE = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I"}
_RATIONALS = {5: "I", 10: "i"}


class Directory:
    """One directory of `block`, at `offset` bytes: its first MAX_ENTRIES values. Raises ValueError when there is none."""

    def __init__(self, block: bytes, offset: int) -> None:
        self.order = byte_order(block)
        if not 8 <= offset <= len(block) - 2:
            raise ValueError(f"no directory at byte {offset} of {len(block)}")
        (count,) = struct.unpack_from(f"{self.order}H", block, offset)
        self._block = block
        self._entries: dict[int, tuple[int, int, int]] = {}  # tag → type, count, position of the value or of its offset
        for at in range(offset + 2, min(offset + 2 + 12 * min(count, MAX_ENTRIES), len(block) - 11), 12):
            tag, kind, values = struct.unpack_from(f"{self.order}HHI", block, at)
            self._entries.setdefault(tag, (kind, values, at + 8))

    def raw(self, tag: int) -> bytes:
        """The first MAX_TEXT_BYTES + 1 bytes of a value, empty when the tag is absent.

        Raises ValueError when the value is outside of the block.
        """
        if tag not in self._entries:
            return b""
        kind, count, at = self._entries[tag]
        if kind not in _SIZES:
            raise ValueError(f"tag {tag:#06x} is of unknown type {kind}")
        size = _SIZES[kind] * count
        if size > 4:
            (at,) = struct.unpack_from(f"{self.order}I", self._block, at)
        if at + size > len(self._block):
            raise ValueError(f"tag {tag:#06x} lies at bytes {at} to {at + size} of {len(self._block)}")
        return self._block[at : at + min(size, MAX_TEXT_BYTES + 1)]

    def number(self, tag: int) -> int | None:
        """The first number of a value, None when the tag is absent. Raises ValueError when it is no whole number."""
        raw = self.raw(tag)
        if not raw:
            return None
        code = _WHOLE.get(self._entries[tag][0])
        if code is None:
            raise ValueError(f"tag {tag:#06x} is no whole number")
        return int(struct.unpack_from(f"{self.order}{code}", raw)[0])

    def rationals(self, tag: int, most: int) -> list[Fraction]:
        """The fractions of a value, empty when the tag is absent.

        Raises ValueError when there are more than `most`, and when a denominator is 0.
        """
        if tag not in self._entries:
            return []
        kind, count, _ = self._entries[tag]
        code = _RATIONALS.get(kind)
        if code is None:
            raise ValueError(f"tag {tag:#06x} is no fraction")
        if count > most:
            raise ValueError(f"tag {tag:#06x} holds {count} fractions; allowed: {most}")
        raw = self.raw(tag)
        numbers = struct.unpack(f"{self.order}{len(raw) // 4}{code}", raw)
        if 0 in numbers[1::2]:
            raise ValueError(f"tag {tag:#06x} divides by 0")
        return [Fraction(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]


def byte_order(block: bytes) -> str:
    """`<` or `>` as `struct` writes it. Raises ValueError when `block` does not begin as TIFF does."""
    if block[:4] == b"II*\0":
        return "<"
    if block[:4] == b"MM\0*":
        return ">"
    raise ValueError(f"begins with {block[:4].hex(' ')}, not as TIFF does")


def first_directory(block: bytes) -> Directory:
    """The directory that the header points to. Raises ValueError."""
    order = byte_order(block)
    if len(block) < 8:
        raise ValueError(f"a TIFF header has 8 bytes, not {len(block)}")
    return Directory(block, struct.unpack_from(f"{order}I", block, 4)[0])
