"""What a gRPC port does not let a client hold: connections that say nothing, compressed requests, calls without a request."""

import contextlib
import socket
from collections.abc import Iterator

import grpc
import pytest
from miradouro.runtime import grpc_options
from miradouro.runtime.grpc_server import MAX_CONNECTIONS, running
from miradouro.runtime.health import MAX_PROBES, health_endpoint

from tests.echo_service import ECHO, Echo, ask, service

WITHIN_S = 20.0


def silent_connections(target: str, count: int) -> contextlib.ExitStack:
    """Connections, from 127.0.0.2, over which not a byte is sent."""
    host, port = target.rsplit(":", 1)
    stack = contextlib.ExitStack()
    for _ in range(count):
        stack.enter_context(socket.create_connection((host, int(port)), timeout=WITHIN_S, source_address=("127.0.0.2", 0)))
    return stack


@pytest.fixture
def short_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_options, "HANDSHAKE_S", 1)


@pytest.fixture
def target() -> Iterator[str]:
    with running([service(Echo())]) as server:
        yield server.target


def test_compressed_requests_are_refused(target):
    with grpc.insecure_channel(target) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            ask(channel, "Shout", "a" * 100_000, compression=grpc.Compression.Gzip)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert ask(channel, "Shout", "a") == "A"


def test_probes_are_not_compressed_either():
    with health_endpoint("127.0.0.1:0", [ECHO]) as health, grpc.insecure_channel(str(health.address)) as channel:
        method = channel.unary_unary("/grpc.health.v1.Health/Check")
        with pytest.raises(grpc.RpcError) as caught:
            method(b"\n\x03abc" * 100, timeout=WITHIN_S, compression=grpc.Compression.Gzip)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.usefixtures("short_handshake")
@pytest.mark.parametrize("port", ["calls", "health"])
def test_silent_connections_are_closed(port):
    with health_endpoint("127.0.0.1:0", [ECHO]) as health, running([service(Echo())]) as server:
        host, number = (server.target if port == "calls" else str(health.address)).rsplit(":", 1)
        with socket.create_connection((host, int(number)), timeout=WITHIN_S) as connection:
            while connection.recv(4_096):  # the server's own SETTINGS come first
                pass


def test_an_open_connection_outlives_more_silent_ones_than_there_is_room_for(target):
    with grpc.insecure_channel(target) as channel:
        assert ask(channel, "Shout", "a") == "A"
        with silent_connections(target, MAX_CONNECTIONS + 50):
            for _ in range(20):
                assert ask(channel, "Shout", "a") == "A"


@pytest.mark.usefixtures("short_handshake")
def test_probes_get_in_again_after_silent_connections():
    with (
        health_endpoint("127.0.0.1:0", [ECHO]) as health,
        silent_connections(str(health.address), MAX_PROBES + 10),
        grpc.insecure_channel(str(health.address)) as channel,
    ):
        grpc.channel_ready_future(channel).result(timeout=WITHIN_S)
