"""A broker stops answering: reading a topic to its end raises an error, and a stopping consumer does not wait."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from miradouro.adapters.kafka import KafkaDeadLetters, KafkaSource, Publisher
from miradouro.adapters.kafka.replay import Replay
from miradouro.core.document import Failure
from miradouro.core.errors import Unavailable
from miradouro.core.ports import NothingYet
from miradouro.development.engines import Kafka

from tests.kafka_records import as_it_came
from tests.kafka_topics import own_topics

LEAVES_WITHIN_S = 90.0  # for a loaded machine; without a limit of its own the client stays for minutes


def test_a_replay_ends_when_its_broker_falls_silent(start_kafka: Callable[..., Kafka], tmp_path: Path) -> None:
    with start_kafka(tmp_path) as cluster:
        settings = own_topics(cluster.bootstrap, partitions=1)
        with Publisher(settings) as publisher:
            list(publisher.publish([(b"key", b"value", [])] * 2))
        with Replay(settings, settings.kafka_topic, stalled_s=3.0) as replay:
            ends = replay.ends()
            assert ends == {0: 2}
            cluster.freeze()
            with pytest.raises(Unavailable, match="no record came for 3 s"):
                list(replay.read({}, ends))


def test_a_consumer_ends_although_kafka_refuses_commits(start_kafka: Callable[..., Kafka], tmp_path: Path) -> None:
    with start_kafka(tmp_path) as cluster:
        settings = own_topics(cluster.bootstrap, partitions=1)
        with Publisher(settings) as publisher:
            list(publisher.publish([(b"key", b"value", [])] * 2))
        with KafkaSource(settings, as_it_came) as source:
            events = source.events()
            item = next(one for one in events if not isinstance(one, NothingYet))
            assert source.pending == 2
            cluster.freeze()
            source.acknowledge(item)
            began = time.monotonic()
            source.close()
            source.leave()
            assert time.monotonic() - began < LEAVES_WITHIN_S
            assert source.pending == 1


def test_undeliverable_dead_letters_are_reported_at_close(start_kafka: Callable[..., Kafka], tmp_path: Path) -> None:
    with start_kafka(tmp_path) as cluster:
        settings = own_topics(cluster.bootstrap, partitions=1)
        failure = Failure("c", "a", 1, "not_a_photo", "", "", datetime(2024, 5, 1, tzinfo=UTC))
        with KafkaDeadLetters(settings) as dead_letters:
            dead_letters.put([failure])
            cluster.freeze()
            began = time.monotonic()
            with pytest.raises(Unavailable, match="MIRADOURO_KAFKA_BOOTSTRAP"):
                dead_letters.put([failure])
        assert time.monotonic() - began < LEAVES_WITHIN_S
        cluster.thaw()
