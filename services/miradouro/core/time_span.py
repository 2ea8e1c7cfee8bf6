"""Times in filters: 2024, 2024-05, 2024-05-01, 2024-05-01T18:30 or an RFC 3339 instant, each a span.

A time without an offset is one of the wall clock where a photo was taken (naive). With an offset it is an instant (aware, UTC).
"""

import re
from datetime import UTC, datetime, timedelta, timezone

_LAST_YEAR = 9998  # the last one of datetime has no instant after it
_TIME = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)(?:T(?P<hour>\d\d):(?P<minute>\d\d)"
    r"(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?)?(?P<offset>Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?)?)?)?",
    re.ASCII | re.IGNORECASE,
)


def parse_time(text: str) -> tuple[datetime, datetime]:
    """The start of the span that `text` names, and its end, exclusive; years 1 to 9998.

    Both are naive, or aware in UTC when `text` ends with an offset. A fraction names the span of its last digit, at most a
    microsecond. Raises ValueError, whose message continues a sentence that begins with the text: "is no time; …".
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("is no time; write 2024, 2024-05, 2024-05-01, 2024-05-01T18:30 or 2024-05-01T18:30:00Z")
    try:
        return _span(found)
    except (ValueError, OverflowError) as exc:
        raise ValueError(f"is not in the calendar of the years 1 to {_LAST_YEAR}: {exc}") from exc


def format_span(start: datetime | None, end: datetime | None) -> str:
    """`first..last` for the times from `start` on and before `end` (None for no bound), or a single name of the span.

    Naive times are written without an offset, aware ones in UTC. `last` names the span that ends at `end`, so that
    `parse_time(last)[1] == end`.
    """
    first = "" if start is None else _start_name(start)
    last = "" if end is None else _end_name(end)
    if start and end and start.tzinfo is None and start.year <= _LAST_YEAR:
        for name in (first[:4], first[:7], first[:10]):
            if parse_time(name) == (start, end):
                return name
    return f"{first}..{last}"


def _span(found: re.Match[str]) -> tuple[datetime, datetime]:
    year, month, day = int(found["year"]), int(found["month"] or 1), int(found["day"] or 1)
    fraction = found["fraction"] or ""
    clock = int(found["hour"] or 0), int(found["minute"] or 0), int(found["second"] or 0), int(fraction.ljust(6, "0"))
    start = datetime(year, month, day, *clock)  # noqa: DTZ001 # a wall clock
    if found["offset"]:
        start = start.replace(tzinfo=_zone(found["offset"])).astimezone(UTC)
    if found["month"] is None:
        return start, start.replace(year=year + 1)
    if found["day"] is None:
        return start, start.replace(year=year + month // 12, month=month % 12 + 1)
    if found["hour"] is None:
        return start, start + timedelta(days=1)
    if found["second"] is None:
        return start, start + timedelta(minutes=1)
    return start, start + timedelta(microseconds=10 ** (6 - len(fraction)))


def _zone(offset: str) -> timezone:
    if offset in "Zz":
        return UTC
    minutes = int(offset[1:3]) * 60 + int(offset[4:])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))


def _start_name(start: datetime) -> str:
    if start.tzinfo is not None:
        return _utc_name(start.astimezone(UTC), "auto")
    text = start.isoformat()
    return text[:10] if text.endswith("T00:00:00") else text


def _end_name(end: datetime) -> str:
    if end.tzinfo is None and end == end.replace(hour=0, minute=0, second=0, microsecond=0):
        return (end - timedelta(days=1)).date().isoformat()
    precision, step = ("microseconds", timedelta(microseconds=1)) if end.microsecond else ("seconds", timedelta(seconds=1))
    last = end - step
    return last.isoformat(timespec=precision) if end.tzinfo is None else _utc_name(last.astimezone(UTC), precision)


def _utc_name(instant: datetime, precision: str) -> str:
    return f"{instant.replace(tzinfo=None).isoformat(timespec=precision)}Z"
