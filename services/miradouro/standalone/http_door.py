"""The HTTP door in one machine's process: on the handlers of the gRPC door, reading photos where this machine has them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from prometheus_client import CollectorRegistry

from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.core.thumbnail import FOLDER
from miradouro.ingest.service import IngestService
from miradouro.query.http_door import running_http_door
from miradouro.query.pictures import Pictures
from miradouro.query.service import SearchService
from miradouro.query.thumbnail_cache import ThumbnailCache
from miradouro.runtime.grpc_server import Service
from miradouro.runtime.http_server import RunningHttp
from miradouro.runtime.security import ServerSecurity
from miradouro.runtime.settings import OFF, HttpSettings, ServerSettings
from miradouro.standalone.configuration import Configuration
from miradouro.standalone.searching import originals

Handlers = TypeVar("Handlers")


@contextmanager
def open_http_door(
    index: SqliteIndex,
    services: Sequence[Service],
    configuration: Configuration,
    *,
    listen: str,
    setting: str,
    server: ServerSettings,
    http: HttpSettings,
    security: ServerSecurity,
    registry: CollectorRegistry,
) -> Iterator[RunningHttp | None]:
    """The door on `listen` while the block runs; None where that is off. Raises ConfigurationError (address, settings)."""
    if listen in OFF:
        yield None
        return
    pictures = Pictures(
        index=index,
        originals=originals(index, configuration),
        cache=ThumbnailCache(configuration.standalone.data_folder / FOLDER),
        limits=configuration.limits,
    )
    with running_http_door(
        search=_among(services, SearchService),
        failures=_among(services, IngestService),
        pictures=pictures,
        listen=listen,
        setting=setting,
        registry=registry,
        server=server,
        http=http,
        security=security,
    ) as door:
        yield door


def _among(services: Sequence[Service], kind: type[Handlers]) -> Handlers:
    [found] = [service.handlers for service in services if isinstance(service.handlers, kind)]
    return found
