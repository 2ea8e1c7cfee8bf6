"""The limits of one server, over gRPC and HTTP."""

from dataclasses import dataclass

from miradouro.core.photo_limits import MAX_PHOTO_BYTES
from miradouro.runtime.request_size import MAX_PLAIN_BYTES

MAX_MESSAGE_BYTES = MAX_PHOTO_BYTES + MAX_PLAIN_BYTES  # the largest photo with its envelope


@dataclass(frozen=True)
class ServerLimits:
    """Limits of one server. `ServerSettings` holds the ones that operators set; tests pass others.

    `max_calls_per_token`, `max_calls_per_peer`, `max_concurrent_calls`: calls at a time with one token, from one IP address, and
    in all; more are refused at once.
    `max_pending_bytes`: bytes of requests that are held at a time.
    `handler_threads`: threads that run blocking handlers; they wait for embedders and indices more than they compute.
    `max_message_bytes`: largest gRPC message, in either direction.
    `shutdown_grace_s`: seconds that calls in progress get to end after SIGTERM; deploy/ allows for them.
    `max_connection_age_s`: seconds after which a client is asked to connect anew, so that it finds replicas that were added;
    calls in progress go on.
    `http_receive_s`: seconds within which the body of a request must arrive: 32 MiB at 10 Mbit/s.
    `http_answer_s`: seconds that a request may take to be answered.
    """

    max_calls_per_token: int = 32
    max_calls_per_peer: int = 64
    max_concurrent_calls: int = 128
    max_pending_bytes: int = 256 * 1024 * 1024
    handler_threads: int = 16
    max_message_bytes: int = MAX_MESSAGE_BYTES
    shutdown_grace_s: float = 20.0
    max_connection_age_s: int = 300
    http_receive_s: float = 30.0
    http_answer_s: float = 60.0
