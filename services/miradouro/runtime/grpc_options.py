"""Connection limits of every gRPC port: a silent or non-reading connection occupies resources only for a short time."""

HANDSHAKE_S = 5  # of TLS and of HTTP/2, from the moment that the connection is accepted
IDLE_S = 60  # without a call; a client connects again by itself
PING_AFTER_S, PING_ANSWER_S = 60, 20  # of silence; a peer that does not read does not answer either
AGE_GRACE_S = 24 * 3_600  # after max_connection_age: to index a large folder is one call, and takes hours


def connection_options(max_connections: int, *, idle_s: int = IDLE_S, age_grace_s: int = AGE_GRACE_S) -> list[tuple[str, int]]:
    """Options of a server with at most `max_connections` connections; more are closed as soon as they are accepted."""
    return [
        ("grpc.so_reuseport", 0),  # otherwise a second process takes the same port and half of the calls, silently
        ("grpc.compression_enabled_algorithms_bitset", 1),  # identity alone: 33 kB of gzip would become 33 MB
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_S * 1_000),
        ("grpc.max_allowed_incoming_connections", max_connections),
        ("grpc.max_connection_idle_ms", idle_s * 1_000),
        ("grpc.max_connection_age_grace_ms", age_grace_s * 1_000),
        ("grpc.keepalive_time_ms", PING_AFTER_S * 1_000),
        ("grpc.keepalive_timeout_ms", PING_ANSWER_S * 1_000),
    ]
