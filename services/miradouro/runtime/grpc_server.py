"""The gRPC server of every service: several services on one port, with health and reflection.

On loopback it requires tokens; other addresses require TLS as well: see `security`.

`rpc` describes handlers. A server runs on the process's event loop. `running` is for tests and for a process with several
services; `serve` blocks until a signal and drains.
"""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import grpc
import structlog
from grpc_health.v1.health import SERVICE_NAME as HEALTH_SERVICE
from prometheus_client import CollectorRegistry

from miradouro.core.errors import ConfigurationError
from miradouro.runtime.addresses import Address
from miradouro.runtime.audit_log import RefusedCalls
from miradouro.runtime.call_limits import CallLimits
from miradouro.runtime.event_loop import event_loop
from miradouro.runtime.grpc_guard import TokenInterceptor
from miradouro.runtime.grpc_options import connection_options
from miradouro.runtime.health import Health, bind
from miradouro.runtime.health import Service as Service
from miradouro.runtime.health_calls import health_handler
from miradouro.runtime.metrics import RpcMetrics
from miradouro.runtime.reflection_calls import enable_reflection
from miradouro.runtime.rpc import Dispatcher
from miradouro.runtime.security import ServerSecurity
from miradouro.runtime.server_limits import ServerLimits

INTERRUPT_GRACE_S = 1.0  # Ctrl-C: a person waits
FLUSH_GRACE_S = 0.2  # after the last handler: its answer may still be on the way out
NOTICE_S = 0.5  # after the grace period: handlers see that they are cancelled and let go of what they use
_ENDLESS_S = 24 * 3_600.0
_SIGNAL_POLL_S = 0.5
MAX_CONNECTIONS = 256  # a client needs one; a process may have no more than 1,024 files open, and HTTP needs its share
MIN_PING_INTERVAL_S = 300  # between a client's keepalive pings; ours send none, and faster ones are disconnected
HEALTH_CALLS = 64  # room for health and reflection beside max_concurrent_calls
WAITING_CALLS = 1_024  # room for calls whose request has not come yet: each peer and token has few of them
MAX_CHECKS, MAX_WATCHERS = HEALTH_CALLS // 2, HEALTH_CALLS // 4

_log = structlog.get_logger()


class RunningServer:
    """A server that accepts calls at `address`."""

    def __init__(
        self,
        address: Address,
        *,
        server: grpc.aio.Server,
        health: Health,
        dispatcher: Dispatcher,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.address = address
        self._server, self._health, self._dispatcher, self._loop = server, health, dispatcher, loop

    @property
    def target(self) -> str:
        """host:port for a client's channel on this machine."""
        return str(self.address.here)

    def drain(self) -> None:
        """Sets NOT_SERVING and refuses new calls; those in progress continue."""
        asyncio.run_coroutine_threadsafe(self._drain(), self._loop).result()

    def stop(self, grace_s: float) -> None:
        """Sets NOT_SERVING, refuses new calls, and cancels calls that take longer than `grace_s` seconds. Idempotent."""
        asyncio.run_coroutine_threadsafe(self._stop(grace_s), self._loop).result()

    async def _drain(self) -> None:
        await self._health.drain()
        self._dispatcher.drain()

    async def _stop(self, grace_s: float) -> None:
        until = time.monotonic() + grace_s
        await self._drain()
        # Its own grace period never ends: where two of them do at the same moment, grpc.aio cancels the calls of a server that
        # it has destroyed, and the process with them.
        stopping = asyncio.ensure_future(self._server.stop(_ENDLESS_S))
        await self._wait_for_handlers(until)
        # Watchers of the health service never hang up by themselves: they get no longer than the last answer needs.
        _, open_calls = await asyncio.wait({stopping}, timeout=min(FLUSH_GRACE_S, max(0.0, until - time.monotonic())))
        if open_calls:
            await self._server.stop(None)
        await stopping
        await self._wait_for_handlers(time.monotonic() + NOTICE_S)
        if self._dispatcher.active:
            _log.warning("calls did not end within the grace period", calls=self._dispatcher.active, grace_s=grace_s)
        self._dispatcher.close()

    async def _wait_for_handlers(self, until: float) -> None:
        while self._dispatcher.active and time.monotonic() < until:
            await asyncio.sleep(0.01)


@contextmanager
def running(
    services: Sequence[Service],
    *,
    security: ServerSecurity,
    listen: str = "127.0.0.1:0",
    setting: str = "listen",
    limits: ServerLimits | None = None,
    registry: CollectorRegistry | None = None,
    health: Health | None = None,
) -> Iterator[RunningServer]:
    """Runs a server of all `services` on `listen` while the block runs; on leaving, calls get the grace period to end.

    `setting` is the name by which errors call `listen`; metrics of calls go to `registry`; `health` is the health of the
    process until now.
    Raises ConfigurationError: the port is taken, or `security` does not allow to listen there.
    """
    address = security.address(listen, setting=setting)
    limits = limits or ServerLimits()
    with event_loop() as loop:
        start = _start(
            services,
            address,
            setting=setting,
            limits=limits,
            security=security,
            registry=registry or CollectorRegistry(),
            health=health or Health(),
        )
        server = asyncio.run_coroutine_threadsafe(start, loop).result()
        try:
            yield server
        finally:
            server.stop(limits.shutdown_grace_s)


def serve(
    services: Sequence[Service],
    *,
    listen: str,
    setting: str,
    security: ServerSecurity,
    limits: ServerLimits | None = None,
    registry: CollectorRegistry | None = None,
    health: Health | None = None,
    on_ready: Callable[[Address], None] = lambda _: None,
    on_drain: Callable[[float], None] | None = None,
) -> None:
    """Runs a server until SIGTERM or SIGINT, then drains; a second signal ends the process at once. For the main thread.

    `on_ready` gets the bound address once calls are accepted, `on_drain` the grace period in seconds when the signal has come
    and health says NOT_SERVING: what it uses of that, calls in progress use at the same time. Raises ConfigurationError as
    `running` does.
    """
    limits = limits or ServerLimits()
    with (
        _stop_signal() as received,
        running(
            services,
            listen=listen,
            setting=setting,
            limits=limits,
            security=security,
            registry=registry,
            health=health,
        ) as server,
    ):
        on_ready(server.address)
        number = received()
        grace_s = min(INTERRUPT_GRACE_S, limits.shutdown_grace_s) if number == signal.SIGINT else limits.shutdown_grace_s
        _log.info("draining", signal=signal.Signals(number).name, calls_grace_s=grace_s)
        until = time.monotonic() + grace_s
        server.drain()
        if on_drain is not None:
            on_drain(grace_s)
        server.stop(max(0.0, until - time.monotonic()))


@contextmanager
def _stop_signal() -> Iterator[Callable[[], int]]:
    """Gives a function that waits for SIGTERM or SIGINT and returns its number; the second one has its usual effect."""
    arrived = threading.Event()
    numbers: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        numbers.append(number)
        restore()
        arrived.set()

    def wait() -> int:
        # The kernel may give the signal to another thread, and the handler runs here: wait() without a limit would never wake up.
        while not arrived.wait(_SIGNAL_POLL_S):
            pass
        return numbers[0]

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield wait
    finally:
        restore()


async def _start(
    services: Sequence[Service],
    address: Address,
    *,
    setting: str,
    limits: ServerLimits,
    security: ServerSecurity,
    registry: CollectorRegistry,
    health: Health,
) -> RunningServer:
    metrics = RpcMetrics(registry)
    refused = RefusedCalls("grpc")
    dispatcher = Dispatcher(limits=limits, metrics=metrics, security=security, refused=refused)
    names = [service.descriptor.full_name for service in services]
    server = grpc.aio.server(
        options=_options(limits),
        interceptors=[TokenInterceptor(security, metrics.refused, refused, own=names)],
        maximum_concurrent_rpcs=limits.max_concurrent_calls + HEALTH_CALLS + WAITING_CALLS,
    )
    for service in services:
        methods = {method.name: dispatcher.method_handler(method, service.handlers) for method in service.descriptor.methods}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.descriptor.full_name, methods),))
    checks = CallLimits(per_token=MAX_CHECKS, per_peer=MAX_CHECKS, in_all=MAX_CHECKS)
    server.add_generic_rpc_handlers((health_handler(health.statuses, checks=checks, max_watchers=MAX_WATCHERS),))
    enable_reflection([*names, HEALTH_SERVICE], server)
    credentials = security.certificates.grpc_credentials() if security.certificates else None
    try:
        bound = await bind(server, address, setting=setting, credentials=credentials)
    except ConfigurationError:
        dispatcher.close()
        raise
    health.follow(services)
    await server.start()
    return RunningServer(bound, server=server, health=health, dispatcher=dispatcher, loop=asyncio.get_running_loop())


def _options(limits: ServerLimits) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", limits.max_message_bytes),
        ("grpc.max_send_message_length", limits.max_message_bytes),
        *connection_options(MAX_CONNECTIONS),
        ("grpc.http2.min_ping_interval_without_data_ms", MIN_PING_INTERVAL_S * 1000),
        ("grpc.max_connection_age_ms", limits.max_connection_age_s * 1000),
        ("grpc.http2.max_ping_strikes", 2),
        ("grpc.keepalive_permit_without_calls", 0),
    ]
