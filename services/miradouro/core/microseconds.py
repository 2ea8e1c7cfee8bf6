"""Times as indices store them: whole microseconds since 1970."""

from datetime import UTC, datetime, timedelta

from miradouro.core.errors import InvalidArgument

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(instant: datetime, *, field: str) -> int:
    """Microseconds since 1970 in UTC, exactly. Raises InvalidArgument naming `field` for a time without a zone."""
    if instant.tzinfo is None:
        raise InvalidArgument(field, f"{instant} has no time zone; give an aware time")
    return (instant - _EPOCH) // _MICROSECOND


def local_microseconds(local: datetime) -> int:
    """Microseconds since 1970 of a naive wall clock, read as if it were UTC."""
    return (local.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """The instant, in UTC. Raises OverflowError beyond the years 1 to 9999."""
    return _EPOCH + timedelta(microseconds=count)
