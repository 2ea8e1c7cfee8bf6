"""What every gRPC client needs: a channel with the house's limits, and statuses turned back into typed errors."""

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

MAX_MESSAGE_BYTES = 33 * 1024 * 1024

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


def open_channel(target: str, *, max_message_bytes: int = MAX_MESSAGE_BYTES) -> grpc.Channel:
    """A channel to `target` (host:port); it connects at the first call and again whenever the peer comes back."""
    return grpc.insecure_channel(
        target,
        options=[
            ("grpc.max_send_message_length", max_message_bytes),
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_reconnect_backoff_ms", 5_000),
        ],
    )


def typed_error(error: grpc.RpcError, *, peer: str) -> MiradouroError:
    """The error that the server raised, with its message; what never reached a server also names `peer`."""
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
