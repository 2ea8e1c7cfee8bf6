"""The metrics of the search service."""

from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Histogram

from miradouro.runtime.metrics import LATENCY_BUCKETS_S


class QueryMetrics:
    """Counts questions by kind and times the stages of answers; the doors count calls and statuses."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.question_seconds = Histogram(
            "miradouro_query_duration_seconds",
            "Time of an answered question, by kind: keyword, text, photo, like or list.",
            ("kind",),
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._stage_seconds = Histogram(
            "miradouro_query_stage_duration_seconds",
            "Time of one stage of a question: read, understand, embed, plan, search or answer.",
            ("stage",),
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )

    def stage(self, name: str) -> AbstractContextManager[object]:
        """Measures the block as the stage `name`."""
        return self._stage_seconds.labels(name).time()
