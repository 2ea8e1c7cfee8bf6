"""The calls of the gRPC health protocol. They need no token, so they are limited.

Few run at a time, a request must arrive soon, and a caller that does not read its answers delays no other.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import SERVICE_NAME

from miradouro.core.errors import Overloaded
from miradouro.runtime.addresses import peer_host
from miradouro.runtime.call import Caller
from miradouro.runtime.call_limits import CallLimits, CallSlot, TooSlow

QUESTION_WITHIN_S = 5.0
_Context = Any  # grpc.aio.ServicerContext, which is generic in its stubs alone
_RETRIABLE, _FINAL = (("retriable", "true"),), (("retriable", "false"),)


class Statuses:
    """Service name → ServingStatus, and a notification of changes. Used on the event loop."""

    def __init__(self) -> None:
        self._by_name: dict[str, int] = {}
        self._changed = asyncio.Event()

    @property
    def names(self) -> Set[str]:
        """The names that have a status."""
        return self._by_name.keys()

    @property
    def changed(self) -> asyncio.Event:
        """An event that the next change sets. Get it before you read the status to compare."""
        return self._changed

    def get(self, name: str) -> int | None:
        """The current status of a name."""
        return self._by_name.get(name)

    def set(self, statuses: Mapping[str, int]) -> None:
        """Sets statuses and wakes the watchers."""
        self._by_name.update(statuses)
        before, self._changed = self._changed, asyncio.Event()
        before.set()


class _WatcherSlots:
    """A limit of concurrent calls."""

    def __init__(self, count: int) -> None:
        self._count, self._taken = count, 0

    @contextmanager
    def slot(self) -> Iterator[bool]:
        """Takes a slot while the block runs; yields whether one was free."""
        found = self._taken < self._count
        self._taken += found
        try:
            yield found
        finally:
            self._taken -= found


def health_handler(statuses: Statuses, *, checks: CallLimits, max_watchers: int) -> grpc.GenericRpcHandler:
    """Check within the limits `checks`, Watch for `max_watchers`: more are RESOURCE_EXHAUSTED; with 0, Watch is UNIMPLEMENTED."""
    watchers = _WatcherSlots(max_watchers)

    async def check(requests: AsyncIterator[health_pb2.HealthCheckRequest], context: _Context) -> health_pb2.HealthCheckResponse:
        try:
            slot = checks.enter(Caller(peer_host(context.peer()), "", is_owner=False))
        except Overloaded as exc:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, exc.message, _RETRIABLE)
        try:
            status = statuses.get(await _service(requests, context, slot))
        finally:
            slot.release()
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no service of that name is here", _FINAL)
        return health_pb2.HealthCheckResponse(status=status)

    async def watch(requests: AsyncIterator[health_pb2.HealthCheckRequest], context: _Context) -> None:
        if not max_watchers:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "watching is not possible here: call Check now and then", _FINAL)
        with watchers.slot() as found:
            if not found:
                await _refuse(context, "watchers")
            name = await _service(requests, context)
            sent = None
            while True:
                changed, status = statuses.changed, statuses.get(name)
                status = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN if status is None else status
                if status != sent:
                    await context.write(health_pb2.HealthCheckResponse(status=status))
                sent = status
                await changed.wait()

    # Both take a stream of one request, which is the same to a client: grpc waits for a single one for ever.
    return grpc.method_handlers_generic_handler(
        SERVICE_NAME,
        {
            "Check": _method(grpc.stream_unary_rpc_method_handler, check),
            "Watch": _method(grpc.stream_stream_rpc_method_handler, watch),
        },
    )


def _method(make: Callable[..., Any], behavior: Callable[..., Any]) -> Any:
    return make(
        behavior,
        request_deserializer=health_pb2.HealthCheckRequest.FromString,
        response_serializer=health_pb2.HealthCheckResponse.SerializeToString,
    )


async def _service(
    requests: AsyncIterator[health_pb2.HealthCheckRequest], context: _Context, slot: CallSlot | None = None
) -> str:
    """The service name in the request."""
    try:
        async with slot.receiving(QUESTION_WITHIN_S) if slot else asyncio.timeout(QUESTION_WITHIN_S):
            return (await anext(requests)).service
    except Overloaded as exc:
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, exc.message, _RETRIABLE)
    except (TimeoutError, TooSlow):
        await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"no question came within {QUESTION_WITHIN_S:g} s", _RETRIABLE)
    except StopAsyncIteration:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the call has no question", _FINAL)
    raise AssertionError("abort raises")


async def _refuse(context: _Context, what: str) -> None:
    await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"there are too many {what} already; come back later", _RETRIABLE)
