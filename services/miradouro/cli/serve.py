"""miradouro serve: one service as a process of its own."""

import click

from miradouro.bundles.settings import BundleSettings
from miradouro.embedding.composition import open_embedding
from miradouro.embedding.settings import EmbeddingSettings
from miradouro.runtime import logs
from miradouro.runtime.addresses import Address, loopback
from miradouro.runtime.grpc_server import serve as serve_grpc
from miradouro.runtime.metrics import metrics_endpoint, process_registry
from miradouro.runtime.settings import LogSettings, MetricsSettings, ServerSettings, load


@click.group()
def serve() -> None:
    """Run one service until SIGTERM or Ctrl-C."""


@serve.command()
@click.option(
    "--listen", metavar="HOST:PORT", help="Loopback address; port 0 takes a free one. Default: MIRADOURO_EMBEDDING_LISTEN."
)
def embedding(listen: str | None) -> None:
    """Turn photos into vectors and tags, over gRPC."""
    logs.configure(load(LogSettings))
    settings, server, metrics = load(EmbeddingSettings), load(ServerSettings), load(MetricsSettings)
    where, setting = (settings.embedding_listen, "MIRADOURO_EMBEDDING_LISTEN") if listen is None else (listen, "--listen")
    loopback(where, setting=setting)  # refused before any model is loaded
    registry = process_registry()
    with (
        metrics_endpoint(registry, metrics.metrics_listen) as scraped,
        open_embedding(settings, models=load(BundleSettings).folder, registry=registry) as parts,
    ):
        if scraped:
            click.echo(f"metrics on http://{scraped}/metrics")

        def say_ready(address: Address) -> None:
            bundles = ", ".join(f"{bundle.name} {bundle.precision}" for bundle in parts.embedder.describe())
            click.echo(f"embedding service ready on {address} ({parts.embedder.provider}: {bundles})")

        serve_grpc([parts.service], listen=where, setting=setting, settings=server, registry=registry, on_ready=say_ready)


@serve.command()
@click.option(
    "--listen", metavar="HOST:PORT", help="Loopback address; port 0 takes a free one. Default: MIRADOURO_INGEST_LISTEN."
)
def ingest(listen: str | None) -> None:
    """Take photo events from Kafka into OpenSearch."""
    from miradouro.ingest.composition import open_ingest
    from miradouro.ingest.settings import IngestSettings

    logs.configure(load(LogSettings))
    settings, server, metrics = load(IngestSettings), load(ServerSettings), load(MetricsSettings)
    where, setting = (settings.ingest_listen, "MIRADOURO_INGEST_LISTEN") if listen is None else (listen, "--listen")
    loopback(where, setting=setting)
    registry = process_registry()
    with metrics_endpoint(registry, metrics.metrics_listen), open_ingest(settings, registry=registry) as parts:

        def begin(address: Address) -> None:
            parts.consumer.start()
            click.echo(f"ingest service listening on {address}")

        serve_grpc(
            [parts.service],
            listen=where,
            setting=setting,
            settings=server,
            registry=registry,
            on_ready=begin,
            on_drain=parts.consumer.stop,
        )
        parts.consumer.raise_error()


@serve.command()
@click.option("--listen", metavar="HOST:PORT", help="Loopback address; port 0 takes a free one. Default: MIRADOURO_QUERY_LISTEN.")
def query(listen: str | None) -> None:
    """Answer questions from OpenSearch, over gRPC."""
    from miradouro.query.composition import open_query
    from miradouro.query.settings import QuerySettings

    logs.configure(load(LogSettings))
    settings, server, metrics = load(QuerySettings), load(ServerSettings), load(MetricsSettings)
    where, setting = (settings.query_listen, "MIRADOURO_QUERY_LISTEN") if listen is None else (listen, "--listen")
    loopback(where, setting=setting)
    registry = process_registry()
    with metrics_endpoint(registry, metrics.metrics_listen), open_query(settings) as service:
        serve_grpc(
            [service],
            listen=where,
            setting=setting,
            settings=server,
            registry=registry,
            on_ready=lambda address: click.echo(f"query service listening on {address}"),
        )
