"""The forms of times in metadata: EXIF, ISO 8601 and RFC 1123, with and without seconds, fraction and offset."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from miradouro.core.document import TakenAt
from miradouro.core.event import MAX_UTC_OFFSET_MINUTES

_MAX_CHARS = 64
_DATE = r"(\d{4})[:/.-](\d\d?)[:/.-](\d\d?)"
_CLOCK = r"[ T]+(\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
_TIME = re.compile(rf"{_DATE}(?:{_CLOCK} ?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d\d?):?(\d\d)", re.ASCII)


def read_time(text: str, *, fraction: str = "", offset: str = "") -> TakenAt | None:
    """The time in `text`, None when it stands for an unknown time: empty, blanks or zeros.

    A date without a time is its midnight. `fraction` (of a second) and `offset` come from other fields of the file; those in
    `text` take precedence, and an invalid offset counts as unknown. Raises ValueError.
    """
    text = text.strip("\0 ")[:_MAX_CHARS]
    if not text.strip(" :0-/.T"):
        return None
    found = _TIME.match(text)
    if found is None or (found[4] is None and found.end() < len(text)):
        raise ValueError(f"{text!r} is no time")
    year, month, day, hour, minute, second = (int(found[part] or 0) for part in range(1, 7))
    digits = re.match(r"\d{0,6}", found[7] or fraction, re.ASCII)
    microsecond = int((digits[0] if digits else "").ljust(6, "0"))
    local = datetime(year, month, day, hour, minute, second, microsecond, tzinfo=UTC)
    minutes = offset_minutes(found[8] or offset)
    return TakenAt(local - timedelta(minutes=minutes or 0), minutes)


def read_mail_time(text: str) -> TakenAt | None:
    """The time in `text`, in a form of `read_time` or in that of e-mail (RFC 1123, which PNG recommends).

    Raises ValueError.
    """
    try:
        return read_time(text)
    except ValueError:
        found = parsedate_to_datetime(text[:_MAX_CHARS])
    offset = found.utcoffset()
    if offset is None:
        return TakenAt(found.replace(tzinfo=UTC), None)
    return TakenAt(found.astimezone(UTC), offset // timedelta(minutes=1))


def offset_minutes(text: str) -> int | None:
    """Minutes east of UTC of an offset such as `+01:00`, `-0930` or `Z`; None when `text` is no offset."""
    text = text.strip("\0 ")
    if text == "Z":
        return 0
    found = _OFFSET.fullmatch(text)
    if found is None or int(found[3]) > 59:
        return None
    minutes = int(found[2]) * 60 + int(found[3])
    if minutes > MAX_UTC_OFFSET_MINUTES:
        return None
    return -minutes if found[1] == "-" else minutes
