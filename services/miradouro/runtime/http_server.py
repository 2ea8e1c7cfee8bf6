"""An HTTP server for an ASGI application, on the process's event loop.

On loopback the application requires tokens; other addresses require TLS as well: see `security` and `http_guard`.

uvicorn parses HTTP/1.1. This module and `http_listener` add the limits that it lacks: the number of connections, the time for the
head of a request to arrive, and the time without progress while a client reads an answer. The application limits bodies, hosts,
calls and answers: see `http_guard`, `http_limits` and `http_body`.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from miradouro.core.errors import ConfigurationError
from miradouro.runtime.addresses import Address
from miradouro.runtime.certificates import ServerCertificates
from miradouro.runtime.event_loop import event_loop
from miradouro.runtime.http_listener import ConnectionLimits, Listener
from miradouro.runtime.security import ServerSecurity

MAX_CONNECTIONS = 256  # a process may have no more than 1,024 files open, and gRPC needs its share
HEAD_WITHIN_S = 5.0
READ_WITHIN_S = 20.0  # some bytes of an answer that waits
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
        """The URL for a browser on this machine, with a slash at the end."""
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
    grace_s: float,
    security: ServerSecurity,
    connections_per_peer: int = MAX_CONNECTIONS,
) -> Iterator[RunningHttp]:
    """Serves what `application` makes for the bound address while the block runs; then requests get `grace_s` seconds to end.

    `setting` is the name by which errors call `listen`.
    Raises ConfigurationError: the address is taken, or `security` does not allow to listen there.
    """
    address = security.address(listen, setting=setting)
    limits = ConnectionLimits(MAX_CONNECTIONS, connections_per_peer)
    with serving_http(
        application, address=address, setting=setting, grace_s=grace_s, certificates=security.certificates, limits=limits
    ) as server:
        yield server


@contextmanager
def serving_http(
    application: Callable[[Address], ASGIApp],
    *,
    address: Address,
    setting: str,
    grace_s: float,
    certificates: ServerCertificates | None,
    limits: ConnectionLimits,
) -> Iterator[RunningHttp]:
    """As `running_http`, at an address that was checked. Raises ConfigurationError when it is taken."""
    listening = _listen(address, setting)
    bound = Address(address.host, listening.getsockname()[1])
    try:
        with event_loop() as loop:
            starting = _start(application(bound), bound, listening, certificates, limits)
            server = asyncio.run_coroutine_threadsafe(starting, loop).result()
            try:
                yield server
            finally:
                server.stop(grace_s)
    finally:
        listening.close()


def _listen(address: Address, setting: str) -> socket.socket:
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
    application: ASGIApp,
    address: Address,
    listening: socket.socket,
    certificates: ServerCertificates | None,
    limits: ConnectionLimits,
) -> RunningHttp:
    config = uvicorn.Config(
        application,
        http=_ImpatientProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # the application logs its own errors
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
    )
    server = _Server(config, listening, tls=None if certificates is None else certificates.http_context(), limits=limits)
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    await asyncio.wait({serving, asyncio.ensure_future(server.is_up.wait())}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
    scheme = "http" if certificates is None else "https"
    return RunningHttp(address, scheme=scheme, server=server, serving=serving, loop=asyncio.get_running_loop())


class _Server(uvicorn.Server):
    """Accepts through a Listener, sets an event when it is up, and drains within a grace period."""

    def __init__(
        self, config: uvicorn.Config, listening: socket.socket, *, tls: ssl.SSLContext | None, limits: ConnectionLimits
    ) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()
        self._listening, self._tls, self._limits = listening, tls, limits

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 # there is the one of __init__
        def protocol() -> asyncio.Protocol:
            return _ImpatientProtocol(config=self.config, server_state=self.server_state, app_state={})

        listener: Any = Listener(self._listening, protocol, tls=self._tls, limits=self._limits)
        self.servers = [listener]
        self.started = True
        self.is_up.set()

    def drain(self, grace_s: float) -> None:
        if not self.should_exit:
            self.config.timeout_graceful_shutdown = max(1, round(grace_s))
            self.should_exit = True


class _ImpatientProtocol(H11Protocol):
    """HTTP/1.1 with deadlines: the head of a request arrives within HEAD_WITHIN_S, and answers are read.

    The time of a head starts with its first byte, that of the first head with the connection. While an answer waits, the client
    must read some bytes within each READ_WITHIN_S.
    """

    on_lost: Callable[[], None]
    _head_timer: asyncio.TimerHandle | None = None
    _read_timer: asyncio.TimerHandle | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a request is in progress."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the class above has it
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_WITHIN_S, self._give_up)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_head_timer()
        elif self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(HEAD_WITHIN_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_read_timer()
        super().connection_lost(exc)
        self.on_lost()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        self._stop_read_timer()
        super().resume_writing()

    def _expect_reading(self) -> None:
        self._read_timer = self.loop.call_later(READ_WITHIN_S, self._check_reading, self.transport.get_write_buffer_size())

    def _check_reading(self, before: int) -> None:
        if self.transport.get_write_buffer_size() < before:
            self._expect_reading()
        else:
            self.transport.abort()

    def _stop_read_timer(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if self.conn.their_state is h11.IDLE:
            self.transport.abort()
