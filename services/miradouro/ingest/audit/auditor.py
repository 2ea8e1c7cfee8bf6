"""The audit, step by step: committed offsets, dead letters, the log, the index, the new end of the log, then the comparison.

In this order a system at work can be audited. What was committed when the audit began must be done by the time the index is
read; what the index holds by then must be in the log by the time the log is read to its new end.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from miradouro.adapters.kafka import KafkaSettings
from miradouro.adapters.kafka.replay import LogRecord, Replay, committed_offsets, retention_ms
from miradouro.adapters.photo_reader.reading import Reading
from miradouro.core.audited_index import AuditedIndex
from miradouro.core.error_text import shown
from miradouro.core.errors import FailedPrecondition
from miradouro.core.event import EventKind, PhotoEvent
from miradouro.core.ports import Embedder, PhotoStore
from miradouro.core.source_record import SourceRecord
from miradouro.ingest.audit.findings import Report, Violation
from miradouro.ingest.audit.ledger import Ledger
from miradouro.ingest.audit.patience import patiently
from miradouro.ingest.audit.vectors import VectorAudit
from miradouro.ingest.cloud_event import item_of

_MAX_DIGITS = 18  # a number of more may not fit into 64 bits
Progress = Callable[[str, int, int], None]  # the step, how much of it is done, and of how much


@dataclass(frozen=True)
class Audited:
    """The systems that are audited, and the options of the audit.

    `settled`: no record may wait, committed or not. `sample`: number of photos whose vectors are made anew, chosen by `seed`;
    only those need `embedder` and `photo_store`.
    """

    kafka: KafkaSettings
    index: AuditedIndex
    embedder: Embedder
    photo_store: PhotoStore
    reading: Reading
    sample: int
    seed: int
    settled: bool


@dataclass
class _Log:
    """The state of reading the log. `due`: by partition, the offset before which everything must be settled.

    Records before `dead_letters_since_ms` may have had a dead letter that Kafka no longer holds.
    """

    due: Mapping[int, int]
    dead_letters_since_ms: float
    next_offset: dict[int, int] = field(default_factory=dict)
    first_gap: dict[int, int] = field(default_factory=dict)


def audit(audited: Audited, *, progress: Progress) -> Report:
    """Proves I1 to I5, or reports each violation.

    Raises NotFound (no such topic), FailedPrecondition (the group has committed nothing), ProvenanceMismatch, Unavailable.
    """
    report = Report(seed=audited.seed)
    kafka = audited.kafka
    with Ledger() as ledger, Replay(kafka, kafka.kafka_topic) as topic, Replay(kafka, kafka.kafka_dead_topic) as dead:
        committed = patiently(lambda: committed_offsets(kafka))
        ends = topic.ends()
        if not committed and any(ends.values()) and not audited.settled:
            raise FailedPrecondition(
                f"the group {kafka.kafka_group!r} has committed nothing of topic {kafka.kafka_topic!r}: name the consumers' "
                "group in MIRADOURO_KAFKA_GROUP, or audit what should be settled (--settled)"
            )
        due = ends if audited.settled else {number: committed.get(number, 0) for number in ends}
        report.waiting = sum(max(0, ends[number] - committed.get(number, 0)) for number in ends)
        log = _Log(due, _dead_letters_since_ms(kafka))
        _read_dead_letters(dead, kafka.kafka_topic, ledger, report, progress)
        _read_log(
            _counted(topic.read({}, ends), "the log", sum(ends.values()), progress),
            log,
            ledger,
            report,
            strict=kafka.kafka_strict_events,
        )
        report.take_index(patiently(lambda: _read_documents(audited.index, ledger, progress)))
        tail = topic.ends()
        _read_log(topic.read(ends, tail), log, ledger, report, strict=kafka.kafka_strict_events)
        ledger.add_partitions(committed, log.first_gap)
        report.repeated = ledger.repeated_dead_letters()
        report.found_all(ledger.violations(tail))
        if audited.sample and report.photos:
            vectors = VectorAudit(
                index=audited.index,
                topic=topic,
                embedder=audited.embedder,
                photo_store=audited.photo_store,
                reader=audited.reading.reader,
                limits=audited.reading.limits,
            )
            total = min(audited.sample, report.photos)
            for done in vectors.compare(ledger.sample(audited.sample, audited.seed), report):
                progress("vectors", done, total)
    return report


def _dead_letters_since_ms(kafka: KafkaSettings) -> float:
    """The time before which Kafka keeps no dead letters, in milliseconds since 1970."""
    kept = retention_ms(kafka, kafka.kafka_dead_topic)
    return float("-inf") if kept is None else time.time() * 1_000 - kept


def _read_dead_letters(dead: Replay, topic: str, ledger: Ledger, report: Report, progress: Progress) -> None:
    ends = dead.ends()
    for one in _counted(dead.read({}, ends), "dead letters", sum(ends.values()), progress):
        headers = {name: (value or b"").decode("utf-8", "replace") for name, value in one.record.headers}
        if headers.get("miradouro-topic") != topic:
            continue  # of a call, or a note that older dead letters are settled
        report.dead_letters += 1
        digest = headers.get("miradouro-value-sha256") or hashlib.sha256(one.record.value or b"").hexdigest()
        position = [headers.get("miradouro-partition", ""), headers.get("miradouro-offset", "")]
        if not all(number.isdecimal() and len(number) <= _MAX_DIGITS for number in position):
            letter = f"the dead letter at offset {one.record.offset} of partition {one.record.partition}"
            message = f"{letter} names partition {shown(position[0])}, offset {shown(position[1])}: no record can have these"
            report.found(Violation("dead_letter_unfounded", message))
            continue
        partition, offset = map(int, position)
        ledger.add_dead_letter(partition, offset, headers.get("miradouro-reason", ""), digest)


def _read_log(records: Iterable[LogRecord], log: _Log, ledger: Ledger, report: Report, *, strict: bool) -> None:
    for one in records:
        record = one.record
        expected = log.next_offset.get(record.partition, 0)
        if record.offset > expected:
            log.first_gap.setdefault(record.partition, expected)
            report.compacted += record.offset - expected
        log.next_offset[record.partition] = record.offset + 1
        report.records += 1
        has_dead_letter = _check_dead_letter(record, ledger, report)
        is_due = record.offset < log.due.get(record.partition, 0) and not has_dead_letter
        item = item_of(record, strict=strict)
        if isinstance(item, PhotoEvent):
            report.events += 1
            deleted = item.kind is EventKind.DELETED
            ledger.add_event(
                item.collection,
                item.photo_id,
                item.version,
                partition=record.partition,
                offset=record.offset,
                deleted=deleted,
                due=is_due,
            )
            continue
        report.refused += 1
        if is_due and one.timestamp_ms < log.dead_letters_since_ms:
            report.could_not_check(f"partition {record.partition}, offset {record.offset}: no event; its dead letter is too old")
        elif is_due:
            message = f"key {shown(record.key, most=200)} should have one"
            report.found(Violation("dead_letter_missing", message, partition=record.partition, offset=record.offset))
            ledger.add_lost_record(record.partition, record.offset)


def _check_dead_letter(record: SourceRecord, ledger: Ledger, report: Report) -> bool:
    """Whether the record has a dead letter; reports one that holds another value."""
    if not report.dead_letters:
        return False
    letter = ledger.dead_letter_of(record.partition, record.offset)
    if letter is None:
        return False
    digest = hashlib.sha256(record.value or b"").hexdigest()
    if not letter.reason or letter.sha256 != digest:
        message = f"reason {letter.reason!r}, SHA-256 {letter.sha256}; the record's value has {digest}"
        report.found(Violation("dead_letter_altered", message, partition=record.partition, offset=record.offset))
    return True


def _read_documents(index: AuditedIndex, ledger: Ledger, progress: Progress) -> Report:
    """Replaces the documents of the ledger with those of the index; returns what it counted and found."""
    report = Report()
    ledger.clear_documents()
    collections = index.collections()
    total = sum(index.count(collection) for collection in collections)
    for collection in collections:
        for raw in index.documents(collection):
            photo = (raw.collection, raw.photo_id, raw.version)
            ledger.add_document(raw)
            if raw.collection != collection:
                report.found(Violation("document_misplaced", f"it stands in collection {collection}", *photo))
            if raw.engine_version != raw.version:
                report.found(Violation("document_version", f"the engine has {raw.engine_version}", *photo))
            report.tombstones += raw.deleted
            report.photos += not raw.deleted
            progress("the index", report.photos + report.tombstones, total)
        for raw in index.tombstones(collection):
            if raw.surplus:
                photo = (raw.collection, raw.photo_id, raw.version)
                report.found(Violation("tombstone_full", ", ".join(raw.surplus), *photo))
    return report


def _counted(records: Iterable[LogRecord], what: str, total: int, progress: Progress) -> Iterator[LogRecord]:
    for done, one in enumerate(records, 1):
        yield one
        progress(what, done, total)
