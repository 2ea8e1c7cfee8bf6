"""`miradouro up`: every service in one process."""

from pathlib import Path

import click

from miradouro.cli.options import data_option, offline_option, settings_of


@click.command()
@data_option
@click.option("--listen", metavar="HOST:PORT", help="Loopback address; port 0 takes a free one. Default: MIRADOURO_LISTEN.")
@offline_option
def up(*, data: Path | None, listen: str | None, offline: bool) -> None:
    """Run all services in one process until SIGTERM or Ctrl-C. Other commands on the same data folder talk to it."""
    from miradouro.runtime.addresses import Address, loopback
    from miradouro.runtime.grpc_server import serve
    from miradouro.runtime.metrics import metrics_endpoint, process_registry
    from miradouro.runtime.settings import MetricsSettings, ServerSettings, load
    from miradouro.standalone.composition import open_all
    from miradouro.standalone.configuration import Configuration

    configuration = Configuration(standalone=settings_of(data=data, offline=offline))
    server, metrics = load(ServerSettings), load(MetricsSettings)
    where, setting = (configuration.standalone.listen, "MIRADOURO_LISTEN") if listen is None else (listen, "--listen")
    loopback(where, setting=setting)  # refused before any model is loaded
    registry = process_registry()
    with (
        metrics_endpoint(registry, metrics.metrics_listen),
        open_all(configuration, registry=registry) as (index, services),
    ):

        def tell(address: Address) -> None:
            index.set_address(str(address))
            click.echo(f"ready: {address}")

        serve(services, listen=where, setting=setting, settings=server, registry=registry, on_ready=tell)
