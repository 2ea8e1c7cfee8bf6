"""Sizes and times of the requests to the cluster."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Tuning:
    """Sizes and times of one index. They are constants, not settings; tests and benchmarks pass others.

    `refresh_interval`: the time until searches find a written document, in OpenSearch's notation; applies to new collections. The
    default, 1 s, costs little at any rate of writing.
    `refresh`: whether a write returns at once (`false`), waits for the next refresh (`wait_for`) or forces one (`true`, slow).
    `bulk_bytes`: maximum size of a bulk request; a larger document is sent alone. OpenSearch recommends 5 to 15 MiB, and hosted
    clusters refuse more than 10 MiB.
    `bulk_requests`: concurrent bulk requests of one commit; the cluster indexes each on one thread.
    `vocabulary_s`: seconds that a collection's vocabulary is kept.
    `timeout_s`: seconds that one request may take. The callers retry.
    """

    refresh_interval: str = "1s"
    refresh: Literal["false", "wait_for", "true"] = "false"
    bulk_bytes: int = 8 * 1024 * 1024
    bulk_requests: int = 4
    vocabulary_s: float = 5.0
    timeout_s: float = 10.0


TUNING = Tuning()
