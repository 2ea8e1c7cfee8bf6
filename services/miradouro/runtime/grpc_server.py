"""The gRPC server that every service stands on: several services on one port, with health and reflection, on loopback.

Handlers are told in `rpc`. A server runs on the process's event loop; `running` gives it to tests and to a process that
holds several services, `serve` blocks until a signal and drains.
"""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

import grpc
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry

from miradouro.core.errors import ConfigurationError
from miradouro.runtime.addresses import Address, loopback
from miradouro.runtime.event_loop import event_loop
from miradouro.runtime.metrics import RpcMetrics
from miradouro.runtime.rpc import Dispatcher
from miradouro.runtime.settings import ServerSettings

READINESS_INTERVAL_S = 0.25
INTERRUPT_GRACE_S = 1.0  # Ctrl-C: a person waits
FLUSH_GRACE_S = 0.2  # after the last handler: its answer may still be on the way out
NOTICE_S = 0.5  # after the grace period: handlers see that they are cancelled and let go of what they use
HEALTH_CALLS = 64  # room for health and reflection beside max_concurrent_calls

_log = structlog.get_logger()


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Service:
    """A service of a proto file and the object that answers it, with one method per RPC.

    `ready` tells the health service whether calls would succeed; it is asked often, on the event loop, and must not block.
    """

    descriptor: ServiceDescriptor
    handlers: object
    ready: Callable[[], bool] = _always


class RunningServer:
    """A server that accepts calls at `address`."""

    def __init__(
        self,
        address: Address,
        *,
        server: grpc.aio.Server,
        health_service: health.aio.HealthServicer,
        dispatcher: Dispatcher,
        readiness: asyncio.Task[None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.address = address
        self._server, self._health, self._dispatcher = server, health_service, dispatcher
        self._readiness, self._loop = readiness, loop

    @property
    def target(self) -> str:
        """host:port for a client's channel."""
        return str(self.address)

    def stop(self, grace_s: float) -> None:
        """Says NOT_SERVING, refuses new calls, lets those in progress end within `grace_s` seconds and cancels the rest.

        May be called again.
        """
        asyncio.run_coroutine_threadsafe(self._stop(grace_s), self._loop).result()

    async def _stop(self, grace_s: float) -> None:
        until = time.monotonic() + grace_s
        self._readiness.cancel()
        with suppress(asyncio.CancelledError):
            await self._readiness
        await self._health.enter_graceful_shutdown()
        self._dispatcher.drain()
        stopping = asyncio.ensure_future(self._server.stop(grace_s))
        await self._wait_for_handlers(until)
        # Watchers of the health service never hang up by themselves: they get no longer than the last answer needs.
        await self._server.stop(min(FLUSH_GRACE_S, max(0.0, until - time.monotonic())))
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
    listen: str = "127.0.0.1:0",
    setting: str = "listen",
    settings: ServerSettings | None = None,
    registry: CollectorRegistry | None = None,
) -> Iterator[RunningServer]:
    """Runs a server of all `services` on `listen` while the block runs; on leaving, calls get the grace period to end.

    `setting` is the name by which errors call `listen`; metrics of calls go to `registry`.
    Raises ConfigurationError when the address is not loopback or the port is taken.
    """
    address = loopback(listen, setting=setting)
    settings = settings or ServerSettings()
    with event_loop() as loop:
        start = _start(services, address, setting=setting, settings=settings, registry=registry or CollectorRegistry())
        server = asyncio.run_coroutine_threadsafe(start, loop).result()
        try:
            yield server
        finally:
            server.stop(settings.shutdown_grace_s)


def serve(
    services: Sequence[Service],
    *,
    listen: str,
    setting: str,
    settings: ServerSettings | None = None,
    registry: CollectorRegistry | None = None,
    on_ready: Callable[[Address], None] = lambda _: None,
    on_drain: Callable[[float], None] | None = None,
) -> None:
    """Runs a server until SIGTERM or SIGINT, then drains; a second signal ends the process at once. For the main thread.

    `on_ready` gets the bound address once calls are accepted, `on_drain` the grace period in seconds when the signal has come:
    other doors drain at the same time, and must not keep it waiting. Raises ConfigurationError as `running` does.
    """
    settings = settings or ServerSettings()
    with (
        _stop_signal() as received,
        running(services, listen=listen, setting=setting, settings=settings, registry=registry) as server,
    ):
        on_ready(server.address)
        number = received()
        grace_s = min(INTERRUPT_GRACE_S, settings.shutdown_grace_s) if number == signal.SIGINT else settings.shutdown_grace_s
        _log.info("draining", signal=signal.Signals(number).name, calls_grace_s=grace_s)
        if on_drain is not None:
            on_drain(grace_s)
        server.stop(grace_s)


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
        arrived.wait()
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
    services: Sequence[Service], address: Address, *, setting: str, settings: ServerSettings, registry: CollectorRegistry
) -> RunningServer:
    dispatcher = Dispatcher(
        handler_threads=settings.handler_threads,
        max_concurrent_calls=settings.max_concurrent_calls,
        metrics=RpcMetrics(registry),
    )
    server = grpc.aio.server(options=_options(settings), maximum_concurrent_rpcs=settings.max_concurrent_calls + HEALTH_CALLS)
    for service in services:
        methods = {method.name: dispatcher.method_handler(method, service.handlers) for method in service.descriptor.methods}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.descriptor.full_name, methods),))
    health_service = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_service, server)
    names = [service.descriptor.full_name for service in services]
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    try:
        port = server.add_insecure_port(str(address))
    except RuntimeError as exc:
        dispatcher.close()
        await server.stop(0)
        raise ConfigurationError(
            f"{setting}={str(address)!r}: can't listen there, the port is probably in use; end its user or choose another"
        ) from exc
    await _publish(services, health_service)
    await server.start()
    return RunningServer(
        Address(address.host, port),
        server=server,
        health_service=health_service,
        dispatcher=dispatcher,
        readiness=asyncio.ensure_future(_keep_publishing(services, health_service)),
        loop=asyncio.get_running_loop(),
    )


def _options(settings: ServerSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.so_reuseport", 0),  # otherwise a second process takes the same port and half of the calls, silently
        ("grpc.http2.min_ping_interval_without_data_ms", settings.min_ping_interval_s * 1000),
        ("grpc.http2.max_ping_strikes", 2),
        ("grpc.keepalive_permit_without_calls", 0),
    ]


async def _keep_publishing(services: Sequence[Service], health_service: health.aio.HealthServicer) -> None:
    while True:
        await asyncio.sleep(READINESS_INTERVAL_S)
        await _publish(services, health_service)


async def _publish(services: Sequence[Service], health_service: health.aio.HealthServicer) -> None:
    """Sets the health of each service, and of the server ("") as that of all of them."""
    ready = {service.descriptor.full_name: _is_ready(service) for service in services}
    for name, is_ready in {**ready, "": all(ready.values())}.items():
        status = health_pb2.HealthCheckResponse.SERVING if is_ready else health_pb2.HealthCheckResponse.NOT_SERVING
        await health_service.set(name, status)


def _is_ready(service: Service) -> bool:
    try:
        return service.ready()
    except Exception:  # noqa: BLE001 # a broken check means not ready, not a dead server
        _log.exception("readiness check failed", service=service.descriptor.full_name)
        return False
