"""Settings of Kafka: brokers and topics."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from miradouro.core.errors import ConfigurationError
from miradouro.runtime.settings import Settings

MAX_EVENT_BYTES = 2 * 1024 * 1024  # 1 MiB of photo, in base64, and its envelope
MAX_DEAD_LETTER_BYTES = 3 * 1024 * 1024


class KafkaSettings(Settings):
    """The cluster and its topics."""

    kafka_bootstrap: str = Field("127.0.0.1:9092", description="Kafka brokers, host:port separated by commas.")
    kafka_topic: str = Field("miradouro.photos", min_length=1, description="Topic of the photo events.")
    kafka_dead_topic: str = Field("miradouro.dead", min_length=1, description="Topic of the dead letters.")
    kafka_group: str = Field("miradouro-ingest", min_length=1, description="Consumer group of the ingest services.")
    kafka_partitions: int = Field(6, ge=1, le=10_000, description="Partitions of a topic that is created.")
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
