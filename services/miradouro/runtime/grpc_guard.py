"""Who may call over gRPC: with tokens set, everything but a check of health needs one, watching it and reflection too."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from prometheus_client import Counter

from miradouro.runtime.health_calls import CHECK
from miradouro.runtime.tokens import Tokens

AUTHORIZATION = "authorization"
MESSAGE = "a token is needed: send `authorization: Bearer TOKEN`, as MIRADOURO_TOKEN_FILE makes our clients do"
_Handler = Any  # grpc.RpcMethodHandler, which is generic in its stubs alone


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Answers UNAUTHENTICATED to calls without one of `tokens`, before a byte of their request is read."""

    def __init__(self, tokens: Tokens, refused: Counter) -> None:
        self._tokens, self._refused = tokens, refused

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """The method's own handler, or the refusal."""
        if handler_call_details.method == CHECK or self._is_known(handler_call_details.invocation_metadata):
            return await continuation(handler_call_details)
        self._refused.inc()
        return grpc.stream_stream_rpc_method_handler(_refuse)

    def _is_known(self, metadata: Any) -> bool:
        shown = [value for name, value in metadata or () if name == AUTHORIZATION]
        return len(shown) == 1 and isinstance(shown[0], str) and self._tokens.accepts_header(shown[0])


async def _refuse(_requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, MESSAGE, (("retriable", "false"),))
