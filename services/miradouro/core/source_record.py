"""The log record of a photo event."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceRecord:
    """The log record that an event came in, unchanged."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
