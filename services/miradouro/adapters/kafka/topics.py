"""Our two topics: events are compacted and kept for ever, dead letters are kept for thirty days."""

from collections.abc import Iterator
from contextlib import contextmanager

from kafka import KafkaAdminClient
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from miradouro.adapters.kafka.settings import MAX_DEAD_LETTER_BYTES, MAX_EVENT_BYTES, KafkaSettings
from miradouro.core.errors import Unavailable

_AS_THE_BROKER_SAYS = -1  # its default.replication.factor: the cluster's operator set it once, for every topic
_DEAD_LETTERS_KEPT_MS = 30 * 24 * 3_600 * 1_000


def wanted_topics(settings: KafkaSettings) -> dict[str, dict[str, str]]:
    """By topic, its configuration under Kafka's names."""
    return {
        settings.kafka_topic: {
            "cleanup.policy": "compact",
            "retention.ms": "-1",
            "max.message.bytes": str(MAX_EVENT_BYTES),
        },
        settings.kafka_dead_topic: {
            "cleanup.policy": "delete",
            "retention.ms": str(_DEAD_LETTERS_KEPT_MS),
            "max.message.bytes": str(MAX_DEAD_LETTER_BYTES),
        },
    }


def ensure_topics(settings: KafkaSettings) -> list[str]:
    """Creates missing topics and returns their names; existing ones stay as they are. Raises Unavailable."""
    wanted = wanted_topics(settings)
    with translated():
        admin = KafkaAdminClient(**settings.connection)
        try:
            missing = [name for name in wanted if name not in set(admin.list_topics())]
            for name in missing:
                topic = NewTopic(
                    name,
                    num_partitions=settings.kafka_partitions,
                    replication_factor=_AS_THE_BROKER_SAYS,
                    topic_configs=wanted[name],
                )
                try:
                    admin.create_topics([topic])
                except TopicAlreadyExistsError:
                    continue  # another process was faster
        finally:
            admin.close()
    return missing


@contextmanager
def translated() -> Iterator[None]:
    """Raises Kafka's errors as Unavailable: a later try may succeed, whatever the cause."""
    try:
        yield
    except KafkaError as exc:
        reason = str(exc) or type(exc).__name__
        raise Unavailable(f"Kafka does not do what it should: {reason}; see MIRADOURO_KAFKA_BOOTSTRAP") from exc
