"""Health checks: who may call them, how often, and that they delay no other call."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from miradouro.runtime import health_calls
from miradouro.runtime.grpc_server import HEALTH_CALLS, MAX_CHECKS, MAX_WATCHERS, RunningServer, running
from miradouro.runtime.health import LIVENESS, health_endpoint
from miradouro.runtime.security import OPEN_TO_ALL, server_security
from miradouro.runtime.server_limits import ServerLimits

from tests.certificates import settings, token, write_secret
from tests.e2e.many_machines import eventually
from tests.echo_service import ECHO, Echo, ask, service
from tests.waiting import WAIT_S

CALLS = 4
EVERYTHING = health_pb2.HealthCheckRequest()
STATUS = health_pb2.HealthCheckResponse


@pytest.fixture
def secret(tmp_path: Path) -> str:
    return write_secret(tmp_path / "token", token()).read_text()


@pytest.fixture
def server(tmp_path: Path, secret: str) -> Iterator[RunningServer]:  # noqa: ARG001 # it is in the file
    limits, security = ServerLimits(max_concurrent_calls=CALLS), server_security(settings(tokens=tmp_path / "token"))
    with running([service(Echo())], limits=limits, security=security) as running_server:
        yield running_server


@pytest.fixture
def channel(server: RunningServer) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.target) as channel:
        yield channel


def bearer(secret: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {secret}"),)


def watch(channel: grpc.Channel, secret: str = "") -> grpc.Call:
    return health_pb2_grpc.HealthStub(channel).Watch(EVERYTHING, timeout=WAIT_S, metadata=bearer(secret) if secret else None)


def check(channel: grpc.Channel, name: str = "", secret: str = "") -> int:
    asked = health_pb2.HealthCheckRequest(service=name)
    return health_pb2_grpc.HealthStub(channel).Check(asked, timeout=WAIT_S, metadata=bearer(secret) if secret else None).status


def code_of(call: Iterator[object]) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        next(call)
    return caught.value.code()


def test_probes_check_on_their_own_port_without_watching():
    with (
        health_endpoint("127.0.0.1:0", [ECHO]) as health,
        grpc.insecure_channel(str(health.address)) as channel,
        running([service(Echo())], security=OPEN_TO_ALL, health=health) as server,
    ):
        assert code_of(watch(channel)) is grpc.StatusCode.UNIMPLEMENTED
        assert (check(channel), check(channel, ECHO)) == (STATUS.SERVING, STATUS.SERVING)
        server.drain()
        statuses = [check(channel, name) for name in ("", ECHO, LIVENESS)]
        assert statuses == [STATUS.NOT_SERVING, STATUS.NOT_SERVING, STATUS.SERVING], "a process that drains is alive"


def test_to_check_and_to_watch_need_a_token(channel, secret):
    with pytest.raises(grpc.RpcError, match="UNAUTHENTICATED"):
        check(channel)
    assert check(channel, secret=secret) == STATUS.SERVING
    assert code_of(watch(channel)) is grpc.StatusCode.UNAUTHENTICATED
    assert next(watch(channel, secret)).status == STATUS.SERVING


def test_watchers_are_few_and_leave_room_for_calls(channel, secret):
    watchers = [watch(channel, secret) for _ in range(MAX_WATCHERS)]
    assert {next(one).status for one in watchers} == {STATUS.SERVING}
    assert code_of(watch(channel, secret)) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert check(channel, secret=secret) == STATUS.SERVING
    assert ask(channel, "Shout", "a", metadata=bearer(secret)) == "A"
    watchers[0].cancel()

    def is_let_in() -> bool:
        try:
            return next(watch(channel, secret)).status == STATUS.SERVING
        except grpc.RpcError:
            return False

    eventually("one that went makes room for another", is_let_in)


@contextmanager
def idle_checks(channel: grpc.Channel, secret: str, count: int) -> Iterator[list[grpc.Future]]:
    """Health checks whose request does not come inside the block; at its end they close without one."""
    silence = threading.Event()

    def nothing() -> Iterator[bytes]:
        silence.wait(WAIT_S)
        yield from ()

    method = channel.stream_unary("/grpc.health.v1.Health/Check")
    try:
        yield [method.future(nothing(), timeout=WAIT_S, metadata=bearer(secret)) for _ in range(count)]
    finally:
        silence.set()


def test_excess_idle_health_checks_take_no_slot(channel, secret, monkeypatch):
    monkeypatch.setattr(health_calls, "QUESTION_WITHIN_S", WAIT_S)
    ended = threading.Semaphore(0)
    with idle_checks(channel, secret, CALLS + HEALTH_CALLS) as checks:
        for one in checks:
            one.add_done_callback(lambda _: ended.release())
        for _ in range(CALLS + HEALTH_CALLS - MAX_CHECKS):
            assert ended.acquire(timeout=WAIT_S), "the excess checks are refused"
        assert ask(channel, "Shout", "a", metadata=bearer(secret)) == "A"
    codes = [one.code() for one in checks]
    assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == CALLS + HEALTH_CALLS - MAX_CHECKS
    assert codes.count(grpc.StatusCode.INVALID_ARGUMENT) == MAX_CHECKS


def test_an_idle_health_check_ends(channel, secret, monkeypatch):
    monkeypatch.setattr(health_calls, "QUESTION_WITHIN_S", 0.1)
    with idle_checks(channel, secret, 1) as [one]:
        assert one.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2 (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def watching_without_reading(target: str, secret: str) -> socket.socket:
    """A watcher whose windows are closed: not a byte of an answer can be sent to it."""
    headers = {
        ":method": "POST", ":scheme": "http", ":path": "/grpc.health.v1.Health/Watch", ":authority": target,
        "te": "trailers", "content-type": "application/grpc", "authorization": f"Bearer {secret}",
    }  # fmt: skip
    # Literal fields without an index (RFC 7541, section 6.2.2).
    block = b"".join(b"\x00" + b"".join(bytes([len(text)]) + text.encode() for text in field) for field in headers.items())
    host, port = target.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=WAIT_S)
    connection.sendall(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + frame(4, 0, 0, struct.pack(">HI", 4, 0))  # SETTINGS_INITIAL_WINDOW_SIZE = 0
        + frame(1, 4, 1, block)  # HEADERS, END_HEADERS
        + frame(0, 1, 1, bytes(5))  # DATA, END_STREAM: an empty message
    )
    return connection


def test_a_stalled_watcher_delays_nothing(tmp_path, secret):
    state = {"ready": False}
    security = server_security(settings(tokens=tmp_path / "token"))
    ready = service(Echo(), ready=lambda: state["ready"])
    with running([ready], security=security) as server, grpc.insecure_channel(server.target) as channel:
        # A few more than there are places: the question below may take one before the last of them.
        deaf = [watching_without_reading(server.target, secret) for _ in range(MAX_WATCHERS + 4)]
        try:
            eventually("they watch", lambda: _is_refused(channel, secret))
            state["ready"] = True
            eventually("the change is visible", lambda: check(channel, secret=secret) == STATUS.SERVING)
            drained = threading.Thread(target=server.drain)
            drained.start()
            drained.join(WAIT_S)
            assert not drained.is_alive()
            assert check(channel, secret=secret) == STATUS.NOT_SERVING
        finally:
            for one in deaf:
                one.close()


def _is_refused(channel: grpc.Channel, secret: str) -> bool:
    call = watch(channel, secret)
    try:
        next(call)
    except grpc.RpcError as exc:
        return exc.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    call.cancel()
    return False
