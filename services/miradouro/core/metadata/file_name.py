"""The time that cameras, phones and messengers write into a file's name.

IMG_20190102_101112.jpg   PXL_20210102_101112345.jpg   Screenshot_2019-01-02-10-11-12.png   2019-01-02 10.11.12.jpg
Screenshot 2019-01-02 at 3.04.05 PM.png   WhatsApp Image 2019-01-02 at 10.11.12.jpeg   IMG-20190102-WA0001.jpg
"""

import re
from datetime import UTC, datetime

from miradouro.core.document import TakenAt

_MAX_CHARS = 255
_DATE = r"(?<!\d)(?P<year>19[5-9]\d|20\d\d)(?P<sign>[-_.]?)(?P<month>0[1-9]|1[0-2])(?P=sign)(?P<day>0[1-9]|[12]\d|3[01])"
_CLOCK = r"(?P<hour>\d\d?)(?P<colon>[-_.:]?)(?P<minute>[0-5]\d)(?P=colon)(?P<second>[0-5]\d)"
_HALF = r"(?:[\s\u202f]?(?P<half>[AaPp])\.?[Mm]\.?(?![A-Za-z]))"
_MOMENT = re.compile(rf"{_DATE}(?:[-_ T]| at |_at_)?{_CLOCK}(?:[._]?(?P<fraction>\d{{3}}))?(?:{_HALF}|(?![0-9A-Za-z]))", re.ASCII)
_WHATSAPP = re.compile(rf"(?:IMG|VID)-{_DATE}-WA\d+", re.ASCII)  # a day, and a number within it
_UTC = "PXL_"  # Pixel phones write UTC


def time_of_name(name: str) -> TakenAt | None:
    """The time in the file name `name`, None when there is none: from 1950 to 2099; a date without a time as its midnight.

    The offset is unknown, except for names that are known to be in UTC.
    """
    name = name[-_MAX_CHARS:]
    found = _MOMENT.search(name) or _WHATSAPP.search(name)
    if found is None:
        return None
    parts = found.groupdict()
    hour = int(parts.get("hour") or 0)
    if half := parts.get("half"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (half in "Pp")
    try:
        instant = datetime(
            int(parts["year"]),
            int(parts["month"]),
            int(parts["day"]),
            hour,
            int(parts.get("minute") or 0),
            int(parts.get("second") or 0),
            int(parts.get("fraction") or 0) * 1_000,
            tzinfo=UTC,
        )
    except ValueError:  # 31 February, 25 o'clock
        return None
    return TakenAt(instant, 0 if name.startswith(_UTC) else None)
