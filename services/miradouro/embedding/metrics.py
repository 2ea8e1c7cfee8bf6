"""The metrics of the embedding service."""

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from miradouro.core.embedding import Priority
from miradouro.core.spaces import BundleDescription
from miradouro.runtime.metrics import LATENCY_BUCKETS_S


class EmbeddingMetrics:
    """Metrics of queue, batches, runs and decoding; the gRPC server counts calls and their latencies."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.photos = Counter("miradouro_embedding_photos", "Photos embedded.", ("priority",), registry=registry)
        self.wait_seconds = Histogram(
            "miradouro_embedding_queue_wait_seconds",
            "Time that a tensor waited in the queue.",
            ("priority",),
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.queue_depth = Gauge("miradouro_embedding_queue_tensors", "Tensors waiting.", ("priority",), registry=registry)
        self.dropped = Counter(
            "miradouro_embedding_dropped_tensors", "Tensors not run.", ("priority", "reason"), registry=registry
        )  # reason: overloaded and no_time (refused), expired, too_late, cancelled, failed (another tensor of the request did)
        self.expected_wait = Gauge(
            "miradouro_embedding_expected_wait_seconds",
            "Work that runs before a new tensor, as recent passes suggest.",
            ("priority",),
            registry=registry,
        )
        self.passes = Gauge(
            "miradouro_embedding_passes_at_a_time",
            "Forward passes that run at a time when photos wait, the way that was measured to give more photos a second.",
            ("bundle",),
            registry=registry,
        )
        self.batch_photos = Histogram(
            "miradouro_embedding_batch_photos",
            "Photos per forward pass.",
            ("bundle",),
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=registry,
        )
        self.run_seconds = Histogram(
            "miradouro_embedding_run_seconds",
            "Time of a forward pass.",
            ("bundle",),
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.decode_seconds = Histogram(
            "miradouro_embedding_decode_seconds", "Time to decode a photo.", buckets=LATENCY_BUCKETS_S, registry=registry
        )
        self.refused_photos = Counter(
            "miradouro_embedding_refused_photos", "Photos that could not be decoded.", ("reason",), registry=registry
        )
        self._bundles = Gauge(
            "miradouro_embedding_bundle_info",
            "1 for each loaded bundle.",
            ("bundle", "precision", "sha256", "provider"),
            registry=registry,
        )
        self._spaces = Gauge("miradouro_embedding_space_info", "1 for each space.", ("space", "provenance"), registry=registry)

    def loaded(self, bundles: Sequence[BundleDescription], *, provider: str, passes: Callable[[str], int]) -> None:
        """Publishes the loaded bundles and spaces, their execution provider, and the current `passes` at a time of a bundle."""
        for bundle in bundles:
            self.passes.labels(bundle.name).set_function(lambda name=bundle.name: passes(name))  # type: ignore[misc]  # binds the loop's value
            self._bundles.labels(bundle.name, bundle.precision, bundle.sha256, provider).set(1)
            for space in bundle.spaces:
                self._spaces.labels(space.name, space.provenance).set(1)

    def watch_queue(self, depth: Callable[[Priority], int], wait_s: Callable[[Priority], float]) -> None:
        """Makes every collection of metrics read the current depth of the queue and its expected wait."""
        for priority in Priority:
            self.queue_depth.labels(priority.value).set_function(lambda priority=priority: depth(priority))  # type: ignore[misc]  # binds the loop's value
            self.expected_wait.labels(priority.value).set_function(lambda priority=priority: wait_s(priority))  # type: ignore[misc]  # binds the loop's value
