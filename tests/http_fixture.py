"""The HTTP door over a small ingest service: real sockets, a real index, two tiny networks, photos made for the test."""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from miradouro.adapters.photo_store import FileStore, PhotoStoreSettings
from miradouro.bundles.words import load_words
from miradouro.core.thumbnail import FOLDER
from miradouro.query.http_door import running_http_door
from miradouro.query.originals import Originals
from miradouro.query.pictures import Pictures
from miradouro.query.service import SearchService
from miradouro.query.thumbnail_cache import ThumbnailCache
from miradouro.runtime.browser_sessions import BrowserSessions
from miradouro.runtime.http_server import RunningHttp
from miradouro.runtime.security import OPEN_TO_ALL, ServerSecurity
from miradouro.runtime.server_limits import ServerLimits
from miradouro.runtime.settings import HttpSettings
from prometheus_client import CollectorRegistry

from tests.http_client import TIMEOUT_S, Answer, request
from tests.ingest_fixture import IngestFixture, open_ingest
from tests.reading import READER

PAGE_KEY = b"k" * 32


@dataclass(frozen=True)
class Door:
    """A running door, and the ingest service behind it."""

    http: RunningHttp
    ingest: IngestFixture
    search: SearchService
    registry: CollectorRegistry

    def ask(self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Answer:
        """One request on a connection of its own; `path` goes out as it is."""
        return request(self.http.url, method, path, body, headers=headers)

    def get(self, path: str, **headers: str) -> Answer:
        """GET; header names are written with _ for -."""
        return self.ask("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, path: str, message: object) -> Answer:
        """POST of a JSON document."""
        return self.ask("POST", path, json.dumps(message), headers={"Content-Type": "application/json"})

    def connect(self) -> http.client.HTTPConnection:
        """A connection to it, without TLS."""
        return http.client.HTTPConnection(urlsplit(self.http.url).netloc, timeout=TIMEOUT_S)


@contextmanager
def open_door(
    folder: Path,
    *,
    http_settings: HttpSettings | None = None,
    limits: ServerLimits | None = None,
    security: ServerSecurity = OPEN_TO_ALL,
    sessions: BrowserSessions | None = None,
    roots: tuple[Path, ...] = (),
    photos: PhotoStoreSettings | None = None,
) -> Iterator[Door]:
    """An HTTP server over a new ingest service below `folder`; `roots` or `photos` limit where photos of events may lie."""
    with open_ingest(folder, photos=photos or PhotoStoreSettings(photo_roots=":".join(map(str, roots)))) as ingest:
        search = SearchService(
            index=ingest.index,
            embedder=ingest.embedder,
            reader=READER,
            lexicon=load_words,
            default_space="tiny/deep",
            page_key=PAGE_KEY,
        )
        pictures = Pictures(
            index=ingest.index,
            reader=READER,
            originals=Originals(index=ingest.index, photo_store=FileStore, roots=roots),
            cache=ThumbnailCache(ingest.data / FOLDER),
        )
        registry = CollectorRegistry()
        with running_http_door(
            search=search,
            ingest=ingest.service,
            pictures=pictures,
            listen="127.0.0.1:0",
            setting="--http",
            registry=registry,
            limits=limits,
            http=http_settings,
            security=security,
            sessions=sessions,
        ) as running:
            yield Door(running, ingest, search, registry)
