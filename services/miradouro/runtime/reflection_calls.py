"""gRPC reflection within limits: few concurrent calls, small requests, and a deadline for each request."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

MAX_CALLS = 8
NEXT_WITHIN_S = 30.0  # the client may be interactive
MAX_REQUEST_BYTES = 4_096
_Context = Any  # grpc.aio.ServicerContext, which is generic in its stubs alone


class _Reflection:
    def __init__(self, names: Sequence[str]) -> None:
        self._servicer: Any = reflection.aio.ReflectionServicer(names)  # untyped in its stubs
        self._calls = 0

    async def answer(self, requests: AsyncIterator[Any], context: _Context) -> AsyncIterator[Any]:
        if self._calls >= MAX_CALLS:
            message = f"{self._calls} calls of reflection are in progress, which is the limit; ask again after a pause"
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, message)
        self._calls += 1
        try:
            async for response in self._servicer.ServerReflectionInfo(_bounded(requests, context), context):
                yield response
        finally:
            self._calls -= 1


async def _bounded(requests: AsyncIterator[Any], context: _Context) -> AsyncIterator[Any]:
    while True:
        try:
            async with asyncio.timeout(NEXT_WITHIN_S):
                request = await anext(requests, None)
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"no request came within {NEXT_WITHIN_S:g} s")
        if request is None:
            return
        if request.ByteSize() > MAX_REQUEST_BYTES:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"the request has more than {MAX_REQUEST_BYTES:,} bytes")
        yield request


def enable_reflection(names: Sequence[str], server: grpc.aio.Server) -> None:
    """Has the server describe the services `names`, and reflection itself."""
    method = grpc.stream_stream_rpc_method_handler(
        _Reflection([*names, reflection.SERVICE_NAME]).answer,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    handler = grpc.method_handlers_generic_handler(reflection.SERVICE_NAME, {"ServerReflectionInfo": method})
    server.add_generic_rpc_handlers((handler,))
