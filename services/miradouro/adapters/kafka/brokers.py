"""A health check of Kafka, apart from the consumer: that one retries silently and belongs to its own thread."""

from types import TracebackType
from typing import Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError, NoError, for_code

from miradouro.adapters.kafka.settings import KafkaSettings
from miradouro.adapters.kafka.topics import translated
from miradouro.core.errors import Unavailable

_ANSWER_WITHIN_MS = 3_000
_RECONNECT_WITHIN_MS = 1_000  # less than the time between two checks, so that the next one finds a Kafka that is back


class KafkaBrokers:
    """A client of its own, with one connection and one thread for as long as it is open.

    Raises Unavailable when no broker answers at the start, ConfigurationError as `KafkaSettings.connection` does.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._topic = settings.kafka_topic
        with translated():
            self._client = KafkaAdminClient(
                **{**settings.connection, "reconnect_backoff_max_ms": _RECONNECT_WITHIN_MS}, request_timeout_ms=_ANSWER_WITHIN_MS
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def check(self) -> None:
        """Returns when a broker describes our topic; raises Unavailable otherwise, after ten seconds when none answers.

        The client waits ten seconds for a connection, and three for an answer over one.
        """
        with translated():
            [topic] = self._client.describe_topics([self._topic])
        error: type[KafkaError] = for_code(topic["error_code"])
        if error is not NoError:
            raise Unavailable(f"Kafka does not let us read {self._topic!r}: {error.__name__}; see MIRADOURO_KAFKA_TOPIC")
