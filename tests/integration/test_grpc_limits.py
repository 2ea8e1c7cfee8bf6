"""What a gRPC port does not let a client hold: connections that say nothing, compressed requests, calls without a request."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from miradouro.runtime import grpc_options, reflection_calls, rpc_request
from miradouro.runtime.grpc_server import MAX_CONNECTIONS, running
from miradouro.runtime.health import MAX_CONNECTIONS as MAX_PROBE_CONNECTIONS
from miradouro.runtime.health import MAX_PROBES, health_endpoint
from miradouro.runtime.request_size import MAX_PLAIN_BYTES
from miradouro.runtime.security import OPEN_TO_ALL, server_security
from miradouro.runtime.server_limits import ServerLimits
from prometheus_client import CollectorRegistry

from tests.certificates import settings, token, write_secret
from tests.e2e.many_machines import eventually
from tests.echo_service import ECHO, Echo, ask, service
from tests.waiting import WAIT_S


def silent_connections(target: str, count: int) -> contextlib.ExitStack:
    """Connections, from 127.0.0.2, over which not a byte is sent."""
    host, port = target.rsplit(":", 1)
    stack = contextlib.ExitStack()
    for _ in range(count):
        stack.enter_context(socket.create_connection((host, int(port)), timeout=WAIT_S, source_address=("127.0.0.2", 0)))
    return stack


@pytest.fixture
def short_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_options, "HANDSHAKE_S", 1)


@pytest.fixture
def target() -> Iterator[str]:
    with running([service(Echo())], security=OPEN_TO_ALL) as server:
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
            method(b"\n\x03abc" * 100, timeout=WAIT_S, compression=grpc.Compression.Gzip)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.usefixtures("short_handshake")
@pytest.mark.parametrize("port", ["calls", "health"])
def test_silent_connections_are_closed(port):
    with health_endpoint("127.0.0.1:0", [ECHO]) as health, running([service(Echo())], security=OPEN_TO_ALL) as server:
        host, number = (server.target if port == "calls" else str(health.address)).rsplit(":", 1)
        with socket.create_connection((host, int(number)), timeout=WAIT_S) as connection:
            while connection.recv(4_096):  # the server's own SETTINGS come first
                pass


def test_an_open_connection_outlives_too_many_silent_ones(target):
    with grpc.insecure_channel(target) as channel:
        assert ask(channel, "Shout", "a") == "A"
        with silent_connections(target, MAX_CONNECTIONS + 50):
            for _ in range(20):
                assert ask(channel, "Shout", "a") == "A"


@pytest.mark.usefixtures("short_handshake")
def test_probes_get_in_again_after_silent_connections():
    with (
        health_endpoint("127.0.0.1:0", [ECHO]) as health,
        silent_connections(str(health.address), MAX_PROBE_CONNECTIONS + 10),
        grpc.insecure_channel(str(health.address)) as channel,
    ):
        grpc.channel_ready_future(channel).result(timeout=WAIT_S)


class Silence:
    """Calls whose request does not come before `end`."""

    def __init__(self, channel: grpc.Channel, method: str, secret: str = "") -> None:
        self._channel, self._method, self._secret = channel, method, secret
        self._over = threading.Event()
        self.calls: list[grpc.Future] = []

    def add(self, count: int) -> None:
        make = self._channel.stream_stream(self._method)
        metadata = (("authorization", f"Bearer {self._secret}"),) if self._secret else None
        self.calls += [make(self._nothing(), timeout=WAIT_S, metadata=metadata) for _ in range(count)]

    def _nothing(self) -> Iterator[bytes]:
        self._over.wait(WAIT_S)
        yield from ()

    def end(self) -> list[grpc.StatusCode]:
        self._over.set()
        return [call.code() for call in self.calls]


@contextlib.contextmanager
def silence(channel: grpc.Channel, method: str, secret: str = "") -> Iterator[Silence]:
    calls = Silence(channel, method, secret)
    try:
        yield calls
    finally:
        calls.end()


@pytest.mark.parametrize("method", ["Shout", "Whisper", "Count"])
def test_a_missing_request_ends_at_the_timeout(target, method, monkeypatch):
    monkeypatch.setattr(rpc_request, "RECEIVE_WITHIN_S", 0.2)
    with grpc.insecure_channel(target) as channel, silence(channel, f"/{ECHO}/{method}") as silent:
        silent.add(1)
        assert silent.calls[0].code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "did not arrive within 0.2 s" in silent.calls[0].details()


def test_a_call_without_a_request_is_refused(target):
    with grpc.insecure_channel(target) as channel:
        for method in ("Shout", "Count"):
            call = channel.stream_stream(f"/{ECHO}/{method}")(iter(()), timeout=WAIT_S)
            assert call.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture
def secrets(tmp_path: Path) -> tuple[str, str]:
    pair = token(), token()
    write_secret(tmp_path / "token", "\n".join(pair))
    return pair


LIMITS = ServerLimits(max_calls_per_token=4, max_calls_per_peer=6, max_concurrent_calls=6, handler_threads=4)


def test_calls_without_a_request_block_no_others(tmp_path, secrets):
    """Neither those of other tokens, nor those of their own."""
    hostile, honest = secrets
    with (
        running([service(Echo())], limits=LIMITS, security=server_security(settings(tokens=tmp_path / "token"))) as server,
        grpc.insecure_channel(server.target) as channel,
        silence(channel, f"/{ECHO}/Shout", hostile) as silent,
    ):
        silent.add(200)
        for secret in (honest, hostile):
            for _ in range(5):
                assert ask(channel, "Shout", "a", metadata=(("authorization", f"Bearer {secret}"),)) == "A"
        codes = silent.end()
    assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) >= 200 - LIMITS.max_calls_per_token


def test_calls_beyond_those_of_a_token_are_refused(tmp_path, secrets, caplog):
    echo = Echo()
    with (
        running([service(echo)], limits=LIMITS, security=server_security(settings(tokens=tmp_path / "token"))) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        first, second = [(("authorization", f"Bearer {secret}"),) for secret in secrets]
        shout = channel.unary_unary(f"/{ECHO}/Shout", StringValue.SerializeToString, StringValue.FromString)
        waiting = [shout.future(StringValue(value="wait"), timeout=WAIT_S, metadata=first) for _ in range(4)]
        try:
            eventually("all four are in progress", lambda: len(echo.calls) == 4)
            for method in ("Shout", "Whisper"):
                with pytest.raises(grpc.RpcError, match="calls of this token") as caught:
                    ask(channel, method, "A", metadata=first)
                assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert dict(caught.value.trailing_metadata())["retriable"] == "true"
            assert ask(channel, "Whisper", "A", metadata=second) == "a"
        finally:
            echo.go.set()
        assert [one.result().value for one in waiting] == ["WAIT"] * 4
        assert caplog.records == [], "a refusal is no error of the server"
        assert ask(channel, "Whisper", "A", metadata=first) == "a"


@pytest.mark.parametrize("method", ["Shout", "Whisper", "Count"])
def test_requests_without_a_photo_are_limited_in_size(method):
    echo = Echo()
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with (
        running([service(echo)], security=OPEN_TO_ALL) as server,
        grpc.insecure_channel(server.target, options=options) as channel,
    ):
        make = channel.unary_stream(f"/{ECHO}/{method}", StringValue.SerializeToString, StringValue.FromString)
        assert make(StringValue(value="a" * MAX_PLAIN_BYTES), timeout=WAIT_S).code() is grpc.StatusCode.INVALID_ARGUMENT
        assert echo.calls == []
        if method != "Count":
            assert len(ask(channel, method, "a" * (MAX_PLAIN_BYTES - 10))) == MAX_PLAIN_BYTES - 10


def test_requests_in_memory_are_bounded_in_all():
    echo, registry = Echo(), CollectorRegistry()
    limits = ServerLimits(max_message_bytes=MAX_PLAIN_BYTES, max_pending_bytes=MAX_PLAIN_BYTES)
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with (
        running([service(echo)], security=OPEN_TO_ALL, limits=limits, registry=registry) as server,
        grpc.insecure_channel(server.target, options=options) as channel,
    ):
        count = channel.unary_stream(f"/{ECHO}/Count", StringValue.SerializeToString, StringValue.FromString)
        open_stream = count(StringValue(value="1000000000" + " " * (MAX_PLAIN_BYTES // 2)), timeout=WAIT_S)
        assert next(open_stream).value == "0"
        with pytest.raises(grpc.RpcError, match="bytes of requests are in memory"):
            ask(channel, "Shout", "a" * (MAX_PLAIN_BYTES // 2 + 100))
        assert ask(channel, "Shout", "a") == "A"
        open_stream.cancel()
        assert echo.closed.wait(WAIT_S)
        eventually("the memory is free again", lambda: is_answered(channel, "a" * (MAX_PLAIN_BYTES // 2 + 100)))


def is_answered(channel: grpc.Channel, text: str) -> bool:
    try:
        return ask(channel, "Shout", text) == text.upper()
    except grpc.RpcError:
        return False


def test_probes_are_answered_beside_calls_that_ask_nothing():
    with health_endpoint("127.0.0.1:0", [ECHO]) as health, contextlib.ExitStack() as stack:
        over = threading.Event()
        stack.callback(over.set)

        def nothing() -> Iterator[bytes]:
            over.wait(WAIT_S)
            yield from ()

        channel = stack.enter_context(grpc.insecure_channel(str(health.address)))
        silent = [
            channel.stream_unary("/grpc.health.v1.Health/Check").future(nothing(), timeout=WAIT_S) for _ in range(2 * MAX_PROBES)
        ]
        for _ in range(10):
            assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=WAIT_S) == b"\x08\x02"  # NOT_SERVING
        over.set()
        assert {one.code() for one in silent} <= {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT}


def test_probes_ask_with_few_bytes():
    with health_endpoint("127.0.0.1:0", [ECHO]) as health, grpc.insecure_channel(str(health.address)) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/grpc.health.v1.Health/Check")(b"\n" + b"\xff" * 5_000, timeout=WAIT_S)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


def test_reflection_has_few_calls_with_small_requests(target, monkeypatch):
    monkeypatch.setattr(reflection_calls, "NEXT_WITHIN_S", WAIT_S)
    with grpc.insecure_channel(target) as channel, silence(channel, REFLECTION) as silent:
        silent.add(reflection_calls.MAX_CALLS + 12)
        eventually("the excess calls are refused", lambda: sum(call.done() for call in silent.calls) == 12)
        assert {call.code() for call in silent.calls if call.done()} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert silent.end().count(grpc.StatusCode.OK) == reflection_calls.MAX_CALLS
        large = channel.stream_stream(REFLECTION)(iter([b"\x1a\x90\x4e" + b"a" * 10_000]), timeout=WAIT_S)
        assert large.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_reflection_ends_without_a_request(target, monkeypatch):
    monkeypatch.setattr(reflection_calls, "NEXT_WITHIN_S", 0.1)
    with grpc.insecure_channel(target) as channel, silence(channel, REFLECTION) as silent:
        silent.add(1)
        assert silent.calls[0].code() is grpc.StatusCode.DEADLINE_EXCEEDED
