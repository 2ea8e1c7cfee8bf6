"""The health of a process's services by the gRPC health protocol.

It is served on the services' own port, and on a plaintext port for probes, which opens at the start, before networks are loaded.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import grpc
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2

from miradouro.core.errors import ConfigurationError
from miradouro.runtime.addresses import Address, open_address
from miradouro.runtime.call_limits import CallLimits
from miradouro.runtime.event_loop import event_loop
from miradouro.runtime.grpc_options import connection_options
from miradouro.runtime.health_calls import Statuses, health_handler

READINESS_INTERVAL_S = 0.25
MAX_PROBES = 64  # at a time: callers need no token
MAX_PROBES_OF_PEER = 16
MAX_CONNECTIONS = 128
PROBE_IDLE_S, PROBE_AGE_S, PROBE_GRACE_S = 2, 10, 5  # a probe connects, asks and goes
LIVENESS = "liveness"  # served under this name as long as the event loop turns: probes that restart a process ask for it
_SETTING = "MIRADOURO_HEALTH_LISTEN"
_STATUS = health_pb2.HealthCheckResponse
_log = structlog.get_logger(__name__)


def _always() -> bool:
    return True


@dataclass(frozen=True)
class Service:
    """A service of a proto file and the object that answers it, with one method per RPC.

    `ready` returns whether calls would succeed; it is asked often, on the event loop, and must not block.
    """

    descriptor: ServiceDescriptor
    handlers: object
    ready: Callable[[], bool] = _always


class Health:
    """The statuses of the health service: of each service, and for the server ("") that of all of them; and LIVENESS, always.

    NOT_SERVING until `follow`, then as the services say, and NOT_SERVING for good from `drain` on. Used on the event loop.
    A caller that does not read its answer delays no other.
    """

    def __init__(self) -> None:
        self.address: Address | None = None  # of its own port, where it has one
        self.statuses = Statuses()
        self._following: asyncio.Task[None] | None = None
        self._is_draining = False

    def begin(self, names: Sequence[str]) -> None:
        """Adds services that do not run yet, as NOT_SERVING."""
        self.statuses.set({**dict.fromkeys((*names, ""), _STATUS.NOT_SERVING), LIVENESS: _STATUS.SERVING})

    def follow(self, services: Sequence[Service]) -> None:
        """From now on the statuses are those of the services."""
        self._publish(services)
        self._following = asyncio.ensure_future(self._keep_publishing(services))

    async def drain(self) -> None:
        """Sets NOT_SERVING permanently. Idempotent."""
        if self._is_draining:
            return
        self._is_draining = True
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
        self.statuses.set(dict.fromkeys(self.statuses.names - {LIVENESS}, _STATUS.NOT_SERVING))

    async def _keep_publishing(self, services: Sequence[Service]) -> None:
        while True:
            await asyncio.sleep(READINESS_INTERVAL_S)
            self._publish(services)

    def _publish(self, services: Sequence[Service]) -> None:
        ready = {service.descriptor.full_name: _is_ready(service) for service in services}
        ready[""] = all(ready.values())
        self.statuses.set({name: _STATUS.SERVING if is_ready else _STATUS.NOT_SERVING for name, is_ready in ready.items()})


def _is_ready(service: Service) -> bool:
    try:
        return service.ready()
    except Exception:  # noqa: BLE001 # a broken check means not ready, not a dead server
        _log.exception("readiness check failed", service=service.descriptor.full_name)
        return False


@contextmanager
def health_endpoint(listen: str, names: Sequence[str]) -> Iterator[Health]:
    """Serves the health of the services `names` on a separate port while the block runs; on none when `listen` is empty.

    Raises ConfigurationError when the address is malformed or taken.
    """
    with event_loop() as loop:
        health, server = asyncio.run_coroutine_threadsafe(_start(listen, names), loop).result()
        try:
            yield health
        finally:
            asyncio.run_coroutine_threadsafe(_stop(health, server), loop).result()


async def _start(listen: str, names: Sequence[str]) -> tuple[Health, grpc.aio.Server | None]:
    health = Health()
    health.begin(names)
    if not listen:
        return health, None
    options = [
        *connection_options(MAX_CONNECTIONS, idle_s=PROBE_IDLE_S, age_grace_s=PROBE_GRACE_S),
        ("grpc.max_connection_age_ms", PROBE_AGE_S * 1_000),
        ("grpc.max_receive_message_length", 4_096),
    ]
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=4 * MAX_PROBES)  # those that are refused take a moment
    checks = CallLimits(per_token=MAX_PROBES, per_peer=MAX_PROBES_OF_PEER, in_all=MAX_PROBES)
    server.add_generic_rpc_handlers((health_handler(health.statuses, checks=checks, max_watchers=0),))
    health.address = await bind(server, open_address(listen, setting=_SETTING), setting=_SETTING)
    await server.start()
    return health, server


async def _stop(health: Health, server: grpc.aio.Server | None) -> None:
    await health.drain()
    if server is not None:
        await server.stop(None)


async def bind(
    server: grpc.aio.Server, address: Address, *, setting: str, credentials: grpc.ServerCredentials | None = None
) -> Address:
    """Makes the server listen; gives the address with the port that it got. Raises ConfigurationError naming `setting`."""
    try:
        if credentials is None:
            port = server.add_insecure_port(str(address))
        else:
            port = server.add_secure_port(str(address), credentials)
    except RuntimeError as exc:
        await server.stop(0)
        raise ConfigurationError(
            f"{setting}={str(address)!r}: can't listen there, the port is probably in use; end its user or choose another"
        ) from exc
    return Address(address.host, port)
