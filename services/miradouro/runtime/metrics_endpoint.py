"""The Prometheus endpoint: plaintext, on any address and without authentication, therefore with its own limits."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from miradouro.runtime.addresses import Address, open_address
from miradouro.runtime.http_listener import ConnectionLimits
from miradouro.runtime.http_server import serving_http

PATH = "/metrics"
_LIMITS = ConnectionLimits(in_all=32, per_peer=8)  # a scraper has one
_GRACE_S = 1.0
_SETTING = "MIRADOURO_METRICS_LISTEN"


@contextmanager
def metrics_endpoint(registry: CollectorRegistry, listen: str) -> Iterator[Address | None]:
    """Serves PATH on `listen` while the block runs and yields the bound address; None and nothing when `listen` is empty.

    Raises ConfigurationError when the address is malformed or taken.
    """
    if not listen:
        yield None
        return
    address = open_address(listen, setting=_SETTING)
    with serving_http(
        lambda _: _exposition(registry), address=address, setting=_SETTING, grace_s=_GRACE_S, certificates=None, limits=_LIMITS
    ) as server:
        yield server.address


def _exposition(registry: CollectorRegistry) -> ASGIApp:
    alone = asyncio.Semaphore(1)  # to write all metrics takes a few milliseconds of a thread

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        response: Response
        if scope["path"] != PATH:
            response = PlainTextResponse(f"metrics are at {PATH}\n", 404)
        elif scope["method"] not in {"GET", "HEAD"}:
            response = PlainTextResponse("GET alone is answered here\n", 405, {"Allow": "GET, HEAD"})
        else:
            write, media_type = choose_encoder(Headers(scope=scope).get("accept", ""))
            async with alone:
                response = Response(await asyncio.to_thread(write, registry), media_type=media_type)
        await response(scope, receive, send)

    return application
