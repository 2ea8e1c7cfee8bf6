"""Settings of Kafka: brokers, topics, and how many events are held in memory."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from miradouro.core.errors import ConfigurationError
from miradouro.runtime.settings import Settings

MAX_EVENT_BYTES = 2 * 1024 * 1024  # 1 MiB of photo, in base64, and its envelope
MAX_DEAD_LETTER_BYTES = 3 * 1024 * 1024


class KafkaSettings(Settings):
    """The cluster, its topics, and how the consumer reads them."""

    kafka_bootstrap: str = Field("127.0.0.1:9092", description="Kafka brokers, host:port separated by commas.")
    kafka_topic: str = Field("miradouro.photos", min_length=1, description="Topic of the photo events.")
    kafka_dead_topic: str = Field("miradouro.dead", min_length=1, description="Topic of the dead letters.")
    kafka_group: str = Field("miradouro-ingest", min_length=1, description="Consumer group of the ingest services.")
    kafka_partitions: int = Field(6, ge=1, le=10_000, description="Partitions of a topic that is created.")
    kafka_replication: int = Field(1, ge=1, le=9, description="Copies of each partition of a topic that is created.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Protocol of the brokers."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="Authentication with the SASL protocols."
    )
    kafka_username: str = Field("", description="User for SASL.")
    kafka_password_file: str = Field("", description="File that holds the user's password.")
    kafka_ca_file: str = Field("", description="PEM file of the authority that signed the brokers' certificates.")
    kafka_strict_events: bool = Field(
        False,
        description="Whether an event with a field that is not known becomes a dead letter, instead of being read without it.",
    )
    kafka_pending_events: int = Field(512, ge=1, le=100_000, description="Events read and not yet stored, at most.")
    kafka_pending_bytes: int = Field(
        64 * 1024 * 1024, ge=1024 * 1024, description="Bytes of those events, at most; one fetch of up to 16 MiB comes on top."
    )
    kafka_commit_interval_s: float = Field(
        1.0, gt=0, le=60, description="Longest time between commits in seconds; many stored events cause one earlier."
    )
    kafka_session_timeout_s: float = Field(
        10.0, ge=6, le=300, description="Seconds without a heartbeat after which a consumer loses its partitions."
    )

    @property
    def connection(self) -> dict[str, Any]:
        """Arguments of every Kafka client. Raises ConfigurationError (an unreadable file)."""
        options: dict[str, Any] = {
            "bootstrap_servers": [one.strip() for one in self.kafka_bootstrap.split(",")],
            "security_protocol": self.kafka_security_protocol,
            "reconnect_backoff_ms": 100,
            "reconnect_backoff_max_ms": 5_000,
        }
        if self.kafka_ca_file:
            if not Path(self.kafka_ca_file).is_file():
                raise ConfigurationError(
                    f"MIRADOURO_KAFKA_CA_FILE={self.kafka_ca_file!r}: there is no such file; name a PEM file"
                )
            options["ssl_cafile"] = self.kafka_ca_file
        if self.kafka_security_protocol.startswith("SASL"):
            try:
                password = Path(self.kafka_password_file).read_text().rstrip("\n")
            except OSError as exc:
                raise ConfigurationError(f"MIRADOURO_KAFKA_PASSWORD_FILE={self.kafka_password_file!r}: {exc.strerror}") from exc
            options |= {
                "sasl_mechanism": self.kafka_sasl_mechanism,
                "sasl_plain_username": self.kafka_username,
                "sasl_plain_password": password,
            }
        return options
