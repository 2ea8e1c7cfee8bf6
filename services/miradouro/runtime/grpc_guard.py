"""Authentication over gRPC: every call needs a token, including health and reflection. Probes use a separate port."""

from collections.abc import Awaitable, Callable, Container
from typing import Any

import grpc
from prometheus_client import Counter

from miradouro.runtime.addresses import peer_host
from miradouro.runtime.audit_log import RefusedCalls
from miradouro.runtime.call import Caller
from miradouro.runtime.security import ServerSecurity

AUTHORIZATION = "authorization"
MESSAGE = (
    "a token is needed: send `authorization: Bearer TOKEN`; our clients send the first one of MIRADOURO_TOKEN_FILE, "
    "and `miradouro up` keeps one in the file `token` of its data folder"
)
_Handler = Any  # grpc.RpcMethodHandler, which is generic in its stubs alone


def caller_of(metadata: Any, *, peer: str, security: ServerSecurity) -> Caller | None:
    """The caller of a call with this metadata from the IP address `peer`; None: refuse the call."""
    shown = [value for name, value in metadata or () if name == AUTHORIZATION]
    is_one = len(shown) == 1 and isinstance(shown[0], str)
    return security.identify(shown[0] if is_one else "", peer=peer)


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Answers UNAUTHENTICATED to calls that `security` refuses, before a byte of their request is read.

    Methods of the services in `own` ask for the token themselves: to do it twice costs a twentieth of a short call.
    """

    def __init__(self, security: ServerSecurity, refused: Counter, audit: RefusedCalls, *, own: Container[str]) -> None:
        self._security, self._refused, self._audit, self._own = security, refused, audit, own

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """The method's own handler, or the refusal."""
        service = handler_call_details.method.rpartition("/")[0].removeprefix("/")
        if service in self._own and (handler := await continuation(handler_call_details)) is not None:
            return handler
        if caller_of(handler_call_details.invocation_metadata, peer="", security=self._security) is not None:
            return await continuation(handler_call_details)
        self._refused.inc()
        return grpc.stream_stream_rpc_method_handler(self._refuse)

    async def _refuse(self, _requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        self._audit.add("UNAUTHENTICATED", peer=peer_host(context.peer()))
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, MESSAGE, (("retriable", "false"),))
