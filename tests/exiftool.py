"""Metadata as exiftool, an independent reader, reads it, in the terms of PhotoMetadata."""

import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from miradouro.core.document import TakenAt

Tags = Mapping[str, object]

_TIME = re.compile(r"(\d{4}):(\d\d):(\d\d)(?: (\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?(Z|[+-]\d\d:\d\d)?")
_PLAIN_TIMES = {
    "xmp": ("XMP-exif:DateTimeOriginal", "XMP-photoshop:DateCreated", "XMP-xmp:CreateDate"),
    "png": ("PNG:CreationTime", "PNG:ModifyDate"),
}
_TITLES = ("XMP-dc:Title", "IPTC:ObjectName", "IPTC:Headline", "IFD0:XPTitle", "PNG:Title")
_CAPTIONS = (
    *("XMP-dc:Description", "IPTC:Caption-Abstract", "IFD0:ImageDescription", "ExifIFD:UserComment", "IFD0:XPComment"),
    *("PNG:Description", "PNG:Comment", "File:Comment"),
)
_TAGS = ("XMP-dc:Subject", "XMP-lr:HierarchicalSubject", "XMP-digiKam:TagsList", "IPTC:Keywords", "IFD0:XPKeywords")


@dataclass(frozen=True)
class Reading:
    """Texts as found: blanks around them, and the words of cameras, are still there. Sizes are those of the upright photo."""

    size: tuple[int, int]
    titles: tuple[str, ...]
    captions: tuple[str, ...]
    tags: tuple[str, ...]
    camera: tuple[str, str]
    place: tuple[float, float] | None
    taken_at: TakenAt | None
    taken_from: str
    rating: int


def read_with_exiftool(files: Sequence[Path]) -> list[Reading]:
    """What exiftool reads from each of the files, in one run. Raises FileNotFoundError where it is not installed."""
    command = ["exiftool", "-json", "-n", "-G1", "-a", "-struct", "-api", "struct=0", *map(str, files)]
    run = subprocess.run(command, capture_output=True, check=False, encoding="utf-8", errors="replace")
    found = {Path(tags["SourceFile"]): tags for tags in json.loads(run.stdout)}
    return [_reading(found[file]) for file in files]


def _reading(tags: Tags) -> Reading:
    width, height = map(int, str(tags.get("Composite:ImageSize", "0 0")).split())
    if _number(tags, "IFD0:Orientation") in {5, 6, 7, 8}:
        width, height = height, width
    time = next(_times(tags), None)
    latitude, longitude = (_text(tags, f"Composite:{name}", f"XMP-exif:{name}") for name in ("GPSLatitude", "GPSLongitude"))
    return Reading(
        size=(width, height),
        titles=_texts(tags, _TITLES),
        captions=_texts(tags, _CAPTIONS),
        tags=next(filter(None, (_list(tags.get(name)) for name in _TAGS)), ()),
        camera=(_text(tags, "IFD0:Make", "XMP-tiff:Make"), _text(tags, "IFD0:Model", "XMP-tiff:Model")),
        place=None if "" in {latitude, longitude} else (float(latitude), float(longitude)),
        taken_at=time[1] if time else None,
        taken_from=time[0] if time else "",
        rating=_number(tags, "XMP-xmp:Rating", "IFD0:Rating"),
    )


def _texts(tags: Tags, names: Iterable[str]) -> tuple[str, ...]:
    """The values of these tags, in any language, that are not blank."""
    values = [str(value) for name in names for tag, value in tags.items() if tag == name or tag.startswith(f"{name}-")]
    return tuple(value for value in values if value.strip())


def _text(tags: Tags, *names: str) -> str:
    return next((str(tags[name]) for name in names if str(tags.get(name, "")).strip()), "")


def _list(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),) if value not in (None, "") else ()


def _number(tags: Tags, *names: str) -> int:
    return next((int(float(str(tags[name]))) for name in names if tags.get(name)), 0)


def _times(tags: Tags) -> Iterator[tuple[str, TakenAt]]:
    """The times of taking by their sources, the most trusted first."""
    modified, original = tags.get("IFD0:ModifyDate"), _text(tags, "ExifIFD:DateTimeOriginal", "IFD0:DateTimeOriginal")
    general = tags.get("ExifIFD:OffsetTime", "") if modified in (None, original) else ""
    date, clock = tags.get("IPTC:DateCreated"), tags.get("IPTC:TimeCreated", "")
    digitized, satellites = tags.get("ExifIFD:CreateDate", ""), (tags.get("GPS:GPSDateStamp"), tags.get("GPS:GPSTimeStamp"))
    candidates = [
        ("exif", original, tags.get("ExifIFD:SubSecTimeOriginal", ""), tags.get("ExifIFD:OffsetTimeOriginal", general)),
        *(("xmp", tags.get(name), "", "") for name in _PLAIN_TIMES["xmp"]),
        ("iptc", f"{date} {clock}".strip() if date else "", "", ""),
        ("exif-digitized", digitized, tags.get("ExifIFD:SubSecTimeDigitized", ""), tags.get("ExifIFD:OffsetTimeDigitized", "")),
        *(("png", tags.get(name), "", "Z" if name == "PNG:ModifyDate" else "") for name in _PLAIN_TIMES["png"]),
        ("gps", " ".join(map(str, satellites)) if all(satellites) else "", "", "Z"),
    ]
    for source, text, fraction, offset in candidates:
        if found := _time(str(text or ""), str(fraction), str(offset)):
            yield source, found


def _time(text: str, fraction: str, offset: str) -> TakenAt | None:
    found = _TIME.match(text)
    if found is None or text.startswith("0000"):
        return None
    year, month, day, hour, minute, second = (int(found[part] or 0) for part in range(1, 7))
    microsecond = int((found[7] or fraction).strip()[:6].ljust(6, "0"))
    zone = found[8] or offset
    minutes = 0 if zone == "Z" else None
    if hours := re.fullmatch(r"([+-])(\d\d):(\d\d)", zone):
        minutes = (60 * int(hours[2]) + int(hours[3])) * (-1 if hours[1] == "-" else 1)
    try:
        local = datetime(year, month, day, hour, minute, second, microsecond, tzinfo=UTC)
    except ValueError:
        return None
    return TakenAt(local - timedelta(minutes=minutes or 0), minutes)
