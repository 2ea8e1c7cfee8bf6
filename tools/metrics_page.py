"""Writes the table of docs/metrics.md from the metrics of each service; `make settings` runs it.

python -m tools.metrics_page PAGE OUT
"""

import sys
from pathlib import Path

from miradouro.embedding.metrics import EmbeddingMetrics
from miradouro.ingest.metrics import IngestMetrics
from miradouro.query.metrics import QueryMetrics
from miradouro.runtime.metrics import HttpMetrics, RpcMetrics, process_registry
from miradouro.runtime.peers import Peers
from prometheus_client import CollectorRegistry

from tools.generated_page import row, table, write_page


def registries() -> dict[str, CollectorRegistry]:
    """The registry of each service, filled as its composition fills it."""
    found = {name: process_registry() for name in ("embedding", "ingest", "query")}
    for registry in found.values():
        RpcMetrics(registry)
    HttpMetrics(found["query"])
    Peers([], found["ingest"])
    Peers([], found["query"])
    EmbeddingMetrics(found["embedding"])
    IngestMetrics(found["ingest"]).watch(pending=lambda: 0, lag=dict)
    QueryMetrics(found["query"])
    return found


def page() -> str:
    """One row for each metric: its name, the services that have it, and its meaning."""
    services = {name: _exposed(registry) for name, registry in registries().items()}
    meanings = {metric: text for metrics in services.values() for metric, text in metrics.items()}
    rows = []
    for metric, meaning in meanings.items():
        having = [name for name, metrics in services.items() if metric in metrics]
        rows.append(row(f"`{metric}`", "all" if len(having) == len(services) else ", ".join(having), meaning))
    return table("metric", "of", "meaning", rows=rows)


def _exposed(registry: CollectorRegistry) -> dict[str, str]:
    """The name of each of our metrics in Prometheus's exposition, with its meaning."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): family.documentation
        for family in registry.collect()
        if family.name.startswith("miradouro_")
    }


def main() -> None:
    """Writes the page."""
    source, out = map(Path, sys.argv[1:])
    write_page(source, page, out=out, target="settings")


if __name__ == "__main__":
    main()
