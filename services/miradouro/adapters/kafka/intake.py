"""How much of a topic one consumer holds, and how often it commits."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Intake:
    """Limits of one consumer. Operators need not know them; tests give smaller ones.

    `pending_events`: most events that are read and not stored. They keep the ingest workers busy through one commit of the
    index, and a crash redelivers at most that many per partition.
    `pending_bytes`: most bytes of those events; one fetch of up to 16 MiB comes on top.
    `commit_interval_s`: longest time between two commits in seconds. Each costs one request; more events are redelivered after a
    crash when it is longer.
    `session_timeout_s`: seconds without a heartbeat after which a consumer loses its partitions. Kafka's brokers allow 6 s or
    more by default; a pause of the process must not move partitions.
    """

    pending_events: int = 512
    pending_bytes: int = 64 * 1024 * 1024
    commit_interval_s: float = 1.0
    session_timeout_s: float = 10.0


INTAKE = Intake()
