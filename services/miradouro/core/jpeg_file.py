"""JPEG files (ITU-T T.81, annex B): the content of the segments, and a copy without metadata."""

import itertools
import re
from dataclasses import dataclass

from miradouro.core.colour.icc import MAX_PROFILE_BYTES
from miradouro.core.errors import BadPhoto

MAX_SEGMENTS = 4_096  # before the first scan; a file of 32 MiB holds 512 of the largest size
MAX_SCANS = 500  # a full progressive photo has about 10; each visits every block
MAX_SCANNED_PIXELS = MAX_SCANS * 2**24  # scans x pixels: 500 empty scans of 16 megapixels take 1.2 s to 4 s
END = b"\xff\xd9"

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_APP0, _APP1, _APP2, _ADOBE = 0xE0, 0xE1, 0xE2, 0xEE
_ICC = b"ICC_PROFILE\0"  # then the number of the part, from 1, and how many there are (ICC.1:2022, annex B.4)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = frozenset({0xC0, 0xC1, 0xC9})
_STANDALONE = frozenset({0x01, _SOI})
_PICTURE = _FRAMES | {0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD}  # tables, frame and scan
# A marker that is not part of coded data: neither a stuffed 0xff, nor a restart, nor fill. No repetition: linear in any data.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_SCAN_MARK = re.compile(rb"\xff\xda")  # `finditer` takes a third of the time of `bytes.count`
_TRUNCATED = "the JPEG data ends early or is damaged ({}); upload it again"


@dataclass(frozen=True)
class JpegFile:
    """A JPEG before its pixels are decoded.

    `samplings` are the horizontal and vertical sampling factors by component. `data` holds everything that decoding needs;
    metadata is left out, because a decoder could fail on it. `first_scan` is the offset of its scans. `is_buffered`: the decoder
    holds all coefficients, because several scans refine them. `has_end`: the file has its end marker.
    `profile` is the ICC profile, empty when it is missing or incomplete.
    """

    width: int
    height: int
    samplings: tuple[tuple[int, int], ...]
    is_buffered: bool
    has_end: bool
    exif: bytes
    profile: bytes
    first_scan: int
    data: bytes

    @property
    def coefficient_bytes(self) -> int:
        """Bytes of the coefficients that the decoder holds at once: two for each sample, in whole blocks; 0 if not buffered."""
        if not self.is_buffered:
            return 0
        across, down = max(h for h, _ in self.samplings), max(v for _, v in self.samplings)
        columns, rows = -(-self.width // (8 * across)), -(-self.height // (8 * down))
        return sum(columns * h * rows * v * 128 for h, v in self.samplings)


def read_jpeg(data: bytes) -> JpegFile:
    """The segments of `data` up to the first scan. Raises BadPhoto (truncated; too_expensive: too many segments)."""
    kept = [b"\xff\xd8"]
    exif = b""
    profile: dict[tuple[int, int], bytes] = {}  # number of a part, number of parts → the part
    frame: tuple[int, bytes] | None = None
    at = 2
    for _ in range(MAX_SEGMENTS):
        marker, start, at = _segment(data, at)
        if marker in _STANDALONE:
            continue
        body = data[start + 4 : at]
        if marker in _FRAMES:
            if frame is not None:  # Pillow would take the last one
                raise BadPhoto("truncated", _TRUNCATED.format("two frames"))
            frame = marker, body
        if marker == _APP1 and not exif and body.startswith(b"Exif\0"):
            exif = body
        if marker == _APP2 and body.startswith(_ICC) and len(body) > len(_ICC) + 2:
            profile.setdefault((body[len(_ICC)], body[len(_ICC) + 1]), body[len(_ICC) + 2 :])
        if marker == _SOS:
            if frame is None:
                raise BadPhoto("truncated", _TRUNCATED.format("a scan without a frame"))
            has_end = data.endswith(END) or data.find(END, start) >= 0
            first_scan = sum(map(len, kept))
            scans = memoryview(data)[start : None if has_end or data[-1] != 0xFF else -1]
            # Copying the scans takes a twentieth of the decoding time; avoid it when nothing is left out.
            picture = data if has_end and first_scan == start else b"".join((*kept, scans))
            return _file(*frame, body, has_end, exif, _joined(profile), first_scan, picture)
        # The JFIF and Adobe segments define the colours of the components.
        if marker in _PICTURE or (marker, body[:4]) == (_APP0, b"JFIF") or (marker, body[:5]) == (_ADOBE, b"Adobe"):
            kept.append(b"\xff" + data[start + 1 : at])
    raise BadPhoto("too_expensive", f"the JPEG has more than {MAX_SEGMENTS:,} segments before its picture; save it again")


def check_scans(file: JpegFile) -> None:
    """Raises BadPhoto (too_expensive) when the scans of `file` take too long to decode."""
    if not file.is_buffered:
        return
    pixels = file.width * file.height
    allowed = min(MAX_SCANS, max(1, MAX_SCANNED_PIXELS // max(1, pixels)))
    marks = itertools.islice(_SCAN_MARK.finditer(file.data, file.first_scan), allowed + 1)
    if sum(1 for _ in marks) <= allowed:  # fast, and an upper bound of the number of scans
        return
    if len(_scans(file, allowed + 1)) > allowed:
        raise BadPhoto("too_expensive", f"the JPEG has more than {allowed} scans of {pixels:,} pixels; save it again")


def missing_scans(file: JpegFile) -> bool:
    """Whether a component lacks a scan, or the last bits of its coefficients."""
    exact: dict[int, set[int]] = {}  # component → coefficients whose last bit is there
    for body in _scans(file, MAX_SCANS):
        components, (first, last, bits) = body[1 : 1 + 2 * body[0] : 2], body[-3:]
        for component in components:
            if bits & 0x0F == 0:
                exact.setdefault(component, set()).update(range(first, min(last, 63) + 1))
    return len(exact) < len(file.samplings) or any(len(coefficients) < 64 for coefficients in exact.values())


def _scans(file: JpegFile, most: int) -> list[bytes]:
    """The headers of at most `most` scans. Raises BadPhoto (too_expensive) for too many segments between them."""
    headers: list[bytes] = []
    at = file.first_scan
    for _ in range(most + MAX_SEGMENTS):
        try:
            marker, start, at = _segment(file.data, at)
        except BadPhoto:  # the data ends
            return headers
        if marker == _EOI or len(headers) == most:
            return headers
        if marker == _SOS and at - start >= 10:
            headers.append(file.data[start + 4 : at])
    raise BadPhoto("too_expensive", f"the JPEG has more than {MAX_SEGMENTS:,} segments between its scans; save it again")


def _segment(data: bytes, at: int) -> tuple[int, int, int]:
    """The next segment from byte `at` on: its marker, where it starts and where it ends. Raises BadPhoto (truncated)."""
    found = _MARKER.search(data, at)
    if found is None:
        raise BadPhoto("truncated", _TRUNCATED.format(f"no picture in {len(data):,} bytes"))
    start, marker = found.start(), data[found.start() + 1]
    if marker in _STANDALONE or marker == _EOI:
        return marker, start, start + 2
    size = int.from_bytes(data[start + 2 : start + 4], "big")
    if size < 2 or start + 2 + size > len(data):
        raise BadPhoto("truncated", _TRUNCATED.format(f"segment {marker:#04x} at byte {start:,} of {len(data):,} is cut"))
    return marker, start, start + 2 + size


def _joined(parts: dict[tuple[int, int], bytes]) -> bytes:
    """The profile joined from its parts; empty when a part is missing or the profile is too large."""
    numbers, counts = {number for number, _ in parts}, {count for _, count in parts}
    if numbers != set(range(1, len(parts) + 1)) or counts != {len(parts)} or sum(map(len, parts.values())) > MAX_PROFILE_BYTES:
        return b""
    return b"".join(part for _, part in sorted(parts.items()))


def _file(
    marker: int, frame: bytes, scan: bytes, has_end: bool, exif: bytes, profile: bytes, first_scan: int, data: bytes
) -> JpegFile:
    if len(frame) < 6 or len(frame) < 6 + 3 * frame[5] or not frame[5] or not scan:
        raise BadPhoto("truncated", _TRUNCATED.format("the frame's header is cut"))
    samplings = tuple((max(1, frame[at] >> 4), max(1, frame[at] & 15)) for at in range(7, 6 + 3 * frame[5], 3))
    return JpegFile(
        width=int.from_bytes(frame[3:5], "big"),
        height=int.from_bytes(frame[1:3], "big"),
        samplings=samplings,
        is_buffered=marker not in _SEQUENTIAL or scan[0] < frame[5],
        has_end=has_end,
        exif=exif,
        profile=profile,
        first_scan=first_scan,
        data=data,
    )
