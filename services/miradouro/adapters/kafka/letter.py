"""What a dead letter looks like in the topic: the record as it came, and as headers what was wrong with it."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from miradouro.adapters.kafka.settings import MAX_DEAD_LETTER_BYTES
from miradouro.core.document import Failure
from miradouro.core.event import MAX_VERSION, SourceRecord

_ENVELOPE_BYTES = 16 * 1024
_LONGEST_BYTES = 4_096  # of a header of ours, and of a key: longer ones are of records that are no events, and are cut
_ORIGINAL = "original-"
_KEY, _NO_KEY = "miradouro-key", b"/"  # a record's key where the letter's own does not tell it; that of a letter without names
Place = tuple[int, int]  # partition and offset in the topic of the dead letters
Sendable = dict[str, Any]  # what a producer takes: key, value, headers


@dataclass(frozen=True)
class Letter:
    """A dead letter, and where it stands.

    `record` is the one that died; None for an event that came by a call. Where its value was too large to be kept,
    `value_sha256` stands for it, and the record has neither value nor headers.
    """

    place: Place
    failure: Failure
    record: SourceRecord | None
    value_sha256: str = ""


@dataclass(frozen=True)
class Settled:
    """A note: the letter at `letter` needs nothing any more; None: those of the photo that stand before the note."""

    collection: str
    photo_id: str
    letter: Place | None


def sendable(failure: Failure) -> Sendable:
    """The letter of a failure, without its record where that is too large."""
    record = failure.record
    value = record.value if record is not None else failure.event or None
    headers = {
        "miradouro-reason": failure.reason,
        "miradouro-message": failure.message,
        "miradouro-collection": failure.collection,
        "miradouro-photo-id": failure.photo_id,
        "miradouro-version": str(failure.version),
        "miradouro-uri": failure.uri,
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
        encoded += [(f"{_ORIGINAL}{name}", told) for name, told in record.headers if told is not None]
    key = _cut(f"{failure.collection}/{failure.photo_id}")
    if record is not None and record.key is not None and (record.key != key or key == _NO_KEY):
        encoded.append((_KEY, record.key[:_LONGEST_BYTES]))
    letter = {"key": key, "value": value, "headers": encoded}
    size = len(value or b"") + sum(len(name) + len(told) for name, told in encoded)
    return letter if size <= MAX_DEAD_LETTER_BYTES - _ENVELOPE_BYTES else without_record(letter)


def without_record(letter: Sendable) -> Sendable:
    """The letter with the hash of the value instead of the value, and without the headers of the record."""
    digest = hashlib.sha256(letter["value"] or b"").hexdigest().encode()
    ours = [(name, told) for name, told in letter["headers"] if name.startswith("miradouro-")]
    return {**letter, "value": None, "headers": [*ours, ("miradouro-value-sha256", digest)]}


def settling(collection: str, photo_id: str, letter: Place | None = None) -> Sendable:
    """The note that `Settled` is read from."""
    note = sendable(Failure(collection, photo_id, 0, "", "", "", datetime.now(UTC)))
    if letter is not None:
        places = zip(("miradouro-letter-partition", "miradouro-letter-offset"), letter, strict=True)
        note["headers"] += [(name, str(number).encode()) for name, number in places]
    return note


def read_letter(stored: SourceRecord) -> Letter | Settled:
    """What a record of the topic tells. Raises ValueError for one that is none of ours."""
    told = {name: (value or b"").decode(errors="replace") for name, value in stored.headers if name.startswith("miradouro-")}
    version, failed_at = int(told.get("miradouro-version", "")), datetime.fromisoformat(told.get("miradouro-failed-at", ""))
    if not 0 <= version <= MAX_VERSION:
        raise ValueError(f"miradouro-version: {version}; allowed: 0 to {MAX_VERSION:,}")
    if failed_at.tzinfo is None:
        raise ValueError(f"miradouro-failed-at: {failed_at.isoformat()} has no offset from UTC")
    collection, photo_id = told.get("miradouro-collection", ""), told.get("miradouro-photo-id", "")
    if not (reason := told.get("miradouro-reason", "")):
        is_of_one = "miradouro-letter-offset" in told
        letter = (int(told.get("miradouro-letter-partition", "")), int(told["miradouro-letter-offset"])) if is_of_one else None
        return Settled(collection, photo_id, letter)
    record = where = None
    if topic := told.get("miradouro-topic"):
        partition, offset = int(told.get("miradouro-partition", "")), int(told.get("miradouro-offset", ""))
        headers = tuple((name.removeprefix(_ORIGINAL), text) for name, text in stored.headers if name.startswith(_ORIGINAL))
        told_by_letter = f"{collection}/{photo_id}".encode()
        key = dict(stored.headers).get(_KEY, None if told_by_letter == _NO_KEY else told_by_letter)
        record = SourceRecord(topic, partition, offset, key, stored.value, headers)
        where = SourceRecord(topic, partition, offset, key, None)  # without the value: failures are held in memory
    failure = Failure(
        collection=collection,
        photo_id=photo_id,
        version=version,
        reason=reason,
        message=told.get("miradouro-message", ""),
        uri=told.get("miradouro-uri", ""),
        traceparent=told.get("miradouro-traceparent", ""),
        failed_at=failed_at,
        event=stored.value or b"" if record is None else b"",
        record=where,
    )
    return Letter((stored.partition, stored.offset), failure, record, told.get("miradouro-value-sha256", ""))


def _cut(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")[:_LONGEST_BYTES].decode("utf-8", "ignore").encode()
