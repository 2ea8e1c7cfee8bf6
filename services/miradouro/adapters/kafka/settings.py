"""Settings of Kafka: brokers, topics, and how much is held between reading and writing."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from miradouro.core.errors import ConfigurationError
from miradouro.runtime.settings import Settings

MAX_EVENT_BYTES = 2 * 1024 * 1024  # 1 MiB of photo, in base64, and its envelope
MAX_DEAD_LETTER_BYTES = 3 * 1024 * 1024


class KafkaSettings(Settings):
    """Which cluster, which topics, and how a consumer reads them."""

    kafka_bootstrap: str = Field("127.0.0.1:9092", description="Kafka brokers, host:port separated by commas.")
    kafka_topic: str = Field("miradouro.photos", min_length=1, description="Topic of the photo events.")
    kafka_dead_topic: str = Field("miradouro.dead", min_length=1, description="Topic of the dead letters.")
    kafka_group: str = Field("miradouro-ingest", min_length=1, description="Consumer group of the ingest services.")
    kafka_partitions: int = Field(6, ge=1, le=10_000, description="Partitions of topics that we make.")
    kafka_replication: int = Field(1, ge=1, le=9, description="Copies of each partition of topics that we make.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How brokers are spoken to."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How we say who we are, with the SASL protocols."
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
        64 * 1024 * 1024, ge=1024 * 1024, description="Bytes of those events, at most, and of one fetch of 16 MiB more."
    )
    kafka_commit_interval_s: float = Field(
        1.0, gt=0, le=60, description="Seconds between commits of what is stored, at most; many events are a reason, too."
    )
    kafka_session_timeout_s: float = Field(
        10.0, ge=6, le=300, description="Seconds after which the partitions of a consumer that fell silent go to others."
    )

    @property
    def connection(self) -> dict[str, Any]:
        """What every client is built with. Raises ConfigurationError (a file that can't be read)."""
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
