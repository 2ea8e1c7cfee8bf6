"""Kafka as a source of events and as the place of dead letters."""

from miradouro.adapters.kafka.brokers import KafkaBrokers
from miradouro.adapters.kafka.dead_letters import KafkaDeadLetters
from miradouro.adapters.kafka.intake import INTAKE, Intake
from miradouro.adapters.kafka.publisher import Publisher
from miradouro.adapters.kafka.settings import KafkaSettings
from miradouro.adapters.kafka.source import KafkaSource
from miradouro.adapters.kafka.topics import ensure_topics

__all__ = ["INTAKE", "Intake", "KafkaBrokers", "KafkaDeadLetters", "KafkaSettings", "KafkaSource", "Publisher", "ensure_topics"]
