"""Metrics of a process: one registry, shared by all its parts."""

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class RpcMetrics:
    """Counts the calls of a gRPC server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "miradouro_rpc_calls", "Finished calls by status.", ("service", "method", "status"), registry=registry
        )
        self.seconds = Histogram(
            "miradouro_rpc_duration_seconds",
            "Time from a call's arrival to its end.",
            ("service", "method"),
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.active = Gauge("miradouro_rpc_active_calls", "Calls in progress.", registry=registry)
        self.refused = Counter("miradouro_rpc_refused_callers", "Calls refused without a valid token.", registry=registry)


class HttpMetrics:
    """Counts the requests of an HTTP server."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "miradouro_http_requests", "Answered requests by status code.", ("route", "code"), registry=registry
        )
        self.seconds = Histogram(
            "miradouro_http_duration_seconds",
            "Time from a request's head to the beginning of its answer.",
            ("route",),
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.active = Gauge("miradouro_http_active_calls", "Handlers in progress.", ("pool",), registry=registry)
        self.refused = Counter("miradouro_http_refused_callers", "Requests refused without a valid token.", registry=registry)


def process_registry() -> CollectorRegistry:
    """A registry with memory, CPU and file descriptors of this process, and the version of the program."""
    registry = CollectorRegistry()
    build = Gauge("miradouro_build_info", "1, with the version of the program.", ("version",), registry=registry)
    build.labels(version("miradouro")).set(1)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry
