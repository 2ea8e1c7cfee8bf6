"""Dead letters in a topic."""

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from miradouro.adapters.kafka.letter import (
    Letter,
    PartitionOffset,
    Sendable,
    Settled,
    read_letter,
    sendable,
    settling,
    without_record,
)
from miradouro.adapters.kafka.publisher import close_producer
from miradouro.adapters.kafka.replay import Replay
from miradouro.adapters.kafka.settings import MAX_DEAD_LETTER_BYTES, KafkaSettings
from miradouro.adapters.kafka.topics import translated
from miradouro.core.document import Failure
from miradouro.core.errors import InvalidArgument, NotFound
from miradouro.core.failure_page import check_limit, position_of, token_of
from miradouro.core.source_record import SourceRecord

_TIMEOUT_S = 10.0
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)

_log = structlog.get_logger(__name__)


class KafkaDeadLetters:
    """DeadLetters over a topic: written with acknowledgement of every copy. `list` reads the whole topic.

    The value of a dead letter is that of its record. Where that is larger than the topic allows, its SHA-256 stands in a header
    instead; topic, partition and offset say where the record is. The key is the photo's, so that all dead letters of a photo are
    in one partition.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        with translated():
            self._producer = KafkaProducer(
                **settings.connection,
                acks="all",
                # An idempotent producer fails for good after one record that is too large. A doubled dead letter does no harm;
                # their order must stay.
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
        close_producer(self._producer)

    def put(self, failures: Sequence[Failure]) -> None:
        """See `DeadLetters.put`: each becomes a record; `list` returns the highest version. Raises Unavailable."""
        self._put([sendable(failure) for failure in failures])

    def list(self, *, collection: str = "", limit: int = 100, after: str = "") -> tuple[Sequence[Failure], str]:
        """See `DeadLetters.list`. Takes time and memory that grow with the topic. Raises Unavailable and Corrupt."""
        check_limit(limit)
        start = position_of(after)
        found: dict[tuple[str, str], tuple[PartitionOffset, Failure]] = {}  # without the records, which may be large
        settled: set[PartitionOffset | None] = set()
        for entry in self.read(self.ends()):
            if isinstance(entry, Letter):
                failure = entry.failure
                key = (failure.collection, failure.photo_id)
                if key not in found or found[key][1].version <= failure.version:
                    found[key] = entry.position, failure
            elif entry.letter is None:
                found.pop((entry.collection, entry.photo_id), None)
            else:
                settled.add(entry.letter)
        waiting = (key for key, (position, _) in found.items() if position not in settled)
        chosen = sorted(key for key in waiting if (start is None or key > start) and (not collection or key[0] == collection))
        page = [found[key][1] for key in chosen[:limit]]
        return page, token_of(*chosen[limit - 1]) if len(chosen) > limit else ""

    def forget(self, collection: str, photo_ids: Sequence[str]) -> None:
        """See `DeadLetters.forget`: writes a note that all before it is settled."""
        self._put([settling(collection, photo_id) for photo_id in photo_ids])

    def ends(self) -> dict[int, int]:
        """By partition, the offset of the next dead letter; empty when there is no topic. Raises Unavailable."""
        with Replay(self._settings, self._settings.kafka_dead_topic) as replay:
            try:
                return replay.ends()
            except NotFound:
                return {}

    def read(self, ends: Mapping[int, int]) -> Iterator[Letter | Settled]:
        """Every dead letter and note before `ends`, in order per photo. Records of others are logged and skipped.

        Raises Unavailable and Corrupt.
        """
        if not ends:
            return
        with Replay(self._settings, self._settings.kafka_dead_topic) as replay:
            for one in replay.read({}, ends):
                try:
                    entry = read_letter(one.record)
                except ValueError as exc:
                    position = {"partition": one.record.partition, "offset": one.record.offset}
                    _log.warning("a record in the topic of dead letters is not a dead letter", error=str(exc), **position)
                else:
                    yield entry

    def settle(self, letters: Sequence[Letter]) -> None:
        """Notes that these dead letters, and no others, are done with. Raises Unavailable."""
        self._put([settling(one.failure.collection, one.failure.photo_id, one.position) for one in letters])

    def publish(self, records: Sequence[SourceRecord]) -> Sequence[InvalidArgument | None]:
        """Sends records to the topic of events, each into its own partition (-1: the one of its key), in this order.

        Returns for each None once every copy has it, or why the topic refuses it. Raises Unavailable.
        """
        sendables = [
            {
                "key": one.key,
                "value": one.value,
                "headers": list(one.headers),
                "partition": one.partition if one.partition >= 0 else None,
            }
            for one in records
        ]
        answers: list[InvalidArgument | None] = []
        with translated():
            for error, record in zip(self._sent(self._settings.kafka_topic, sendables), records, strict=True):
                if error is not None and not isinstance(error, _TOO_LARGE):
                    raise error
                size = len(record.value or b"")
                answers.append(error and InvalidArgument("value", f"{size:,} bytes are more than the topic of events takes"))
        return answers

    def _put(self, letters: Sequence[Sendable]) -> None:
        topic = self._settings.kafka_dead_topic
        with translated():
            for letter, error in zip(letters, self._sent(topic, letters), strict=True):
                if error is None:
                    continue
                if not isinstance(error, _TOO_LARGE):
                    raise error
                for second in self._sent(topic, [without_record(letter)]):
                    if second is not None:
                        raise second

    def _sent(self, topic: str, letters: Sequence[Sendable]) -> Sequence[KafkaError | None]:
        """Sends, waits for every copy, and returns for each None or why it was refused."""
        errors: dict[int, KafkaError] = {}
        under_way = {}
        for number, letter in enumerate(letters):
            try:
                under_way[number] = self._producer.send(topic, **letter)
            except _TOO_LARGE as exc:
                errors[number] = exc
        self._producer.flush(timeout=_TIMEOUT_S)
        for number, sent in under_way.items():
            try:
                sent.get(timeout=_TIMEOUT_S)
            except KafkaError as exc:
                errors[number] = exc
        return [errors.get(number) for number in range(len(letters))]
