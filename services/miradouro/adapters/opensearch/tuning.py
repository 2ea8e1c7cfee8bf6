"""How documents are sent to the cluster and found there."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Tuning:
    """Sizes and times of one index. Operators need not know them; tests and benchmarks give others.

    `refresh_interval`: how soon a written document is found, in OpenSearch's notation; new collections get it. Its default, 1 s,
    costs little at any rate of writing.
    `refresh`: whether a write returns at once, waits until its documents are found (`wait_for`) or forces that (`true`: slow).
    `bulk_bytes`: size of one bulk request; a larger document goes alone. OpenSearch advises 5 to 15 MiB, and hosted clusters
    refuse more than 10 MiB.
    `bulk_requests`: bulk requests at a time, of one commit; the cluster indexes each on one thread.
    `timeout_s`: seconds that one request may take. The callers retry.
    """

    refresh_interval: str = "1s"
    refresh: Literal["false", "wait_for", "true"] = "false"
    bulk_bytes: int = 8 * 1024 * 1024
    bulk_requests: int = 4
    timeout_s: float = 10.0


TUNING = Tuning()
