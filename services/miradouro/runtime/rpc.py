"""Connects gRPC calls with handlers: admission, deadline, cancellation, threads, and the map from errors to statuses.

A handler is a method with the name of its RPC: (request, call) → response. It may be `async def`; for server streaming it returns
an iterator of responses. Blocking handlers and their iterators run in the server's bounded pool.
"""

import asyncio
import inspect
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

import grpc
import structlog
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from miradouro.core.errors import InvalidArgument, MiradouroError, Overloaded, Unauthenticated
from miradouro.runtime.addresses import peer_host
from miradouro.runtime.audit_log import RefusedCalls
from miradouro.runtime.byte_budget import ByteBudget
from miradouro.runtime.call import Call, Caller
from miradouro.runtime.call_limits import CallLimits, CallSlot
from miradouro.runtime.call_pool import CallPool
from miradouro.runtime.grpc_guard import MESSAGE, caller_of
from miradouro.runtime.metrics import RpcMetrics
from miradouro.runtime.released_frames import release_frames
from miradouro.runtime.request_size import check_request_size
from miradouro.runtime.rpc_request import RequestReader
from miradouro.runtime.security import ServerSecurity
from miradouro.runtime.server_limits import ServerLimits
from miradouro.runtime.tracing import TRACEPARENT, new_trace, read_trace, traced

MAX_PARSED_ON_LOOP = 64 * 1024  # bytes of a request; that takes less than handing it to a thread
STATUS_CODES = {code.name: code for code in grpc.StatusCode}  # MiradouroError.status → code: the same name
HTTP_CODES = {  # MiradouroError.status → the code of an answer over HTTP
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "NOT_FOUND": 404,
    "FAILED_PRECONDITION": 409,
    "INTERNAL": 500,
    "DATA_LOSS": 500,
    "RESOURCE_EXHAUSTED": 503,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}

_REFUSALS = {Unauthenticated.status, Overloaded.status}
Context = grpc.aio.ServicerContext[Any, Any]
_log = structlog.get_logger()
_END: Any = object()


class Dispatcher:
    """Runs the handlers of one server within `limits`, blocking ones in `handler_threads` threads.

    Calls that `security` refuses are UNAUTHENTICATED.
    """

    def __init__(self, *, limits: ServerLimits, metrics: RpcMetrics, security: ServerSecurity, refused: RefusedCalls) -> None:
        self._metrics, self._security, self._refused = metrics, security, refused
        self._calls = CallPool(threads=limits.handler_threads, max_calls=limits.max_concurrent_calls, gauge=metrics.active)
        self._limits = CallLimits(per_token=limits.max_calls_per_token, per_peer=limits.max_calls_per_peer)
        self._requests = RequestReader(ByteBudget(max(limits.max_pending_bytes, limits.max_message_bytes), "requests"))

    @property
    def active(self) -> int:
        """Calls whose work has not ended, cancelled ones included."""
        return self._calls.active

    def drain(self) -> None:
        """From now on refuses new calls as Unavailable."""
        self._calls.drain()

    def close(self) -> None:
        """Shuts the thread pool down; each thread ends with its current handler."""
        self._calls.close()
        self._refused.flush()

    def method_handler(
        self, method: MethodDescriptor, handlers: object
    ) -> "grpc.RpcMethodHandler[Any, Any]":  # the class is generic in its stubs alone
        """What grpc registers for `method`. Raises TypeError when `handlers` has no such method, or for client streaming."""
        handler = getattr(handlers, method.name, None)
        if handler is None or method.client_streaming:
            raise TypeError(f"{type(handlers).__name__} can't answer {method.full_name}")
        request_class = GetMessageClass(method.input_type)
        response_class = GetMessageClass(method.output_type)

        # Both take a stream of one request, which is the same to a client: grpc waits for a single one for ever.
        async def unary(requests: AsyncIterator[bytes], context: Context) -> Message | None:
            async with self._call(method, context) as (call, caller):
                slot = self._enter(caller, context)
                async with self._requests.read(requests, slot) as data:
                    return await answer(data, call, slot)
            return None  # the call was refused

        async def answer(data: bytes, call: Call, slot: CallSlot) -> Message:
            if inspect.iscoroutinefunction(handler):
                response: Message = await self._awaited(handler, request_class, data, call)
                return response
            return await self._calls.run(lambda: _run(handler, request_class, data, call), slot)

        async def stream(requests: AsyncIterator[bytes], context: Context) -> None:
            async with self._call(method, context) as (call, caller):
                slot = self._enter(caller, context)
                async with self._requests.read(requests, slot) as data:
                    await self._streamed(handler, request_class, data, call, slot, context)

        if method.server_streaming:
            return grpc.stream_stream_rpc_method_handler(stream, response_serializer=response_class.SerializeToString)
        return grpc.stream_unary_rpc_method_handler(unary, response_serializer=response_class.SerializeToString)

    @asynccontextmanager
    async def _call(self, method: MethodDescriptor, context: Context) -> AsyncIterator[tuple[Call, Caller | None]]:
        """The call, and its caller again, None where it has to be refused. What the block raises becomes the call's status."""
        started = time.monotonic()
        remaining = context.time_remaining()
        peer = peer_host(context.peer())
        caller = caller_of(context.invocation_metadata(), peer=peer, security=self._security)
        known = caller or Caller(peer, "", is_owner=False)
        call = Call(None if remaining is None else started + remaining, caller=known)
        service = method.containing_service.full_name
        status = "OK"
        sent = next((value for key, value in context.invocation_metadata() or () if key == TRACEPARENT), None)
        trace = read_trace(sent if isinstance(sent, str) else None)
        try:
            with traced(trace.child() if trace else new_trace()):
                yield call, caller
                _log.debug(
                    "answered", service=service, method=method.name, took_ms=round(1_000 * (time.monotonic() - started), 3)
                )
        except asyncio.CancelledError as exc:
            status = "CANCELLED"
            release_frames(exc)
            raise
        except MiradouroError as exc:
            status = exc.status
            if status in _REFUSALS:
                self._refused.add(status, peer=call.caller.peer, token_id=call.caller.token_id)
            release_frames(exc)  # first: the caller may have hung up, and the next line is cancelled
            await _refuse(context, exc.status, exc.message, retriable=exc.retriable)
        except Exception as exc:  # noqa: BLE001 # a handler's bug is the caller's INTERNAL, and never ends the server
            status = "INTERNAL"
            mark = uuid.uuid4().hex[:12]
            _log.exception("handler failed", service=service, method=method.name, mark=mark)
            release_frames(exc)
            await _refuse(context, status, f"internal error; see mark {mark} in the server's log", retriable=False)
        finally:
            call.cancelled.set()
            self._metrics.calls.labels(service, method.name, status).inc()
            self._metrics.seconds.labels(service, method.name).observe(time.monotonic() - started)

    def _enter(self, caller: Caller | None, context: Context) -> CallSlot:
        """The slot of a call. Raises Unauthenticated and Overloaded, before a byte of the request is read."""
        if caller is None:
            self._metrics.refused.inc()
            raise Unauthenticated(MESSAGE)
        slot = self._limits.enter(caller)
        context.add_done_callback(_releaser(slot))  # called when the answer is sent
        return slot

    async def _awaited(self, handler: Callable[..., Any], request_class: type[Message], data: bytes, call: Call) -> Any:
        self._calls.admit()
        try:
            if len(data) > MAX_PARSED_ON_LOOP:
                request = await asyncio.wrap_future(self._calls.submit(lambda: _parse(request_class, data)))
            else:
                request = _parse(request_class, data)
            return await handler(request, call)
        finally:
            self._calls.release()

    async def _streamed(
        self, handler: Callable[..., Any], request_class: type[Message], data: bytes, call: Call, slot: CallSlot, context: Context
    ) -> None:
        self._calls.admit()
        slot.hold()
        responses: list[Iterator[Message]] = []
        future: Future[Any] = self._calls.submit(lambda: responses.append(iter(_run(handler, request_class, data, call))))
        try:
            await asyncio.wrap_future(future)
            while True:
                future = self._calls.submit(lambda: next(responses[0], _END))
                response = await asyncio.wrap_future(future)
                if response is _END:
                    break
                await context.write(response)
        finally:
            call.cancelled.set()
            # The iterator may still be in a pull that the caller gave up: it is closed after it, and in a thread.
            future.add_done_callback(
                lambda _: self._calls.submit(lambda: _close(responses)).add_done_callback(lambda _: self._end(slot))
            )

    def _end(self, slot: CallSlot) -> None:
        self._calls.release()
        slot.release()


def _releaser(slot: CallSlot) -> Any:  # the stubs name its type privately
    return lambda _: slot.release()


def _run(handler: Callable[..., Any], request_class: type[Message], data: bytes, call: Call) -> Any:
    call.remaining_s()  # expired while it waited for a thread: not worth starting
    return handler(_parse(request_class, data), call)


def _close(responses: list[Iterator[Message]]) -> None:
    for iterator in responses:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


def _parse(request_class: type[Message], data: bytes) -> Message:
    check_request_size(request_class.DESCRIPTOR, data)
    try:
        return request_class.FromString(data)
    except DecodeError as exc:
        raise InvalidArgument("request", f"the bytes are no {request_class.DESCRIPTOR.full_name} message") from exc


async def _refuse(context: Context, status: str, message: str, *, retriable: bool) -> None:
    """Ends the call with this status.

    The error that `context.abort` raises is kept by the call, and refers to it by its frames, which hold the request too: it is
    not let through as it is. grpc.aio raises it once more when the handler returns.
    """
    try:
        await context.abort(STATUS_CODES[status], message, (("retriable", "true" if retriable else "false"),))
    except grpc.aio.AbortError as aborted:
        aborted.__traceback__ = aborted.__context__ = None
