"""Dead letters in a topic: the record as it came, and as headers what was wrong with it."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from miradouro.adapters.kafka.replay import Replay
from miradouro.adapters.kafka.settings import MAX_DEAD_LETTER_BYTES, KafkaSettings
from miradouro.adapters.kafka.topics import translated
from miradouro.core.document import Failure
from miradouro.core.errors import NotFound
from miradouro.core.event import MAX_VERSION, SourceRecord
from miradouro.core.failure_page import check_limit, place_of, token_of

_TIMEOUT_S = 30.0
_ENVELOPE_BYTES = 16 * 1024
_LONGEST_BYTES = 4_096  # of a header of ours, and of a key: longer ones are of records that are no events, and are cut
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
_Letter = dict[str, Any]

_log = structlog.get_logger(__name__)


class KafkaDeadLetters:
    """DeadLetters over a topic: written with acknowledgement of every copy. `list` reads the whole topic.

    The value is that of the record. Of one that the topic does not take, which may allow less than ours do, the SHA-256 stands
    in a header instead: topic, partition and offset tell where the record is. A letter's key is the photo's, so that all letters
    of a photo stand in one partition.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        with translated():
            self._producer = KafkaProducer(
                **settings.connection,
                acks="all",
                # An idempotent producer is of no use any more after a letter that the topic does not take. A letter that
                # stands twice does no harm; their order has to stay.
                enable_idempotence=False,
                max_in_flight_requests_per_connection=1,
                max_request_size=MAX_DEAD_LETTER_BYTES,
                linger_ms=5,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._producer.close(timeout=_TIMEOUT_S)

    def put(self, failures: Sequence[Failure]) -> None:
        """See `DeadLetters.put`: every one is a letter; `list` tells the highest version. Raises Unavailable."""
        self._send([_letter(failure) for failure in failures])

    def list(self, *, collection: str = "", limit: int = 100, after: str = "") -> tuple[Sequence[Failure], str]:
        """See `DeadLetters.list`. Takes time and memory that grow with the topic. Raises Unavailable and Corrupt."""
        check_limit(limit)
        start = place_of(after)
        found: dict[tuple[str, str], Failure] = {}
        for failure in self._read():
            key = (failure.collection, failure.photo_id)
            if failure.reason == "":
                found.pop(key, None)
            elif key not in found or found[key].version <= failure.version:
                found[key] = failure
        chosen = sorted(key for key in found if (start is None or key > start) and (not collection or key[0] == collection))
        page = [found[key] for key in chosen[:limit]]
        return page, token_of(*chosen[limit - 1]) if len(chosen) > limit else ""

    def forget(self, collection: str, photo_ids: Sequence[str]) -> None:
        """See `DeadLetters.forget`: a letter that says that what came before is settled."""
        now = datetime.now(UTC)
        self._send([_letter(Failure(collection, photo_id, 0, "", "", "", now)) for photo_id in photo_ids])

    def _send(self, letters: Sequence[_Letter]) -> None:
        with translated():
            for letter, error in self._sent(letters):
                if not isinstance(error, _TOO_LARGE):
                    raise error
                for _, still in self._sent([_without_record(letter)]):
                    raise still

    def _sent(self, letters: Sequence[_Letter]) -> Sequence[tuple[_Letter, KafkaError]]:
        """Sends letters and waits for every copy; gives those that were refused."""
        refused, under_way = [], []
        for letter in letters:
            try:
                under_way.append((letter, self._producer.send(self._settings.kafka_dead_topic, **letter)))
            except _TOO_LARGE as exc:
                refused.append((letter, exc))
        self._producer.flush(timeout=_TIMEOUT_S)
        for letter, sent in under_way:
            try:
                sent.get(timeout=_TIMEOUT_S)
            except KafkaError as exc:
                refused.append((letter, exc))
        return refused

    def _read(self) -> Iterator[Failure]:
        """Every letter, in order per photo; none when there is no topic. What others put into the topic is passed over."""
        with Replay(self._settings, self._settings.kafka_dead_topic) as replay:
            try:
                ends = replay.ends()
            except NotFound:
                return
            for one in replay.read({}, ends):
                try:
                    failure = _failure(one.record)
                except ValueError as exc:
                    place = {"partition": one.record.partition, "offset": one.record.offset}
                    _log.warning("a record of the dead letters is none", error=str(exc), **place)
                else:
                    yield failure


def _letter(failure: Failure) -> _Letter:
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
        encoded += [(f"original-{name}", told) for name, told in record.headers if told is not None]
    letter = {"key": _cut(f"{failure.collection}/{failure.photo_id}"), "value": value, "headers": encoded}
    size = len(value or b"") + sum(len(name) + len(told) for name, told in encoded)
    return letter if size <= MAX_DEAD_LETTER_BYTES - _ENVELOPE_BYTES else _without_record(letter)


def _without_record(letter: _Letter) -> _Letter:
    """The letter with the hash of the value instead of the value, and without the headers of the record."""
    digest = hashlib.sha256(letter["value"] or b"").hexdigest().encode()
    ours = [(name, told) for name, told in letter["headers"] if name.startswith("miradouro-")]
    return {**letter, "value": None, "headers": [*ours, ("miradouro-value-sha256", digest)]}


def _cut(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")[:_LONGEST_BYTES].decode("utf-8", "ignore").encode()


def _failure(record: SourceRecord) -> Failure:
    """Raises ValueError for a record that is no letter of ours."""
    told = {name: (value or b"").decode(errors="replace") for name, value in record.headers if name.startswith("miradouro-")}
    version, failed_at = int(told.get("miradouro-version", "")), datetime.fromisoformat(told.get("miradouro-failed-at", ""))
    if not 0 <= version <= MAX_VERSION:
        raise ValueError(f"miradouro-version: {version}; allowed: 0 to {MAX_VERSION:,}")
    if failed_at.tzinfo is None:
        raise ValueError(f"miradouro-failed-at: {failed_at.isoformat()} has no offset from UTC")
    return Failure(
        collection=told.get("miradouro-collection", ""),
        photo_id=told.get("miradouro-photo-id", ""),
        version=version,
        reason=told.get("miradouro-reason", ""),
        message=told.get("miradouro-message", ""),
        uri=told.get("miradouro-uri", ""),
        traceparent=told.get("miradouro-traceparent", ""),
        failed_at=failed_at,
        event=record.value or b"" if "miradouro-topic" not in told else b"",
    )
