"""Whoever reads a topic to its end is told when the broker that has the rest does not answer any more."""

import uuid
from pathlib import Path

import pytest
from miradouro.adapters.kafka import KafkaSettings, Publisher, ensure_topics
from miradouro.adapters.kafka.replay import Replay
from miradouro.core.errors import Unavailable
from miradouro.development.engines import start_kafka


def test_a_replay_ends_when_its_broker_falls_silent(tmp_path: Path) -> None:
    name = f"t{uuid.uuid4().hex}"
    with start_kafka(tmp_path) as cluster:
        settings = KafkaSettings(
            kafka_bootstrap=cluster.bootstrap, kafka_topic=name, kafka_dead_topic=f"{name}.dead", kafka_partitions=1
        )
        ensure_topics(settings)
        with Publisher(settings) as publisher:
            list(publisher.publish([(b"key", b"value", [])] * 2))
        with Replay(settings, name, stalled_s=3.0) as replay:
            ends = replay.ends()
            assert ends == {0: 2}
            cluster.freeze()
            with pytest.raises(Unavailable, match="no record came for 3 s"):
                list(replay.read({}, ends))
