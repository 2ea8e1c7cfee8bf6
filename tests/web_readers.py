"""Stores that read the web server of a test: under its own name, or as hosts of an internet that the test makes up."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from miradouro.adapters.photo_store import PhotoStores, PhotoStoreSettings
from miradouro.adapters.photo_store.addresses import connected, resolved
from miradouro.adapters.photo_store.allowed import sources
from miradouro.adapters.photo_store.fetch_limits import FETCH_LIMITS, FetchLimits
from miradouro.adapters.photo_store.http_store import HttpStore

from tests.web_photos import LOOPBACK, WebPhotos

PUBLIC = "93.184.216.34"
PHOTO = b"\xff\xd8\xff a photo"


@dataclass
class Internet:
    """Names and the addresses that a look-up gives, in turn, the last for good; public addresses lead to the server."""

    names: dict[str, list[Sequence[str]]]
    looked_up: list[str] = field(default_factory=list)
    dialled: list[str] = field(default_factory=list)

    def resolve(self, host: str, port: int) -> Sequence[str]:
        self.looked_up.append(host)
        answers = self.names.get(host)
        if answers is None:
            return resolved(host, port)
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def connect(self, address: str, port: int, timeout_s: float) -> socket.socket:
        self.dialled.append(address)
        assert address == PUBLIC, "only the public address is connected to"
        return connected("127.0.0.1", port, timeout_s)


def fetcher(web: WebPhotos, internet: Internet, *allowed: str, limits: FetchLimits = FETCH_LIMITS) -> HttpStore:
    """A store over the hosts that the internet names, and the allowed prefixes."""
    prefixes = " ".join([*(web.url("/", host=name) for name in internet.names), *allowed])
    return HttpStore(
        sources(prefixes),
        ca_file=web.ca_file,
        limits=limits,
        resolve=internet.resolve,
        connect=internet.connect,
    )


def local(web: WebPhotos, *, limits: FetchLimits = FETCH_LIMITS, **settings: object) -> PhotoStores:
    """A store that may read the server by its name."""
    return PhotoStores(
        PhotoStoreSettings(
            **{"photo_sources": web.url("/"), "photo_private_hosts": LOOPBACK, "photo_ca_file": web.ca_file, **settings}  # type: ignore[arg-type]  # checked by pydantic
        ),
        limits=limits,
    )


def read(store: HttpStore | PhotoStores, url: str) -> bytes:
    return store.read(url, limit_bytes=1_000)
