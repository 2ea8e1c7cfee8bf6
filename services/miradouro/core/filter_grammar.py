"""The text of `--filter`: conditions that all hold, side by side, as `tag:dog -tag:cat attr.rating:4|5 taken:2024`.

    filter    = { condition }, with white space between
    condition = ["-"] field ":" value          a leading "-": the condition must not hold

| condition | photos that … |
|---|---|
| tag:dog | carry the tag, of any kind |
| owner:"Ana Silva" | belong to the owner; owner:"": have no owner |
| attr.camera:"Leica Q3", attr.rating:4|5 | have an attribute of this name with one of the values; attr."Colour space":sRGB |
| taken:2024, taken:2024-05..2024-08-31, taken:2024.., taken:..2024-05 | were taken then; taken:..: have a time |
| near:38.71,-9.14,2km | were taken at most 2 km (or 500m) from latitude 38.71, longitude -9.14 |
| box:38.6,-9.3,38.8,-9.0 | were taken between south, west, north, east; west > east crosses the 180th meridian |
| name:IMG_ | have a file name that begins so; case matters |

A value that contains white space, `|` or a quote is written in double quotes; `\\"` is a quote there and `\\\\` a backslash.
Field names ignore case, values do not; only attributes take several values. A time names a span: a year, a month, a day, a
minute (2024-05-01T18:30), a second or its fraction (RFC 3339: 2024-05-01T18:30:00.5+01:00); `A..B` is from the first moment
of A to the last of B. A time without an offset is compared with the wall clock where the photo was taken, one with an offset
(or Z) with the instant. The wall clock of a photo whose offset is unknown counts as UTC.
"""

import difflib
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from miradouro.core.document import GeoPoint
from miradouro.core.errors import InvalidArgument
from miradouro.core.event import MAX_ATTRIBUTE_NAME_CHARS, MAX_ATTRIBUTE_VALUE_CHARS, MAX_OWNER_CHARS, MAX_TAG_CHARS
from miradouro.core.query import (
    AttributeIn,
    Condition,
    FileNamePrefix,
    InBox,
    Near,
    NoneOf,
    OwnerIs,
    TagIs,
    TakenBetween,
)
from miradouro.core.time_span import format_span, parse_time

MAX_FILTER_CHARS = 16_384
MAX_CONDITIONS = 256  # of one question, at every depth; a negation and each value count as one
MAX_VALUES = 64  # of one attribute
MAX_NAME_CHARS = 1_024
MAX_RADIUS_M = 20_037_509  # half way round the earth

# Field → how its condition is written, for help texts and errors.
FORMS = {
    "tag": "tag:dog",
    "owner": 'owner:"Ana Silva"',
    "attr": "attr.rating:4|5",
    "taken": "taken:2024-05..2024-08-31",
    "near": "near:38.71,-9.14,2km",
    "box": "box:38.6,-9.3,38.8,-9.0",
    "name": "name:IMG_",
}

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_BARE = r'[^\s"|]+'
_HEAD = re.compile(rf'(?P<minus>-?)(?P<field>[^\s:."|]*)(?P<dot>\.(?:{_QUOTED}|[^\s:"|]*))?:', re.DOTALL)
_VALUE = re.compile(rf"{_QUOTED}|{_BARE}", re.DOTALL)
_TO_QUOTE = re.compile(r'\S*"')
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_RADIUS = re.compile(rf"({_NUMBER.pattern})\s*(k?m)", re.ASCII | re.IGNORECASE)
_SHOWN_CHARS = 60  # of the text, to each side of an error


def parse_filter(text: str, *, field: str = "filter") -> tuple[Condition, ...]:
    """The conditions in `text`, in order; empty for an empty text.

    A negated condition is a NoneOf of one. Tags are as typed: the query folds them. Raises InvalidArgument naming `field`,
    with the column (from 1), the fault and, below it, the text with the fault underlined.
    """
    conditions: list[Condition] = []
    left = MAX_CONDITIONS
    for condition in _Reader(text, field).conditions():
        left -= count_conditions((condition,))
        if left < 0:
            raise InvalidArgument(field, f"more than {MAX_CONDITIONS} conditions; ask with fewer")
        conditions.append(condition)
    return tuple(conditions)


def count_conditions(conditions: Iterable[Condition]) -> int:
    """How many conditions there are at every depth; a negation and each value of an attribute count as one."""
    count = 0
    for condition in conditions:
        match condition:
            case NoneOf(inner):
                count += 1 + count_conditions(inner)
            case AttributeIn(_, values):
                count += len(values)
            case _:
                count += 1
    return count


def format_filter(conditions: Iterable[Condition]) -> str:
    """The text that `parse_filter` reads as `conditions`; a NoneOf of several becomes one negated condition each.

    Raises ValueError for the negation of a negation, which the grammar can't express.
    """
    return " ".join(word for condition in conditions for word in _words(condition))


@dataclass(frozen=True)
class _Value:
    """A value and its position in the text: `start` is that of its first character, inside the quotes."""

    text: str
    start: int
    end: int

    def parts(self, separator: str) -> Iterator["_Value"]:
        start = self.start
        for part in self.text.split(separator):
            lead = len(part) - len(part.lstrip())
            yield _Value(part.strip(), start + lead, start + len(part.rstrip()))
            start += len(part) + len(separator)


class _Reader:
    """Parses the text of a filter in one pass."""

    def __init__(self, text: str, field: str) -> None:
        self.text, self.field, self.at = text, field, 0
        self.readers: dict[str, Callable[[list[_Value]], Condition]] = {
            "tag": lambda values: TagIs(self.single("tag", values, 1, MAX_TAG_CHARS)),
            "owner": lambda values: OwnerIs(self.single("owner", values, 0, MAX_OWNER_CHARS)),
            "name": lambda values: self.name(self.plain("name", values)),
            "taken": lambda values: self.taken(self.plain("taken", values)),
            "near": lambda values: self.near(self.plain("near", values)),
            "box": lambda values: self.box(self.plain("box", values)),
        }

    def fail(self, message: str, start: int, end: int) -> NoReturn:
        raise InvalidArgument(self.field, f"column {start + 1}: {message}\n{_underlined(self.text, start, end)}")

    def conditions(self) -> Iterator[Condition]:
        text = self.text
        if len(text) > MAX_FILTER_CHARS:
            raise InvalidArgument(self.field, f"{len(text):,} characters; allowed: 0 to {MAX_FILTER_CHARS:,}")
        if surrogate := re.search(r"[\ud800-\udfff]", text):
            self.fail("this is no character; write the filter as UTF-8", surrogate.start(), surrogate.end())
        while True:
            self.at += len(text[self.at :]) - len(text[self.at :].lstrip())
            if self.at == len(text):
                return
            yield self.condition()

    def condition(self) -> Condition:
        start = self.at
        head = _HEAD.match(self.text, start)
        if head is None:
            if unclosed := _TO_QUOTE.match(self.text, start):
                self.fail('a quote is misplaced or never closed; write field:"value"', unclosed.end() - 1, unclosed.end())
            word = self.text[start:].split(maxsplit=1)[0]
            self.fail(f"{_brief(word)} is no condition; write field:value, for example {FORMS['tag']}", start, start + len(word))
        field = head["field"].lower()
        self.at = head.end()
        if field == "attr":
            name = self.attribute_name(head)
            values = self.values(head)
            for value in values:
                self.check_size(value, 0, MAX_ATTRIBUTE_VALUE_CHARS)
            condition: Condition = AttributeIn(name, tuple(value.text for value in values))
        elif field not in self.readers or head["dot"] is not None:
            self.unknown_field(head)
        else:
            condition = self.readers[field](self.values(head))
        return NoneOf((condition,)) if head["minus"] else condition

    def unknown_field(self, head: re.Match[str]) -> NoReturn:
        start, end = head.start("field"), head.end() - 1
        written = self.text[start:end]
        close = difflib.get_close_matches(head["field"].lower(), FORMS, n=1, cutoff=0.7)
        hint = f"did you mean {FORMS[close[0]]}?" if close else "an attribute is written attr.NAME:value;"
        self.fail(f"{_brief(written)} is no field; {hint} allowed: {', '.join(FORMS.values())}", start, end)

    def attribute_name(self, head: re.Match[str]) -> str:
        written = (head["dot"] or "")[1:]
        name = _unquoted(written) if written.startswith('"') else written
        if not 1 <= len(name) <= MAX_ATTRIBUTE_NAME_CHARS:
            self.fail(
                f"an attribute's name has 1 to {MAX_ATTRIBUTE_NAME_CHARS} characters, not {len(name)}; write {FORMS['attr']}",
                head.start("field"),
                head.end(),
            )
        return name

    def values(self, head: re.Match[str]) -> list[_Value]:
        """The values at the current position, split by `|`."""
        values = []
        while True:
            found = _VALUE.match(self.text, self.at)
            if found is None:
                if self.text[self.at : self.at + 1] == '"':
                    self.fail('this quote is never closed; end the value with "', self.at, len(self.text))
                self.fail('a value is missing; it follows without a space, and "" is an empty one', head.start(), self.at + 1)
            quoted = found[0].startswith('"')
            value = _unquoted(found[0]) if quoted else found[0]
            values.append(_Value(value, found.start() + quoted, found.end() - quoted))
            if len(values) > MAX_VALUES:
                self.fail(f"more than {MAX_VALUES} values", found.start(), found.end())
            self.at = found.end()
            after = self.text[self.at : self.at + 1]
            if after and not after.isspace() and after != "|":
                self.fail(
                    'the value ends before this; put the whole of it into "", with \\" for a quote in it', self.at, self.at + 1
                )
            if after != "|":
                return values
            self.at += 1

    def plain(self, field: str, values: list[_Value]) -> _Value:
        if len(values) > 1:
            self.fail(f"{field} takes one value; only attributes take several", values[1].start, values[1].end)
        return values[0]

    def single(self, field: str, values: list[_Value], least: int, most: int) -> str:
        value = self.plain(field, values)
        self.check_size(value, least, most)
        return value.text

    def check_size(self, value: _Value, least: int, most: int) -> None:
        if not least <= len(value.text) <= most:
            self.fail(f"{len(value.text):,} characters; allowed: {least} to {most:,}", value.start, value.end)

    def name(self, value: _Value) -> Condition:
        self.check_size(value, 1, MAX_NAME_CHARS)
        if "/" in value.text:
            self.fail("a file's name has no /; leave the folders out", value.start, value.end)
        return FileNamePrefix(value.text)

    def taken(self, value: _Value) -> Condition:
        times = list(value.parts(".."))
        if len(times) > 2:
            self.fail(f"a span has one '..'; write {FORMS['taken']}", value.start, value.end)
        first, last = times[0], times[-1]
        start = self.span(first)[0] if first.text or len(times) == 1 else None
        end = self.span(last)[1] if last.text or len(times) == 1 else None
        if start and end and (start.tzinfo is None) == (end.tzinfo is None) and start >= end:
            self.fail(f"{value.text} ends before it begins; write the earlier time first", value.start, value.end)
        return TakenBetween(start, end)

    def span(self, value: _Value) -> tuple[datetime, datetime]:
        try:
            return parse_time(value.text)
        except ValueError as exc:
            self.fail(f"{_brief(value.text)} {exc}", value.start, value.end)

    def near(self, value: _Value) -> Condition:
        latitude, longitude, radius = self.split(value, "near", "LATITUDE,LONGITUDE,RADIUS", 3)
        center = self.place(latitude, longitude)
        measure = _RADIUS.fullmatch(radius.text)
        if measure is None:
            self.fail(f"{_brief(radius.text)} is no radius; write a number and its unit, 500m or 2km", radius.start, radius.end)
        radius_m = float(measure[1]) * (1_000 if measure[2].lower() == "km" else 1)
        if not 0 < radius_m <= MAX_RADIUS_M:
            self.fail(f"{_brief(radius.text)} is not more than 0m and at most {MAX_RADIUS_M:,}m", radius.start, radius.end)
        return Near(center, radius_m)

    def box(self, value: _Value) -> Condition:
        south, west, north, east = self.split(value, "box", "SOUTH,WEST,NORTH,EAST", 4)
        south_west, north_east = self.place(south, west), self.place(north, east)
        if south_west.latitude > north_east.latitude:
            self.fail(
                f"south {_brief(south.text)} lies north of {_brief(north.text)}; the order is SOUTH,WEST,NORTH,EAST",
                south.start,
                north.end,
            )
        return InBox(south_west, north_east)

    def split(self, value: _Value, field: str, form: str, count: int) -> list[_Value]:
        parts = list(value.parts(","))
        if len(parts) != count:
            self.fail(f"{field} takes {form}, as in {FORMS[field]}; {len(parts)} parts given", value.start, value.end)
        return parts

    def place(self, latitude: _Value, longitude: _Value) -> GeoPoint:
        return GeoPoint(self.degrees("latitude", latitude, 90), self.degrees("longitude", longitude, 180))

    def degrees(self, what: str, value: _Value, most: int) -> float:
        if not _NUMBER.fullmatch(value.text):
            self.fail(f"{what} {_brief(value.text)} is no number; write degrees as in -9.14", value.start, value.end)
        degrees = float(value.text)
        if not -most <= degrees <= most:
            self.fail(f"{what} {_brief(value.text)} is not within -{most} to {most} degrees", value.start, value.end)
        return degrees


def _brief(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}…")


def _unquoted(text: str) -> str:
    return _ESCAPE.sub(r"\1", text[1:-1])


def _underlined(text: str, start: int, end: int) -> str:
    """The text around `start` to `end` and carets below, for a terminal: two lines."""
    shown = range(max(start - _SHOWN_CHARS, 0), min(start + _SHOWN_CHARS, len(text)))
    characters = [text[at] if text[at].isprintable() else " " for at in shown]
    before = sum(_cells(text[at]) for at in shown if at < start)
    under = sum(_cells(text[at]) for at in shown if start <= at < end)
    return f"  {''.join(characters)}\n  {' ' * before}{'^' * max(under, 1)}"


def _cells(character: str) -> int:
    if character.isprintable() and unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _words(condition: Condition) -> Iterator[str]:
    match condition:
        case NoneOf(conditions):
            for word in (word for inner in conditions for word in _words(inner)):
                if word.startswith("-"):
                    raise ValueError(f"{condition} negates a negation, for which the filter has no words")
                yield f"-{word}"
        case TagIs(label):
            yield f"tag:{_written(label)}"
        case OwnerIs(owner):
            yield f"owner:{_written(owner)}"
        case FileNamePrefix(prefix):
            yield f"name:{_written(prefix)}"
        case AttributeIn(name, values):
            yield f"attr.{_written(name, also=':')}:{'|'.join(map(_written, values))}"
        case TakenBetween(start, end):
            yield f"taken:{format_span(start, end)}"
        case Near(center, radius_m):
            yield f"near:{_number(center.latitude)},{_number(center.longitude)},{_written_radius(radius_m)}"
        case InBox(south_west, north_east):
            corners = (south_west.latitude, south_west.longitude, north_east.latitude, north_east.longitude)
            yield f"box:{','.join(map(_number, corners))}"


def _written(text: str, also: str = "") -> str:
    if re.fullmatch(_BARE, text) and not any(character in text for character in also):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _written_radius(radius_m: float) -> str:
    km = radius_m / 1_000
    return f"{_number(km)}km" if km >= 1 and km * 1_000 == radius_m else f"{_number(radius_m)}m"


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} is no finite number")
    return repr(float(value)).removesuffix(".0")
