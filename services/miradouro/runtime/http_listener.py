"""Accepts TCP connections within a total and a per-peer limit, and completes their TLS handshake in time.

At a limit, the oldest connection without a request in progress is closed: that of the same peer, or of the peer with the most
connections. Silent connections therefore lock out no caller, neither of other addresses nor of their own.
"""

import asyncio
import functools
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from miradouro.runtime.call_limits import network_of

HANDSHAKE_S = 5.0
_PAUSE_S = 0.1  # when the process has no file handle left: some are closed meanwhile
_log = structlog.get_logger(__name__)


class Connected(Protocol):
    """What a listener needs of a connection's protocol, beside being an asyncio.Protocol."""

    on_lost: Callable[[], None]

    @property
    def is_busy(self) -> bool:
        """Whether a request is in progress."""
        ...


@dataclass(frozen=True)
class ConnectionLimits:
    """Connections that a listener holds, in all and of one peer."""

    in_all: int
    per_peer: int


class _Connection:
    def __init__(self, peer: str, accepted: socket.socket) -> None:
        self.peer, self.socket = peer, accepted
        self.opening: asyncio.Task[None] | None = None
        self.protocol: Connected | None = None
        self.transport: asyncio.BaseTransport | None = None

    @property
    def is_busy(self) -> bool:
        return self.protocol is not None and self.protocol.is_busy

    def abort(self) -> None:
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()
        elif self.opening is not None:
            self.opening.cancel()


class Listener:
    """Accepts on `listening`, a socket that does not block, until `close`; in the place of an asyncio.Server.

    `protocol` makes the protocol of each connection: an asyncio.Protocol that is Connected.
    """

    def __init__(
        self,
        listening: socket.socket,
        protocol: Callable[[], Any],
        *,
        tls: ssl.SSLContext | None,
        limits: ConnectionLimits,
    ) -> None:
        self._listening, self._protocol, self._tls, self._limits = listening, protocol, tls, limits
        self._by_peer: dict[str, dict[_Connection, None]] = {}  # in the order of their arrival
        self._accepting = asyncio.ensure_future(self._accept())

    def close(self) -> None:
        """Accepts no more; handshakes in progress end, open connections go on."""
        self._accepting.cancel()
        for connection in [one for connections in self._by_peer.values() for one in connections]:
            if connection.transport is None:
                connection.abort()

    async def wait_closed(self) -> None:
        """Returns when nothing is accepted any more."""
        await asyncio.wait({self._accepting})

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(self._listening)
            except ConnectionError:
                continue  # it hung up before it was accepted
            except OSError as exc:
                _log.warning("can't accept a connection", error=exc.strerror)
                await asyncio.sleep(_PAUSE_S)
                continue
            peer = network_of(address[0])
            if not self._has_room(peer):
                accepted.close()
                continue
            connection = _Connection(peer, accepted)
            self._by_peer.setdefault(peer, {})[connection] = None
            connection.opening = asyncio.ensure_future(self._open(connection))
            connection.opening.add_done_callback(functools.partial(self._opened, connection))

    def _has_room(self, peer: str) -> bool:
        """Whether one more connection of `peer` has room, after another one gave way if need be."""
        if len(self._by_peer.get(peer, ())) >= self._limits.per_peer:
            return self._evict(peer)
        if sum(map(len, self._by_peer.values())) < self._limits.in_all:
            return True
        return any(map(self._evict, sorted(self._by_peer, key=lambda one: -len(self._by_peer[one]))))

    def _evict(self, peer: str) -> bool:
        for connection in self._by_peer[peer]:
            if not connection.is_busy:
                self._forget(connection)
                connection.abort()
                return True
        return False

    def _forget(self, connection: _Connection) -> None:
        connections = self._by_peer.get(connection.peer, {})
        connections.pop(connection, None)
        if not connections:
            self._by_peer.pop(connection.peer, None)

    async def _open(self, connection: _Connection) -> None:
        def make() -> Any:  # what is both a Connected and an asyncio.Protocol
            made = self._protocol()
            made.on_lost = lambda: self._forget(connection)
            connection.protocol = made
            return made

        connection.transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
            make, connection.socket, ssl=self._tls, ssl_handshake_timeout=HANDSHAKE_S if self._tls else None
        )

    def _opened(self, connection: _Connection, opening: "asyncio.Task[None]") -> None:
        """Cleans up when there is no connection: it gave way, or does not speak TLS as we do, or not in time."""
        error = None if opening.cancelled() else opening.exception()
        if connection.protocol is None:  # it gave way before anything else had the socket
            connection.socket.close()
        if connection.transport is None or connection.transport.is_closing():
            self._forget(connection)
        if error is not None and not isinstance(error, OSError):
            _log.error("can't open a connection", exc_info=error)
