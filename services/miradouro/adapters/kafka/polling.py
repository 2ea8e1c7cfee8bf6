"""The client's `poll`, with an error of its own for a batch of records that cannot be read."""

from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import CorruptRecordError, KafkaError, UnsupportedCodecError

from miradouro.adapters.kafka.client_internals import forget_kept_error, kept_error, unfinished_batch
from miradouro.core.errors import Corrupt

_UNREADABLE = (CorruptRecordError, UnsupportedCodecError)


def poll(consumer: KafkaConsumer, **how: Any) -> dict[TopicPartition, list[Any]]:
    """The records that the consumer's own `poll` returns. Raises Corrupt for an unreadable batch, which is never skipped.

    After such a batch kafka-python 3.0.12 keeps an exhausted iterator, and the next call of `poll` never ends. When it returns
    records first and the partition is paused meanwhile, it forgets the error.
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
    """Whether the error is about the batch: decompression raises errors that are not Kafka's."""
    return isinstance(error, _UNREADABLE) or not isinstance(error, KafkaError)


def _given_up(part: Any) -> str:
    """The position of an abandoned batch, whose records are dropped."""
    if not part:
        return "Kafka"
    part.drain()
    place = part.topic_partition
    return f"topic {place.topic}, partition {place.partition}, position {part.next_fetch_offset}"
