"""EXIF (CIPA DC-008): time, place, camera and rating, and the texts that programs write there."""

from collections.abc import Callable
from typing import TypeVar

from miradouro.core.document import GeoPoint, TakenAt
from miradouro.core.metadata.block_metadata import BlockMetadata, bounded
from miradouro.core.metadata.rating import stars
from miradouro.core.metadata.texts import decode_text
from miradouro.core.metadata.tiff import Directory, first_directory
from miradouro.core.metadata.times import read_time

_DESCRIPTION, _MAKE, _MODEL, _MODIFIED, _EXIF_DIRECTORY, _GPS_DIRECTORY = 0x010E, 0x010F, 0x0110, 0x0132, 0x8769, 0x8825
_RATING, _RATING_PERCENT = 0x4746, 0x4749
_XP_TITLE, _XP_COMMENT, _XP_KEYWORDS = 0x9C9B, 0x9C9C, 0x9C9E  # Windows' own, UTF-16
_COMMENT, _OFFSET_MODIFIED = 0x9286, 0x9010
_ORIGINAL, _DIGITIZED = (0x9003, 0x9011, 0x9291), (0x9004, 0x9012, 0x9292)  # time, offset, fraction of a second
_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE, _GPS_CLOCK, _GPS_DATE = 1, 2, 3, 4, 7, 29

_GUESS_CHARS = 1_024
_NORTH_SOUTH = {"N": 1, "NORTH": 1, "S": -1, "SOUTH": -1}
_EAST_WEST = {"E": 1, "EAST": 1, "W": -1, "WEST": -1}
Value = TypeVar("Value")


def read_exif(block: bytes) -> BlockMetadata:
    """The metadata in the TIFF structure `block`, empty for an empty one. Damaged fields are left out and named in `unread`."""
    if not block:
        return BlockMetadata()
    unread: list[str] = []

    def attempt(part: str, read: Callable[[], Value], otherwise: Value) -> Value:
        try:
            return read()
        except (ValueError, OverflowError):
            unread.append(f"exif.{part}")
            return otherwise

    try:
        main = first_directory(block)
    except ValueError:
        return BlockMetadata(unread=("exif",))
    # Some writers put the tags of the EXIF directory into the first directory.
    settings = attempt("directory", lambda: _directory(block, main, _EXIF_DIRECTORY), None) or main
    gps = attempt("gps", lambda: _directory(block, main, _GPS_DIRECTORY), None)
    return bounded(
        titles=[attempt("title", lambda: _utf16(main.raw(_XP_TITLE)), "")],
        captions=[
            attempt("description", lambda: _ascii(main.raw(_DESCRIPTION)), ""),
            attempt("comment", lambda: _comment(settings), ""),
            attempt("windows_comment", lambda: _utf16(main.raw(_XP_COMMENT)), ""),
        ],
        tags=attempt("keywords", lambda: _utf16(main.raw(_XP_KEYWORDS)), "").split(";"),
        make=attempt("make", lambda: _ascii(main.raw(_MAKE)), ""),
        model=attempt("model", lambda: _ascii(main.raw(_MODEL)), ""),
        place=attempt("place", lambda: _place(gps), None) if gps else None,
        times={
            "exif": attempt("taken_at", lambda: _time(main, settings, *_ORIGINAL), None),
            "exif-digitized": attempt("digitized_at", lambda: _time(main, settings, *_DIGITIZED), None),
            "gps": attempt("gps_time", lambda: _gps_time(gps), None) if gps else None,
        },
        rating=attempt("rating", lambda: stars(main.number(_RATING), main.number(_RATING_PERCENT)), None),
        unread=unread,
    )


def _directory(block: bytes, main: Directory, tag: int) -> Directory | None:
    offset = main.number(tag)
    return None if offset is None else Directory(block, offset)


def _ascii(raw: bytes) -> str:
    return decode_text(raw.split(b"\0", 1)[0]).strip()


def _utf16(raw: bytes, order: str = "utf-16-le") -> str:
    return raw[: len(raw) // 2 * 2].decode(order, "replace").split("\0", 1)[0].strip()


def _comment(settings: Directory) -> str:
    """UserComment: the first eight bytes name the encoding of the rest. Raises ValueError."""
    raw = settings.raw(_COMMENT)
    code, body = raw[:8], raw[8:]
    match code.rstrip(b"\0 ").upper():
        case b"UNICODE":
            orders = ("utf-16-le", "utf-16-be") if settings.order == "<" else ("utf-16-be", "utf-16-le")
            # Some writers ignore the file's byte order: Latin letters show which one they used.
            texts = [_utf16(body, order) for order in orders]
            return max(texts, key=lambda text: sum("\x20" <= character <= "\u024f" for character in text[:_GUESS_CHARS]))
        case b"JIS":
            return body.decode("iso2022_jp").strip("\0 ")
        case b"ASCII" | b"":
            return _ascii(body)
    text = _ascii(raw)  # without an encoding, as some phones write it
    if not text.isprintable():
        raise ValueError(f"UserComment begins with {code.hex(' ')}, which is no encoding")
    return text


def _time(main: Directory, settings: Directory, time: int, offset: int, fraction: int) -> TakenAt | None:
    text, own_offset = _ascii(settings.raw(time) or main.raw(time)), _ascii(settings.raw(offset))
    if not own_offset and _ascii(main.raw(_MODIFIED)) in {"", text}:
        # The offset of the time of modification is the photo's own as long as no program has modified it.
        own_offset = _ascii(settings.raw(_OFFSET_MODIFIED))
    return read_time(text, fraction=_ascii(settings.raw(fraction)), offset=own_offset)


def _gps_time(gps: Directory) -> TakenAt | None:
    """Date and clock of the satellites, in UTC. Raises ValueError."""
    date, clock = _ascii(gps.raw(_GPS_DATE)), gps.rationals(_GPS_CLOCK, 3)
    if not date or len(clock) != 3:
        return None
    hour, minute, second = clock
    return read_time(f"{date} {int(hour):02}:{int(minute):02}:{float(second):09.6f}Z")


def _place(gps: Directory) -> GeoPoint | None:
    latitude, longitude = gps.rationals(_LATITUDE, 3), gps.rationals(_LONGITUDE, 3)
    if not latitude and not longitude:
        return None
    degrees = []
    for parts, tag, signs, most in ((latitude, _LATITUDE_REF, _NORTH_SOUTH, 90), (longitude, _LONGITUDE_REF, _EAST_WEST, 180)):
        reference = _ascii(gps.raw(tag)).upper()[:10]
        if reference not in signs or not parts:
            raise ValueError(f"{len(parts)} parts {reference!r} are no angle")
        value = sum(part / 60**power for power, part in enumerate(parts))
        if not 0 <= value <= most:
            raise ValueError(f"{float(value)} degrees are not on the earth")
        degrees.append(float(value * signs[reference]))
    return GeoPoint(*degrees) if any(degrees) else None  # devices without a position write 0, 0
