"""Topics and a consumer group of one test alone."""

import uuid

from miradouro.adapters.kafka import KafkaSettings, ensure_topics


def own_topics(bootstrap: str, *, partitions: int) -> KafkaSettings:
    """Settings that name them; the topics are made."""
    name = f"t{uuid.uuid4().hex}"
    settings = KafkaSettings(
        kafka_bootstrap=bootstrap,
        kafka_topic=name,
        kafka_dead_topic=f"{name}.dead",
        kafka_group=name,
        kafka_partitions=partitions,
    )
    ensure_topics(settings)
    return settings
