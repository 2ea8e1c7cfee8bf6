"""The shared part of gRPC clients: a channel with limits and token, and the translation of statuses into typed errors."""

from collections.abc import Callable
from typing import Any, NamedTuple

import grpc

from miradouro.core.errors import (
    Corrupt,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    MiradouroError,
    NotFound,
    Overloaded,
    Unauthenticated,
    Unavailable,
)
from miradouro.runtime.grpc_guard import AUTHORIZATION
from miradouro.runtime.security import ClientSecurity, client_security
from miradouro.runtime.server_limits import MAX_MESSAGE_BYTES
from miradouro.runtime.tokens import Tokens
from miradouro.runtime.tracing import TRACEPARENT, current_trace

_ERRORS: dict[grpc.StatusCode, type[MiradouroError]] = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: Unauthenticated,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.CANCELLED: Unavailable,
    grpc.StatusCode.DATA_LOSS: Corrupt,
    grpc.StatusCode.UNIMPLEMENTED: FailedPrecondition,
}
_GONE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


def open_channel(
    target: str, *, max_message_bytes: int = MAX_MESSAGE_BYTES, security: ClientSecurity | None = None
) -> grpc.Channel:
    """A channel to `target` (host:port); it connects at the first call and again whenever the peer comes back.

    Calls are distributed over all addresses of the host.

    `security`, by default that of the settings, determines TLS and the token. Raises ConfigurationError for a wrong setting, and
    for a token that would leave this machine unencrypted.
    """
    security = security or client_security()
    security.check(target)
    options = [
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_receive_message_length", max_message_bytes),
        # A replica that restarts is back within a second: gRPC's own first pause, 1 s, would outlast every retry of a question.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        ("grpc.lb_policy_name", "round_robin"),  # every address of a name takes its share, not the first alone
    ]
    if security.credentials is None:
        channel = grpc.insecure_channel(target, options=options)
    else:
        channel = grpc.secure_channel(target, security.credentials, options=options)
    return grpc.intercept_channel(channel, _Introduction(security.tokens))


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _Introduction(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Adds the current token of the token file and the trace to the metadata of each call."""

    def __init__(self, tokens: Tokens | None) -> None:
        self._tokens = tokens

    def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        return continuation(self._introduced(client_call_details), request)

    def intercept_unary_stream(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        return continuation(self._introduced(client_call_details), request)

    def _introduced(self, details: Any) -> _Details:
        metadata = list(details.metadata or ())
        if self._tokens is not None:
            metadata.append((AUTHORIZATION, f"Bearer {self._tokens.first}"))
        if (trace := current_trace()) is not None:
            metadata.append((TRACEPARENT, trace.child().header))
        return _Details(
            details.method, details.timeout, metadata, details.credentials, details.wait_for_ready, details.compression
        )


def typed_error(error: grpc.RpcError, *, peer: str) -> MiradouroError:
    """The error that the server raised, with its message. An error from before the server also names `peer`."""
    code: grpc.StatusCode = error.code()
    text: str = error.details() or code.name
    came_from_handler = any(entry.key == "retriable" for entry in error.trailing_metadata() or ())
    if not came_from_handler and code in _GONE:
        text = f"{peer} can't be reached, or went away: {text}; check that a server runs there, and ask again"
    elif not came_from_handler:
        text = f"{peer}: {text}"
    elif code is grpc.StatusCode.INVALID_ARGUMENT:
        field, _, message = text.partition(": ")
        return InvalidArgument(field, message)
    return _ERRORS.get(code, Internal)(text)
