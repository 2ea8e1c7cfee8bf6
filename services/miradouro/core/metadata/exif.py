"""EXIF (CIPA DC-008): time, place and camera, and the texts that programs put there."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from miradouro.core.document import Place, TakenAt
from miradouro.core.event import MAX_UTC_OFFSET_MINUTES
from miradouro.core.metadata.photo_metadata import PhotoMetadata, bounded, written
from miradouro.core.metadata.texts import decode_text
from miradouro.core.metadata.tiff import Directory, first_directory

_DESCRIPTION, _MAKE, _MODEL, _EXIF_DIRECTORY, _GPS_DIRECTORY = 0x010E, 0x010F, 0x0110, 0x8769, 0x8825
_XP_TITLE, _XP_KEYWORDS = 0x9C9B, 0x9C9E  # Windows' own, UTF-16
_TAKEN, _OFFSET, _SUBSECONDS, _COMMENT = 0x9003, 0x9011, 0x9291, 0x9286
_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE = 1, 2, 3, 4

_TIME = re.compile(r"(\d{4})[:/.-](\d\d)[:/.-](\d\d)[ T](\d\d):(\d\d):(\d\d)", re.ASCII)
_UTC_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)", re.ASCII)
_GUESS_CHARS = 1_024
_NORTH_SOUTH = {"N": 1, "NORTH": 1, "S": -1, "SOUTH": -1}
_EAST_WEST = {"E": 1, "EAST": 1, "W": -1, "WEST": -1}
Value = TypeVar("Value")


def read_exif(block: bytes) -> PhotoMetadata:
    """What the TIFF structure `block` says; an empty one says nothing, a damaged value is left out and named."""
    if not block:
        return PhotoMetadata()
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
        return PhotoMetadata(unread=("exif",))
    camera_settings = attempt("directory", lambda: _directory(block, main, _EXIF_DIRECTORY), None)
    gps = attempt("gps", lambda: _directory(block, main, _GPS_DIRECTORY), None)
    description = attempt("description", lambda: written(_ascii(main.raw(_DESCRIPTION))), "")
    return bounded(
        title=attempt("title", lambda: _utf16(main.raw(_XP_TITLE)), ""),
        caption=description or (attempt("comment", lambda: _comment(camera_settings), "") if camera_settings else ""),
        tags=attempt("keywords", lambda: _utf16(main.raw(_XP_KEYWORDS)), "").split(";"),
        camera=attempt("camera", lambda: _camera(_ascii(main.raw(_MAKE)), _ascii(main.raw(_MODEL))), ""),
        place=attempt("place", lambda: _place(gps), None) if gps else None,
        taken_at=attempt("taken_at", lambda: _taken_at(camera_settings), None) if camera_settings else None,
        unread=unread,
    )


def _directory(block: bytes, main: Directory, tag: int) -> Directory | None:
    offset = main.number(tag)
    return None if offset is None else Directory(block, offset)


def _ascii(raw: bytes) -> str:
    return decode_text(raw.split(b"\0", 1)[0]).strip()


def _utf16(raw: bytes) -> str:
    return raw[: len(raw) // 2 * 2].decode("utf-16-le").split("\0", 1)[0].strip()


def _comment(settings: Directory) -> str:
    """UserComment: eight bytes tell the encoding of the others."""
    raw = settings.raw(_COMMENT)
    code, body = raw[:8], raw[8:]
    if code == b"UNICODE\0":
        orders = ("utf-16-le", "utf-16-be") if settings.order == "<" else ("utf-16-be", "utf-16-le")
        body = body[: len(body) // 2 * 2]
        # Some writers ignore the file's byte order: Latin letters tell which one they took.
        texts = [body.decode(order, "replace") for order in orders]
        latin = [sum("\x20" <= character <= "\u024f" for character in text[:_GUESS_CHARS]) for text in texts]
        return texts[latin.index(max(latin))].split("\0", 1)[0].strip()
    if code == b"JIS\0\0\0\0\0":
        return body.decode("iso2022_jp").strip("\0 ")
    if code in {b"ASCII\0\0\0", bytes(8)}:
        return _ascii(body)
    if raw.strip(b"\0 "):
        raise ValueError(f"UserComment begins with {code.hex(' ')}, which is no encoding")
    return ""


def _camera(make: str, model: str) -> str:
    """`Canon` and `Canon EOS R5` are one name, and so are `NIKON CORPORATION` and `NIKON D850`."""
    doubled = model.lower().split(" ", 1)[0] in make.lower().split()
    return model if doubled else f"{make} {model}".strip()


def _taken_at(settings: Directory) -> TakenAt | None:
    text = _ascii(settings.raw(_TAKEN))
    if not text.strip(" :0"):  # blanks, or zeros, say that the time is unknown
        return None
    found = _TIME.match(text)
    if found is None:
        raise ValueError(f"{text!r} is no time")
    fraction = re.match(r"\d{0,6}", _ascii(settings.raw(_SUBSECONDS)), re.ASCII)
    microseconds = int((fraction[0] if fraction else "").ljust(6, "0"))
    year, month, day, hour, minute, second = map(int, found.groups())
    local = datetime(year, month, day, hour, minute, second, microseconds, tzinfo=UTC)
    offset = _utc_offset_minutes(_ascii(settings.raw(_OFFSET)))
    return TakenAt(local - timedelta(minutes=offset or 0), offset)


def _utc_offset_minutes(text: str) -> int | None:
    if text == "Z":
        return 0
    found = _UTC_OFFSET.fullmatch(text)
    if found is None or int(found[3]) > 59:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    if minutes > MAX_UTC_OFFSET_MINUTES:
        return None
    return -minutes if found[1] == "-" else minutes


def _place(gps: Directory) -> Place | None:
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
    return Place(*degrees) if any(degrees) else None  # devices that don't know where they are write 0, 0
