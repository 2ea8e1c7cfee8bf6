"""Sends dead letters to the topic of events again, after their cause is removed.

Only the newest state of a photo is sent, and only if the topic holds no newer one: compaction keeps the last record of a photo,
which must be its newest state. A note in the topic of dead letters records each that was sent, so that none is sent twice.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256

from miradouro.adapters.kafka import KafkaDeadLetters, KafkaSettings
from miradouro.adapters.kafka.letter import Letter, PartitionOffset
from miradouro.adapters.kafka.replay import Replay
from miradouro.core.document import Failure
from miradouro.core.errors import InvalidArgument
from miradouro.core.event import PhotoEvent
from miradouro.core.ports import Refused
from miradouro.core.source_record import SourceRecord
from miradouro.ingest.cloud_event import item_of, record_of
from miradouro.ingest.event_wire import event_from_failure

_BATCH, _BATCH_BYTES = 100, 8 * 1024 * 1024
Progress = Callable[[str, int, int], None]  # the step, how much of it is done, and of how much


class Status(StrEnum):
    """The result of one dead letter."""

    SENT = "sent"
    SUPERSEDED = "superseded"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True)
class Resent:
    """A dead letter and its result; `message` is the reason why it was not sent."""

    failure: Failure
    status: Status
    message: str = ""


@dataclass(frozen=True)
class _Waiting:
    """A dead letter without its record, which may be large. `origin`: the record's position in the topic, or (-1, -1).

    `wrong` is the reason why it can't be sent; then it has no key and version.
    """

    letter: Letter
    origin: PartitionOffset = (-1, -1)
    key: bytes = b""
    version: int = 0
    wrong: str = ""

    @property
    def rank(self) -> tuple[int, PartitionOffset, PartitionOffset]:
        """The dead letter of a photo with the highest rank has its newest state."""
        return self.version, self.origin, self.letter.position

    def is_superseded_by(self, event: PhotoEvent, record: SourceRecord) -> bool:
        """Whether an event of the same photo replaces this one: a newer state, or the same one that came later."""
        partition, offset = self.origin
        is_later = partition < 0 or (record.partition == partition and record.offset > offset)
        return event.version > self.version or (event.version == self.version and is_later)


@dataclass(frozen=True)
class Resend:
    """One run over the dead letters that are in the topic when it begins.

    `collection` and `reasons` select; empty: all. `is_dry`: sends nothing and writes no note.
    """

    settings: KafkaSettings
    dead_letters: KafkaDeadLetters
    collection: str = ""
    reasons: Collection[str] = field(default_factory=frozenset)
    is_dry: bool = False

    def run(self, progress: Progress) -> Iterator[Resent]:
        """One result for each selected dead letter, after it is sent and noted.

        After an interruption the next run continues: a dead letter that was sent and not noted is superseded by its own event.
        Memory grows with the number of dead letters, not with their size. Raises NotFound (no topic of events), Unavailable,
        Corrupt.
        """
        with Replay(self.settings, self.settings.kafka_topic) as log:
            log_ends, ends = log.ends(), self.dead_letters.ends()
            waiting = self._waiting(ends, log, log_ends, progress)
            yield from (Resent(one.letter.failure, Status.IMPOSSIBLE, one.wrong) for one in waiting if one.wrong)
            good = sorted((one for one in waiting if not one.wrong), key=lambda one: one.rank)
            newest = {one.key: one for one in good}
            for key in _superseded(newest, log, log_ends, progress, strict=self._is_strict):
                del newest[key]
            positions = {one.letter.position for one in newest.values()}
            yield from self._pass_over([one.letter for one in good if one.letter.position not in positions])
            if self.is_dry:
                yield from (Resent(one.letter.failure, Status.SENT) for one in newest.values())
            else:
                yield from self._send(positions, ends, log, log_ends, progress)
                self._keep_newest_last(newest, log, log_ends)

    def _waiting(self, ends: Mapping[int, int], log: Replay, log_ends: Mapping[int, int], progress: Progress) -> list[_Waiting]:
        """The selected dead letters that are not settled."""
        found: dict[tuple[str, str], list[_Waiting]] = {}
        settled: set[PartitionOffset | None] = set()
        total = sum(ends.values())
        for done, entry in enumerate(self.dead_letters.read(ends), 1):
            if isinstance(entry, Letter):
                if self._is_chosen(entry):
                    photo = (entry.failure.collection, entry.failure.photo_id)
                    found.setdefault(photo, []).append(_looked_at(entry, log, log_ends, strict=self._is_strict))
            elif entry.letter is None:
                found.pop((entry.collection, entry.photo_id), None)
            else:
                settled.add(entry.letter)
            progress("dead letters", done, total)
        return [one for of_photo in found.values() for one in of_photo if one.letter.position not in settled]

    @property
    def _is_strict(self) -> bool:
        return self.settings.kafka_strict_events

    def _is_chosen(self, letter: Letter) -> bool:
        failure, record = letter.failure, letter.record
        return (
            self.collection in ("", failure.collection)
            and (not self.reasons or failure.reason in self.reasons)
            and (record is None or record.topic == self.settings.kafka_topic)
        )

    def _pass_over(self, letters: Sequence[Letter]) -> Iterator[Resent]:
        if letters and not self.is_dry:
            self.dead_letters.settle(letters)
        yield from (Resent(one.failure, Status.SUPERSEDED, "the topic holds a newer state of the photo") for one in letters)

    def _send(
        self,
        positions: Collection[PartitionOffset],
        ends: Mapping[int, int],
        log: Replay,
        log_ends: Mapping[int, int],
        progress: Progress,
    ) -> Iterator[Resent]:
        batch: list[tuple[Letter, SourceRecord]] = []
        done = size_bytes = 0
        for letter in self.dead_letters.read(ends if positions else {}):
            if not isinstance(letter, Letter) or letter.position not in positions:
                continue
            try:
                record = _record_of(letter, log, log_ends)
            except InvalidArgument as exc:  # Kafka removed it in the meantime
                yield Resent(letter.failure, Status.IMPOSSIBLE, exc.message)
                continue
            # A topic that was created again may have fewer partitions.
            batch.append((letter, record if record.partition in log_ends else replace(record, partition=-1)))
            size_bytes += len(record.value or b"")
            if len(batch) == _BATCH or size_bytes >= _BATCH_BYTES:
                yield from self._send_batch(batch)
                done, size_bytes = done + len(batch), 0
                batch.clear()
            progress("sending", done, len(positions))
        yield from self._send_batch(batch)
        progress("sending", len(positions), len(positions))

    def _send_batch(self, batch: Sequence[tuple[Letter, SourceRecord]]) -> Iterator[Resent]:
        errors = self.dead_letters.publish([record for _, record in batch])
        self.dead_letters.settle([letter for (letter, _), error in zip(batch, errors, strict=True) if error is None])
        for (letter, _), error in zip(batch, errors, strict=True):
            yield Resent(letter.failure, Status.IMPOSSIBLE if error else Status.SENT, error.message if error else "")

    def _keep_newest_last(self, sent: Mapping[bytes, _Waiting], log: Replay, start: Mapping[int, int]) -> None:
        """Publishes a newer state once more, if it came after the topic was read and before the older one was sent."""
        while sent:
            ends = log.ends()
            newest: dict[bytes, tuple[int, SourceRecord]] = {}
            last: dict[bytes, int] = {}
            for one in log.read(start, ends):
                record, key = one.record, one.record.key or b""
                if key in sent and isinstance(event := item_of(record, strict=self._is_strict), PhotoEvent):
                    last[key] = event.version
                    if event.version >= newest.get(key, (0, record))[0]:
                        newest[key] = event.version, record
            overtaken = [record for key, (version, record) in newest.items() if last[key] < version]
            if not overtaken:
                return
            self.dead_letters.publish(overtaken)
            start = ends


def _looked_at(letter: Letter, log: Replay, log_ends: Mapping[int, int], *, strict: bool) -> _Waiting:
    slim = replace(letter, record=None)
    try:
        record = _record_of(letter, log, log_ends)
        item = item_of(record, strict=strict)
        if isinstance(item, Refused):
            raise item.error
    except InvalidArgument as exc:
        return _Waiting(slim, wrong=f"{exc.message}; publish the photo's event anew, corrected")
    assert isinstance(item, PhotoEvent)
    origin = (record.partition, record.offset)
    return _Waiting(slim, origin, record.key or b"", item.version)


def _record_of(letter: Letter, log: Replay, log_ends: Mapping[int, int]) -> SourceRecord:
    """The record to send; partition -1 for that of its key. Raises InvalidArgument when there is none."""
    record = letter.record
    if record is None:
        if not letter.failure.event:
            raise InvalidArgument("event", "it was not kept with its failure")
        key, value, headers = record_of(event_from_failure(letter.failure.event))
        return SourceRecord("", -1, -1, key, value, tuple(headers))
    if letter.failure.reason == "bad_key":
        raise InvalidArgument("key", "it names no photo")
    if not letter.value_sha256:
        return record
    there = log.record(record.partition, record.offset) if record.offset < log_ends.get(record.partition, 0) else None
    if there is None or sha256(there.value or b"").hexdigest() != letter.value_sha256:
        where = f"partition {record.partition}, offset {record.offset} of topic {record.topic}"
        raise InvalidArgument("record", f"it was too large for its dead letter, and {where} does not hold it any more")
    return there


def _superseded(
    newest: Mapping[bytes, _Waiting], log: Replay, log_ends: Mapping[int, int], progress: Progress, *, strict: bool
) -> Collection[bytes]:
    """The keys of the dead letters whose photos have a newer state in the topic."""
    found: set[bytes] = set()
    total = sum(log_ends.values())
    for done, one in enumerate(log.read({}, log_ends if newest else {}), 1):
        waiting = newest.get(one.record.key or b"")
        event = item_of(one.record, strict=strict) if waiting is not None else None
        if waiting is not None and isinstance(event, PhotoEvent) and waiting.is_superseded_by(event, one.record):
            found.add(waiting.key)
        progress("the log", done, total)
    return found
