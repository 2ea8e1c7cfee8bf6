"""What Kafka in and OpenSearch out are measured against: the clients' own calls. Imports nothing of Miradouro."""

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kafka import KafkaConsumer
from opensearchpy import OpenSearch
from opensearchpy.helpers import parallel_bulk

COMMIT_S = 1.0
POLL_RECORDS = 500


def poll_loop(bootstrap: str, topic: str, records: int) -> float:
    """Records per second of kafka-python's own loop from the first record to the last commit, as a new group."""
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=uuid.uuid4().hex,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=POLL_RECORDS,
    )
    seen, started, committed = 0, 0.0, time.perf_counter()
    try:
        while seen < records:
            for found in consumer.poll(timeout_ms=100).values():
                started = started or time.perf_counter()
                seen += len(found)
            if time.perf_counter() - committed > COMMIT_S:
                committed = time.perf_counter()
                consumer.commit()
        consumer.commit()
        return seen / (time.perf_counter() - started)
    finally:
        consumer.close()


def confluent_loop() -> Callable[[str, str, int], float] | None:
    """The same loop by confluent-kafka; None where it isn't installed."""
    try:
        from confluent_kafka import Consumer
    except ImportError:
        return None

    def run(bootstrap: str, topic: str, records: int) -> float:
        group = {"group.id": uuid.uuid4().hex, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
        consumer = Consumer({"bootstrap.servers": bootstrap, **group})
        consumer.subscribe([topic])
        seen, started, committed = 0, 0.0, time.perf_counter()
        try:
            while seen < records:
                found = consumer.consume(POLL_RECORDS, 0.1)
                if found:
                    started = started or time.perf_counter()
                seen += sum(one.error() is None for one in found)
                if found and time.perf_counter() - committed > COMMIT_S:
                    committed = time.perf_counter()
                    consumer.commit(asynchronous=False)
            consumer.commit(asynchronous=False)
            return seen / (time.perf_counter() - started)
        finally:
            consumer.close()

    return run


def bulk(client: OpenSearch, index: str, documents: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Indexes (id, source) by `parallel_bulk` as it comes: 4 threads, 500 documents a request."""
    actions = ({"_index": index, "_id": name, "_source": source} for name, source in documents)
    for is_stored, response in parallel_bulk(client, actions):
        assert is_stored, response


def search(client: OpenSearch, index: str, body: dict[str, Any]) -> Sequence[Any]:
    """The hits of a raw `_search`."""
    hits: Sequence[Any] = client.search(index=index, body=body)["hits"]["hits"]
    return hits
