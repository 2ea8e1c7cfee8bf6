"""Sends records to the topic of photo events and waits until every copy has them."""

import collections
import itertools
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Self

from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError

from miradouro.adapters.kafka.client_internals import end_sender
from miradouro.adapters.kafka.settings import MAX_EVENT_BYTES, KafkaSettings
from miradouro.adapters.kafka.topics import translated

_TIMEOUT_S = 60.0
_CLOSED_WITHIN_S = 5.0
_UNDER_WAY = 1_000
_REPORT_EVERY_S = 1.0
Record = tuple[bytes, bytes, list[tuple[str, bytes]]]


class Publisher:
    """Owns a producer; a context manager."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._topic = settings.kafka_topic
        with translated():
            self._producer = KafkaProducer(
                **settings.connection, acks="all", enable_idempotence=True, max_request_size=MAX_EVENT_BYTES, linger_ms=5
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        close_producer(self._producer)

    def publish(self, records: Iterable[Record]) -> Iterator[int]:
        """Sends key, value and headers of each; yields the number of acknowledged ones about every second and at the end.

        Raises Unavailable when one is not acknowledged. The last yielded number of them are safe; sending any again is harmless.
        """
        acknowledged, reported_at = 0, time.monotonic()
        under_way: collections.deque[Any] = collections.deque()
        for key, value, headers in records:
            with translated():
                under_way.append(self._producer.send(self._topic, key=key, value=value, headers=headers))
            if len(under_way) >= _UNDER_WAY:
                acknowledged += self._wait(under_way, _UNDER_WAY // 2)
            elif time.monotonic() - reported_at < _REPORT_EVERY_S:
                continue
            acknowledged += self._wait(under_way, sum(1 for _ in itertools.takewhile(lambda one: one.is_done, under_way)))
            reported_at = time.monotonic()
            yield acknowledged
        with translated():
            self._producer.flush(timeout=_TIMEOUT_S)
        acknowledged += self._wait(under_way, len(under_way))
        yield acknowledged

    def _wait(self, under_way: "collections.deque[Any]", count: int) -> int:
        with translated():
            for _ in range(count):
                under_way.popleft().get(timeout=_TIMEOUT_S)
        return count


def close_producer(producer: KafkaProducer) -> None:
    """Closes it, with or without a Kafka that answers: every sender has its acknowledgement already, or did not wait for one."""
    try:
        producer.close(timeout=_CLOSED_WITHIN_S)
    except KafkaTimeoutError:
        end_sender(producer, timeout_s=_CLOSED_WITHIN_S)
        producer.close(timeout=0)
