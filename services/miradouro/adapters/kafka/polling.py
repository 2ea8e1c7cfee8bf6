"""One call to the client's `poll`, that tells a batch of records which can't be read from a Kafka that does not answer."""

from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import CorruptRecordError, KafkaError, UnsupportedCodecError

from miradouro.core.errors import Corrupt

_UNREADABLE = (CorruptRecordError, UnsupportedCodecError)


def poll(consumer: KafkaConsumer, **how: Any) -> dict[TopicPartition, list[Any]]:
    """What the consumer's own `poll` gives. Raises Corrupt for a batch that can't be read: it is not passed over.

    kafka-python 3.0.12 keeps an iterator that has ended after such a batch, and the call to `poll` that comes next never ends;
    and it forgets the error when it had records to give before it and the partition is paused meanwhile.
    """
    fetcher = consumer._fetcher  # noqa: SLF001 - there is no other way to it
    try:
        _raise_what_was_kept(consumer, fetcher)
        found: dict[TopicPartition, list[Any]] = consumer.poll(**how)
    except Exception as exc:
        part = fetcher._next_partition_records  # noqa: SLF001 - as above
        if not _is_unreadable(exc) or not (part or isinstance(exc, _UNREADABLE)):
            raise
        raise Corrupt(f"{_given_up(part)}: a batch of records can't be read: {exc!r}") from exc
    return found


def _raise_what_was_kept(consumer: KafkaConsumer, fetcher: Any) -> None:
    kept = fetcher._next_in_line_exception_metadata  # noqa: SLF001 - as above
    if kept is not None and _is_unreadable(kept.exception) and _stands_at(consumer, kept.partition, kept.fetched_offset):
        fetcher._next_in_line_exception_metadata = None  # noqa: SLF001 - as above
        raise kept.exception


def _stands_at(consumer: KafkaConsumer, partition: TopicPartition, offset: int) -> bool:
    return partition in consumer.assignment() and consumer.position(partition, timeout_ms=0) == offset


def _is_unreadable(error: Exception) -> bool:
    """Decompression has errors of its own."""
    return isinstance(error, _UNREADABLE) or not isinstance(error, KafkaError)


def _given_up(part: Any) -> str:
    """Where reading stood; what was fetched there is thrown away."""
    if not part:
        return "Kafka"
    part.drain()
    place = part.topic_partition
    return f"topic {place.topic}, partition {place.partition}, position {part.next_fetch_offset}"
