"""Records of a topic, read without a group."""

from typing import Any

from kafka import KafkaConsumer, TopicPartition
from miradouro.core.errors import BadEvent
from miradouro.core.ports import Refused
from miradouro.core.source_record import SourceRecord

_UNREAD = BadEvent("not_an_event", "value", "the test reads the record itself")


def as_it_came(record: SourceRecord) -> Refused:
    """An item that carries its record; for sources whose events are not looked at."""
    return Refused("photos", "", 1, "", _UNREAD, record)


def records_of(bootstrap: str, topic: str) -> list[Any]:
    """Every record of the topic as it stands there, in order per partition."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    try:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        consumer.assign(partitions)
        ends, found = consumer.end_offsets(partitions), []
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for some in consumer.poll(timeout_ms=500).values():
                found += some
    finally:
        consumer.close(autocommit=False)
    return found
