"""The format of a dead letter in its topic: the record as it came, and headers that say what was wrong with it."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from miradouro.adapters.kafka.settings import MAX_DEAD_LETTER_BYTES
from miradouro.core.document import Failure
from miradouro.core.event import MAX_VERSION
from miradouro.core.redaction import public_uri
from miradouro.core.source_record import SourceRecord

_ENVELOPE_BYTES = 16 * 1024
_LONGEST_BYTES = 4_096  # of one of our headers and of a key: only records that are not events have longer ones, which are cut
_ORIGINAL = "original-"
_KEY = "miradouro-key"  # the record's key, where the key of the dead letter is another
_NO_KEY = b"/"  # the key of a dead letter that names no photo
PartitionOffset = tuple[int, int]  # in the topic of the dead letters
Sendable = dict[str, Any]  # arguments of a producer: key, value, headers


@dataclass(frozen=True)
class Letter:
    """A dead letter and its position in the topic.

    `record` is the refused record; None for an event that came by a call. Where its value was too large to be kept,
    `value_sha256` stands for it, and the record has neither value nor headers.
    """

    position: PartitionOffset
    failure: Failure
    record: SourceRecord | None
    value_sha256: str = ""


@dataclass(frozen=True)
class Settled:
    """A note that the dead letter at `letter` is done with; None: all of the photo's dead letters before the note are."""

    collection: str
    photo_id: str
    letter: PartitionOffset | None


def sendable(failure: Failure) -> Sendable:
    """The dead letter of a failure, without its record where that is too large."""
    record = failure.record
    value = record.value if record is not None else failure.event or None
    headers = {
        "miradouro-reason": failure.reason,
        "miradouro-message": failure.message,
        "miradouro-collection": failure.collection,
        "miradouro-photo-id": failure.photo_id,
        "miradouro-version": str(failure.version),
        "miradouro-uri": public_uri(failure.uri),
        "miradouro-failed-at": failure.failed_at.isoformat(),
        "miradouro-traceparent": failure.traceparent,
    }
    if record is not None:
        headers |= {
            "miradouro-topic": record.topic,
            "miradouro-partition": str(record.partition),
            "miradouro-offset": str(record.offset),
        }
    encoded = [(name, _cut(text)) for name, text in headers.items()]
    if record is not None:
        encoded += [(f"{_ORIGINAL}{name}", value) for name, value in record.headers if value is not None]
    key = _cut(f"{failure.collection}/{failure.photo_id}")
    if record is not None and record.key is not None and (record.key != key or key == _NO_KEY):
        encoded.append((_KEY, record.key[:_LONGEST_BYTES]))
    letter = {"key": key, "value": value, "headers": encoded}
    size = len(value or b"") + sum(len(name) + len(header) for name, header in encoded)
    return letter if size <= MAX_DEAD_LETTER_BYTES - _ENVELOPE_BYTES else without_record(letter)


def without_record(letter: Sendable) -> Sendable:
    """The dead letter with the hash of the value in place of the value, and without the headers of the record."""
    digest = hashlib.sha256(letter["value"] or b"").hexdigest().encode()
    ours = [(name, header) for name, header in letter["headers"] if name.startswith("miradouro-")]
    return {**letter, "value": None, "headers": [*ours, ("miradouro-value-sha256", digest)]}


def settling(collection: str, photo_id: str, letter: PartitionOffset | None = None) -> Sendable:
    """The note that is read as `Settled`."""
    note = sendable(Failure(collection, photo_id, 0, "", "", "", datetime.now(UTC)))
    if letter is not None:
        position = zip(("miradouro-letter-partition", "miradouro-letter-offset"), letter, strict=True)
        note["headers"] += [(name, str(number).encode()) for name, number in position]
    return note


def read_letter(stored: SourceRecord) -> Letter | Settled:
    """A record of the topic as dead letter or note. Raises ValueError for a record that is neither."""
    header = {name: (value or b"").decode(errors="replace") for name, value in stored.headers if name.startswith("miradouro-")}
    version, failed_at = int(header.get("miradouro-version", "")), datetime.fromisoformat(header.get("miradouro-failed-at", ""))
    if not 0 <= version <= MAX_VERSION:
        raise ValueError(f"miradouro-version: {version}; allowed: 0 to {MAX_VERSION:,}")
    if failed_at.tzinfo is None:
        raise ValueError(f"miradouro-failed-at: {failed_at.isoformat()} has no offset from UTC")
    collection, photo_id = header.get("miradouro-collection", ""), header.get("miradouro-photo-id", "")
    if not (reason := header.get("miradouro-reason", "")):
        is_of_one = "miradouro-letter-offset" in header
        letter = (
            (int(header.get("miradouro-letter-partition", "")), int(header["miradouro-letter-offset"])) if is_of_one else None
        )
        return Settled(collection, photo_id, letter)
    record = slim = None
    if topic := header.get("miradouro-topic"):
        partition, offset = int(header.get("miradouro-partition", "")), int(header.get("miradouro-offset", ""))
        headers = tuple((name.removeprefix(_ORIGINAL), text) for name, text in stored.headers if name.startswith(_ORIGINAL))
        key_of_letter = f"{collection}/{photo_id}".encode()
        key = dict(stored.headers).get(_KEY, None if key_of_letter == _NO_KEY else key_of_letter)
        record = SourceRecord(topic, partition, offset, key, stored.value, headers)
        slim = SourceRecord(topic, partition, offset, key, None)  # without the value: failures are held in memory
    failure = Failure(
        collection=collection,
        photo_id=photo_id,
        version=version,
        reason=reason,
        message=header.get("miradouro-message", ""),
        uri=header.get("miradouro-uri", ""),
        traceparent=header.get("miradouro-traceparent", ""),
        failed_at=failed_at,
        event=stored.value or b"" if record is None else b"",
        record=slim,
    )
    return Letter((stored.partition, stored.offset), failure, record, header.get("miradouro-value-sha256", ""))


def _cut(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")[:_LONGEST_BYTES].decode("utf-8", "ignore").encode()
