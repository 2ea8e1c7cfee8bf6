"""miradouro serve: one service as a process of its own."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click
from prometheus_client import CollectorRegistry

from miradouro.adapters.photo_reader.reading import open_reading
from miradouro.adapters.photo_reader.settings import ReadingSettings
from miradouro.bundles.settings import BundleSettings
from miradouro.cli.options import no_token_option
from miradouro.embedding.composition import open_embedding
from miradouro.embedding.settings import EmbeddingSettings
from miradouro.runtime import logs
from miradouro.runtime.addresses import Address
from miradouro.runtime.grpc_server import serve as serve_grpc
from miradouro.runtime.health import Health, Service, health_endpoint
from miradouro.runtime.metrics import process_registry
from miradouro.runtime.metrics_endpoint import metrics_endpoint
from miradouro.runtime.security import ServerSecurity, server_security
from miradouro.runtime.server_limits import ServerLimits
from miradouro.runtime.settings import HttpSettings, LogSettings, MetricsSettings, ServerSettings, load


@click.group()
def serve() -> None:
    """Run one service until SIGTERM or Ctrl-C."""


@dataclass(frozen=True)
class _Process:
    """The process of a service before the service is there: its address, its guards, its metrics and its health."""

    listen: str
    setting: str
    limits: ServerLimits
    security: ServerSecurity
    registry: CollectorRegistry
    health: Health

    def run(
        self, service: Service, *, on_ready: Callable[[Address], None], on_drain: Callable[[float], None] | None = None
    ) -> None:
        """Serves until a signal."""
        serve_grpc(
            [service],
            listen=self.listen,
            setting=self.setting,
            limits=self.limits,
            security=self.security,
            registry=self.registry,
            health=self.health,
            on_ready=on_ready,
            on_drain=on_drain,
        )


@contextmanager
def _process(service: str, *, option: str | None, listen: str, setting: str, security: ServerSecurity) -> Iterator[_Process]:
    """The process of one service; metrics and health are served from now on. Raises ConfigurationError."""
    limits, metrics = load(ServerSettings).limits, load(MetricsSettings)
    where, name = (listen, setting) if option is None else (option, "--listen")
    security.address(where, setting=name)  # refused before anything is loaded
    registry = process_registry()
    with (
        metrics_endpoint(registry, metrics.metrics_listen) as scraped,
        health_endpoint(metrics.health_listen, [f"miradouro.v1.{service}"]) as health,
    ):
        if scraped:
            click.echo(f"metrics on http://{scraped}/metrics")
        if health.address:
            click.echo(f"health on {health.address}")
        yield _Process(where, name, limits, security, registry, health)


@serve.command()
@click.option("--listen", metavar="HOST:PORT", help="Address; port 0 takes a free one. Default: MIRADOURO_EMBEDDING_LISTEN.")
@no_token_option
def embedding(*, listen: str | None, no_token: bool) -> None:
    """Turn photos into vectors and tags, over gRPC. Callers need a token of MIRADOURO_TOKEN_FILE."""
    logs.configure(load(LogSettings))
    settings = load(EmbeddingSettings)
    with (
        _process(
            "EmbeddingService",
            option=listen,
            listen=settings.embedding_listen,
            setting="MIRADOURO_EMBEDDING_LISTEN",
            security=server_security(open_to_all=no_token),
        ) as process,
        open_reading(load(ReadingSettings), warm=True) as reading,
        open_embedding(settings, models=load(BundleSettings).folder, reading=reading, registry=process.registry) as parts,
    ):

        def say_ready(address: Address) -> None:
            bundles = ", ".join(f"{bundle.name} {bundle.precision}" for bundle in parts.embedder.describe())
            click.echo(f"embedding service ready on {address} ({parts.embedder.provider}: {bundles})")

        process.run(parts.service, on_ready=say_ready)


@serve.command()
@click.option("--listen", metavar="HOST:PORT", help="Address; port 0 takes a free one. Default: MIRADOURO_INGEST_LISTEN.")
@no_token_option
def ingest(*, listen: str | None, no_token: bool) -> None:
    """Take photo events from Kafka into OpenSearch. Callers need a token of MIRADOURO_TOKEN_FILE."""
    from miradouro.ingest.composition import open_ingest
    from miradouro.ingest.settings import IngestSettings

    logs.configure(load(LogSettings))
    settings = load(IngestSettings)
    with (
        _process(
            "IngestService",
            option=listen,
            listen=settings.ingest_listen,
            setting="MIRADOURO_INGEST_LISTEN",
            security=server_security(open_to_all=no_token),
        ) as process,
        open_ingest(settings, registry=process.registry) as parts,
    ):

        def begin(address: Address) -> None:
            # What stops every photo ends the process: its operator sees that, and starts it again.
            parts.consumer.start(on_failure=lambda: os.kill(os.getpid(), signal.SIGTERM))
            click.echo(f"ingest service listening on {address}")

        process.run(parts.service, on_ready=begin, on_drain=parts.consumer.stop)
        parts.consumer.raise_error()


@serve.command()
@click.option("--listen", metavar="HOST:PORT", help="Address; port 0 takes a free one. Default: MIRADOURO_QUERY_LISTEN.")
@click.option("--http", metavar="HOST:PORT", help="Address of the page; off for none. Default: MIRADOURO_HTTP_LISTEN.")
@no_token_option
def query(*, listen: str | None, http: str | None, no_token: bool) -> None:
    """Answer questions from OpenSearch, over gRPC and HTTP, and show the page. Callers need a token of MIRADOURO_TOKEN_FILE."""
    from miradouro.query.composition import open_query
    from miradouro.query.http_door import check_http_address, running_http_door
    from miradouro.query.settings import QuerySettings

    logs.configure(load(LogSettings))
    settings, door_settings = load(QuerySettings), load(HttpSettings)
    page, page_setting = (door_settings.http_listen, "MIRADOURO_HTTP_LISTEN") if http is None else (http, "--http")
    security = server_security(open_to_all=no_token)
    check_http_address(page, setting=page_setting, http=door_settings, security=security)
    with (
        _process(
            "SearchService",
            option=listen,
            listen=settings.query_listen,
            setting="MIRADOURO_QUERY_LISTEN",
            security=security,
        ) as process,
        open_query(settings, security=process.security, registry=process.registry) as parts,
        running_http_door(
            search=parts.search,
            ingest=parts.ingest,
            pictures=parts.pictures,
            listen=page,
            setting=page_setting,
            limits=process.limits,
            http=door_settings,
            security=process.security,
            registry=process.registry,
        ) as door,
    ):
        process.run(
            parts.service,
            on_ready=lambda address: click.echo(
                f"query service listening on {address}" + (f"\npage: {door.url}" if door else "")
            ),
            on_drain=door.drain if door else None,
        )
