"""The record of a log that a photo event came in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceRecord:
    """The record of a log that an event came in, as it stood there."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
