"""An HTTP server on the process's event loop; what it answers is an ASGI application.

It listens on loopback, and beyond it with TLS and tokens, which the application asks for: see `security` and `http_guard`.

uvicorn reads HTTP/1.1; what it does not limit by itself is limited here: how long a request's head may take to arrive, and
how many connections there are. Bodies, hosts and answers are the application's: see `http_guard` and `http_body`.
"""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from miradouro.core.errors import ConfigurationError
from miradouro.runtime.addresses import Address, guarded_address
from miradouro.runtime.event_loop import event_loop
from miradouro.runtime.security import ServerSecurity

MAX_CONNECTIONS = 512
KEEP_ALIVE_S = 30
MAX_HEAD_BYTES = 16 * 1024
_BACKLOG = 128


class RunningHttp:
    """An HTTP server that answers at `address`."""

    def __init__(
        self, address: Address, *, scheme: str, server: "_Server", serving: asyncio.Task[None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.address = address
        self._scheme, self._server, self._serving, self._loop = scheme, server, serving, loop

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it, with a slash at the end."""
        return f"{self._scheme}://{self.address.here}/"

    def drain(self, grace_s: float) -> None:
        """Takes no new connection; requests in progress get `grace_s` seconds. Returns at once; may be called again."""
        self._loop.call_soon_threadsafe(self._server.drain, grace_s)

    def stop(self, grace_s: float) -> None:
        """Drains and waits for the end."""
        self.drain(grace_s)
        asyncio.run_coroutine_threadsafe(self._ended(), self._loop).result()

    async def _ended(self) -> None:
        await self._serving


@contextmanager
def running_http(
    application: Callable[[Address], ASGIApp],
    *,
    listen: str,
    setting: str,
    head_timeout_s: float,
    grace_s: float,
    security: ServerSecurity = ServerSecurity(),  # noqa: B008 # frozen
) -> Iterator[RunningHttp]:
    """Serves what `application` makes for the bound address while the block runs; then requests get `grace_s` seconds to end.

    The head of a request must arrive within `head_timeout_s` seconds. `setting` is the name by which errors call `listen`.
    Raises ConfigurationError: the address is taken, or reaches beyond loopback without TLS and tokens.
    """
    address = guarded_address(listen, setting=setting, missing=security.missing)
    listener = _listener(address, setting)
    bound = Address(address.host, listener.getsockname()[1])
    try:
        with event_loop() as loop:
            starting = _start(application(bound), bound, listener, head_timeout_s, security)
            server = asyncio.run_coroutine_threadsafe(starting, loop).result()
            try:
                yield server
            finally:
                server.stop(grace_s)
    finally:
        listener.close()


def _listener(address: Address, setting: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # The protocol is named: asyncio sets TCP_NODELAY only then, and without it every answer waits 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port whose last owner just ended is free
        listener.bind((address.host, address.port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as exc:
        listener.close()
        why = "the port is in use; end its user or choose another" if exc.errno == errno.EADDRINUSE else exc.strerror
        raise ConfigurationError(f"{setting}={str(address)!r}: can't listen there: {why}") from exc
    return listener


async def _start(
    application: ASGIApp, address: Address, listener: socket.socket, head_timeout_s: float, security: ServerSecurity
) -> RunningHttp:
    protocol = type("Protocol", (_ImpatientProtocol,), {"head_timeout_s": head_timeout_s})
    certificates = security.certificates
    config = uvicorn.Config(
        application,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # the application logs its own errors
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        ssl_context_factory=None if certificates is None else lambda _config, _default: certificates.http_context(),
    )
    server = _Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    await asyncio.wait({serving, asyncio.ensure_future(server.is_up.wait())}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
    scheme = "http" if certificates is None else "https"
    return RunningHttp(address, scheme=scheme, server=server, serving=serving, loop=asyncio.get_running_loop())


class _Server(uvicorn.Server):
    """Tells when it is up, and may be told how long to drain."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    def drain(self, grace_s: float) -> None:
        if not self.should_exit:
            self.config.timeout_graceful_shutdown = max(1, round(grace_s))
            self.should_exit = True


class _ImpatientProtocol(H11Protocol):
    """HTTP/1.1 in which the head of a request, the first one or a later one, arrives within head_timeout_s of its first byte.

    A connection that stays silent counts from its beginning.
    """

    head_timeout_s: float
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the class above has it
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.head_timeout_s, self._give_up)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_timer()
        elif self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self.head_timeout_s, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self.conn.their_state is h11.IDLE:
            self.transport.close()
