"""`miradouro up`: every service in one process."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from miradouro.cli.options import data_option, ignore_option, no_token_option, offline_option, settings_of, utf8
from miradouro.core.event import COLLECTION, DEFAULT_COLLECTION

SERVICES = ("miradouro.v1.EmbeddingService", "miradouro.v1.IngestService", "miradouro.v1.SearchService")


@click.command()
@data_option
@click.option("--listen", metavar="HOST:PORT", help="Address; port 0 takes a free one. Default: MIRADOURO_LISTEN.")
@click.option("--http", metavar="HOST:PORT", help="Address of the page; off for none. Default: MIRADOURO_HTTP_LISTEN.")
@click.option(
    "--photos",
    multiple=True,
    metavar="[NAME=]DIR",
    help="Index the photos below DIR into collection NAME (default: photos), and watch it for changes. May be given again.",
)
@ignore_option
@offline_option
@no_token_option
def up(
    *,
    data: Path | None,
    listen: str | None,
    http: str | None,
    photos: tuple[str, ...],
    ignore: tuple[str, ...],
    offline: bool,
    no_token: bool,
) -> None:
    """Run all services in one process until SIGTERM or Ctrl-C. Other commands on the same data folder talk to it.

    Every call needs a token: the one in the file `token` of the data folder, which these commands send, or one of
    MIRADOURO_TOKEN_FILE. A browser gets in by the address after `open:`, once, within half an hour.
    """
    folders = _folders(photos)
    from miradouro.cli.progress import shown_watch
    from miradouro.ingest.folder_watch import watching
    from miradouro.query.http_door import check_http_address, running_http_door
    from miradouro.runtime.addresses import Address, guarded_address
    from miradouro.runtime.browser_sessions import BrowserSessions
    from miradouro.runtime.grpc_server import serve
    from miradouro.runtime.health import health_endpoint
    from miradouro.runtime.http_sign_in import KEY
    from miradouro.runtime.metrics import process_registry
    from miradouro.runtime.metrics_endpoint import metrics_endpoint
    from miradouro.runtime.security import server_security
    from miradouro.runtime.settings import HttpSettings, MetricsSettings, ServerSettings, load
    from miradouro.standalone.composition import open_all
    from miradouro.standalone.configuration import Configuration
    from miradouro.standalone.owner_token import make_owner_token

    configuration = Configuration(standalone=settings_of(data=data, offline=offline))
    limits, metrics, door_settings = load(ServerSettings).limits, load(MetricsSettings), load(HttpSettings)
    given = server_security(open_to_all=no_token)
    where, setting = (configuration.standalone.listen, "MIRADOURO_LISTEN") if listen is None else (listen, "--listen")
    page, page_setting = (door_settings.http_listen, "MIRADOURO_HTTP_LISTEN") if http is None else (http, "--http")
    guarded_address(where, setting=setting, missing=given.missing)  # refused before the data folder is made
    security = replace(given, owner=make_owner_token(configuration.standalone.data_folder))
    security.address(where, setting=setting)  # refused before any model is loaded
    check_http_address(page, setting=page_setting, http=door_settings, security=security)
    sessions = None if no_token else BrowserSessions()
    registry = process_registry()
    with (
        metrics_endpoint(registry, metrics.metrics_listen),
        health_endpoint(metrics.health_listen, SERVICES) as health,
        open_all(configuration, registry=registry) as parts,
        running_http_door(
            search=parts.search,
            ingest=parts.ingest,
            pictures=parts.pictures,
            listen=page,
            setting=page_setting,
            limits=limits,
            http=door_settings,
            security=security,
            registry=registry,
            sessions=sessions,
        ) as door,
        watching(
            parts.ingest.folders,
            folders,
            excluded=[configuration.standalone.data_folder],
            shown=shown_watch,
            ignore=[utf8(pattern, "ignore") for pattern in ignore],
        ) as watched,
    ):

        def announce(address: Address) -> None:
            parts.publish_address(str(address.here))
            click.echo(f"ready: {address}" + (f"\npage: {door.url}" if door else ""))
            if door and sessions:
                click.echo(f"open: {door.url}?{KEY}={sessions.new_key()}")
            watched.start()

        def drain(grace_s: float) -> None:
            watched.stop()
            if door:
                door.drain(grace_s)

        serve(
            parts.services,
            listen=where,
            setting=setting,
            limits=limits,
            security=security,
            registry=registry,
            health=health,
            on_ready=announce,
            on_drain=drain,
        )


def _folders(photos: Sequence[str]) -> dict[str, Path]:
    """Collection → folder. Raises UsageError when a collection would have two."""
    folders: dict[str, Path] = {}
    for text in photos:
        name, is_named, folder = text.partition("=")
        if not (is_named and COLLECTION.fullmatch(name)):
            name, folder = DEFAULT_COLLECTION, text
        if name in folders:
            raise click.UsageError(
                f"--photos {text}: collection {name} has {folders[name]} already; give each folder its own: --photos NAME=DIR"
            )
        folders[name] = Path(utf8(folder, "photos"))
    return folders
