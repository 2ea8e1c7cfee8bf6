"""Every private attribute of kafka-python that we use, each behind a function that says why.

They are of 3.0; pyproject.toml allows no later minor release. `tests/integration/test_kafka_internals.py` holds each of them.
"""

from typing import Any

from kafka import KafkaConsumer, KafkaProducer


def rejoin_if_rebalancing(consumer: KafkaConsumer) -> None:
    """Makes a consumer look again for the group that it is about to join.

    kafka-python 3.0.12 forgets a rebalance that it began because metadata changed and that outlasts the call to `poll`: it
    would stay without partitions for ever. One that it remembers is not begun anew by this.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - no public call asks for a rebalance
    if coordinator is not None and coordinator.rebalance_in_progress():
        coordinator.request_rejoin()


def is_group_stable(consumer: KafkaConsumer) -> bool:
    """Whether the consumer holds a generation of its group in which offsets can be committed."""
    return consumer._coordinator.generation_if_stable() is not None  # noqa: SLF001 - `group_metadata` gives a generation always


def unfinished_batch(consumer: KafkaConsumer) -> Any:
    """The fetched records of one partition that `poll` has not returned yet; false where there are none."""
    return consumer._fetcher._next_partition_records  # noqa: SLF001 - kept after an error, and `poll` would never end on it


def kept_error(consumer: KafkaConsumer) -> Any:
    """The error that `poll` put off to return records first: `exception`, `partition`, `fetched_offset`; else None."""
    return consumer._fetcher._next_in_line_exception_metadata  # noqa: SLF001 - forgotten where the partition is paused meanwhile


def forget_kept_error(consumer: KafkaConsumer) -> None:
    """Removes that error, which the caller raises itself."""
    consumer._fetcher._next_in_line_exception_metadata = None  # noqa: SLF001 - as above


def end_sender(producer: KafkaProducer, *, timeout_s: float) -> None:
    """Ends the thread of a producer whose `close` timed out: kafka-python 3.0.12 stays open with it then."""
    producer._sender.force_close()  # noqa: SLF001 - `close` has no such option
    producer._sender.join(timeout_s)  # noqa: SLF001 - as above
