"""Reads a topic without a group: nothing is committed, nothing changes."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from miradouro.adapters.kafka.polling import poll
from miradouro.adapters.kafka.settings import KafkaSettings
from miradouro.adapters.kafka.topics import translated
from miradouro.core.errors import NotFound, Unavailable
from miradouro.core.source_record import SourceRecord

_POLL_MS = 500
_STALLED_S = 60.0


@dataclass(frozen=True)
class LogRecord:
    """A record and its timestamp in milliseconds since 1970."""

    record: SourceRecord
    timestamp_ms: int


class Replay:
    """Reads one topic; a context manager. Memory does not grow with the topic.

    Every method raises Unavailable when Kafka does not answer; reading raises Corrupt for an unreadable batch of records.
    """

    def __init__(self, settings: KafkaSettings, topic: str, *, stalled_s: float = _STALLED_S) -> None:
        self._topic, self._stalled_s = topic, stalled_s
        with translated():
            self._consumer = KafkaConsumer(
                **settings.connection,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                max_partition_fetch_bytes=2 * 1024 * 1024,
                fetch_max_bytes=16 * 1024 * 1024,
                check_crcs=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._consumer.close(autocommit=False)

    def ends(self) -> dict[int, int]:
        """By partition, the offset of the next record. Raises NotFound (no such topic)."""
        with translated():
            partitions = self._partitions()
            return {one.partition: int(end) for one, end in self._consumer.end_offsets(partitions).items()}

    def read(self, start: Mapping[int, int], end: Mapping[int, int]) -> Iterator[LogRecord]:
        """Every record from `start` to before `end`, in order per partition; without a start, from the beginning."""
        with translated():
            waiting = {TopicPartition(self._topic, number) for number in end if start.get(number, 0) < end[number]}
            self._consumer.assign(list(waiting))
            self._consumer.resume(*waiting)  # a partition that is assigned again is still paused from the last read
            for partition in waiting:
                if start.get(partition.partition):
                    self._consumer.seek(partition, start[partition.partition])
                else:
                    self._consumer.seek_to_beginning(partition)
            moved_at = time.monotonic()
            while waiting:
                found = poll(self._consumer, timeout_ms=_POLL_MS)
                for partition, records in found.items():
                    for one in records:
                        if one.offset < end[partition.partition]:
                            yield _log_record(one)
                # A compacted log may end in offsets without records: the position moves past them.
                read = {one for one in waiting if self._position(one) >= end[one.partition]}
                if read:
                    self._consumer.pause(*read)
                    waiting -= read
                if found or read:
                    moved_at = time.monotonic()
                elif time.monotonic() - moved_at > self._stalled_s:
                    raise Unavailable(
                        f"topic {self._topic}: no record came for {self._stalled_s:g} s; see MIRADOURO_KAFKA_BOOTSTRAP"
                    )

    def record(self, partition: int, offset: int) -> SourceRecord | None:
        """One record; None when the topic no longer holds it."""
        for found in self.read({partition: offset}, {partition: offset + 1}):
            if found.record.offset == offset:
                return found.record
        return None

    def _position(self, partition: TopicPartition) -> int:
        """The offset of the next record; -1 until the start of the partition is known."""
        position = self._consumer.position(partition, timeout_ms=0)
        return -1 if position is None else int(position)

    def _partitions(self) -> list[TopicPartition]:
        numbers = self._consumer.partitions_for_topic(self._topic)
        if not numbers:
            raise NotFound(f"there is no topic {self._topic!r}; see MIRADOURO_KAFKA_TOPIC and MIRADOURO_KAFKA_DEAD_TOPIC")
        return [TopicPartition(self._topic, number) for number in sorted(numbers)]


def committed_offsets(settings: KafkaSettings) -> dict[int, int]:
    """By partition of the topic of events, the committed offset of the consumer group.

    Raises Unavailable, also on the first call to a new cluster, which then creates its topic of offsets.
    """
    with translated():
        admin = KafkaAdminClient(**settings.connection)
        try:
            [offsets] = admin.list_group_offsets(settings.kafka_group).values()
        finally:
            admin.close()
    return {
        partition.partition: int(known.offset)
        for partition, known in offsets.items()
        if partition.topic == settings.kafka_topic and known.offset >= 0
    }


def retention_ms(settings: KafkaSettings, topic: str) -> int | None:
    """How long a topic keeps its records; None: for ever. Raises Unavailable."""
    with translated():
        admin = KafkaAdminClient(**settings.connection)
        try:
            described = admin.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": None})], config_filter="all"
            )
        finally:
            admin.close()
    [configs] = [entry for kind in described.values() for entry in kind.values()]
    value = int(configs["retention.ms"]["value"])
    return None if value < 0 else value


def _log_record(record: Any) -> LogRecord:
    raw = SourceRecord(record.topic, record.partition, record.offset, record.key, record.value, tuple(record.headers or ()))
    return LogRecord(raw, int(record.timestamp))
