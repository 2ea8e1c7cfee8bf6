"""One call to the client's `poll`, that tells a batch of records which can't be read from a Kafka that does not answer."""

from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import CorruptRecordError, KafkaError, UnsupportedCodecError

from miradouro.adapters.kafka.client_internals import forget_kept_error, kept_error, unfinished_batch
from miradouro.core.errors import Corrupt

_UNREADABLE = (CorruptRecordError, UnsupportedCodecError)


def poll(consumer: KafkaConsumer, **how: Any) -> dict[TopicPartition, list[Any]]:
    """What the consumer's own `poll` gives. Raises Corrupt for a batch that can't be read: it is not passed over.

    kafka-python 3.0.12 keeps an iterator that has ended after such a batch, and the call to `poll` that comes next never ends;
    and it forgets the error when it had records to give before it and the partition is paused meanwhile.
    """
    try:
        _raise_kept_error(consumer)
        found: dict[TopicPartition, list[Any]] = consumer.poll(**how)
    except Exception as exc:
        part = unfinished_batch(consumer)
        if not _is_unreadable(exc) or not (part or isinstance(exc, _UNREADABLE)):
            raise
        raise Corrupt(f"{_given_up(part)}: a batch of records can't be read: {exc!r}") from exc
    return found


def _raise_kept_error(consumer: KafkaConsumer) -> None:
    kept = kept_error(consumer)
    if kept is not None and _is_unreadable(kept.exception) and _stands_at(consumer, kept.partition, kept.fetched_offset):
        forget_kept_error(consumer)
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
