"""The metrics of the ingest service."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily

from miradouro.processors.guarded_step import StepRun
from miradouro.runtime.metrics import LATENCY_BUCKETS_S


class IngestMetrics:
    """Counts events by their results, the steps of photos, and commits to the index."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.events = Counter("miradouro_ingest_events", "Events by result.", ("status", "reason"), registry=registry)
        self.dead_letters = Counter(
            "miradouro_ingest_dead_letters", "Events that became dead letters, by reason.", ("reason",), registry=registry
        )
        self.photo_bytes = Counter("miradouro_ingest_photo_bytes", "Bytes of encoded photos fetched.", registry=registry)
        self.photo_seconds = Histogram(
            "miradouro_ingest_photo_duration_seconds",
            "Time from an event's arrival until it is stored.",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self._step_seconds = Histogram(
            "miradouro_ingest_step_duration_seconds",
            "Time of one step of one photo.",
            ("step", "outcome"),
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.retries = Counter(
            "miradouro_ingest_retries", "Retries by step; write and dead_letter are steps, too.", ("step",), registry=registry
        )
        self.write_seconds = Histogram(
            "miradouro_ingest_write_duration_seconds",
            "Time of one write to the index, retries included.",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.write_photos = Histogram(
            "miradouro_ingest_write_photos",
            "Documents of one write to the index.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024),
            registry=registry,
        )

    def step(self, run: StepRun) -> None:
        """Counts one try of a step."""
        self.photo_bytes.inc(run.fetched_bytes)
        self._step_seconds.labels(run.name, run.outcome.value).observe(run.took_ms / 1_000)

    def watch(self, *, pending: Callable[[], int], lag: Callable[[], Mapping[int, int]]) -> None:
        """Reads the consumer each time metrics are collected; `lag` is by partition."""
        held = Gauge("miradouro_ingest_pending_events", "Events that are read and not stored yet.", registry=self._registry)
        held.set_function(pending)
        whole = Gauge(
            "miradouro_ingest_lag_events", "Records of the assigned partitions that are not stored yet.", registry=self._registry
        )
        whole.set_function(lambda: sum(lag().values()))
        self._registry.register(_PartitionLag(lag))


class _PartitionLag:
    """The lag of each assigned partition; a partition that moved away has no value any more."""

    def __init__(self, lag: Callable[[], Mapping[int, int]]) -> None:
        self._lag = lag

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "miradouro_ingest_partition_lag_events",
            "Records of an assigned partition that are not stored yet.",
            labels=["partition"],
        )
        for partition, records in self._lag().items():
            family.add_metric([str(partition)], records)
        yield family
