"""Connections that send nothing, or read nothing, lock no other client out of the HTTP listeners."""

import contextlib
import http.client
import socket
import ssl
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from miradouro.runtime import http_listener, http_server
from miradouro.runtime.http_server import RunningHttp, running_http
from miradouro.runtime.metrics import process_registry
from miradouro.runtime.metrics_endpoint import metrics_endpoint
from miradouro.runtime.security import OPEN_TO_ALL, ServerSecurity, server_security
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from tests.certificates import self_signed, settings, token
from tests.e2e.many_machines import eventually
from tests.waiting import WAIT_S

IN_ALL, PER_PEER = 12, 4
ATTACKERS = [f"127.0.0.{number}" for number in range(2, 8)]
LARGE = bytes(20 * 1024 * 1024)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    response = Response(LARGE) if scope["path"] == "/large" else PlainTextResponse("here")
    await response(scope, receive, send)


@contextlib.contextmanager
def serving(security: ServerSecurity = OPEN_TO_ALL) -> Iterator[RunningHttp]:
    with running_http(
        lambda _: application, listen="127.0.0.1:0", setting="--http", grace_s=1, security=security, connections_per_peer=PER_PEER
    ) as server:
        yield server


@pytest.fixture(autouse=True)
def few_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", IN_ALL)


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ServerSecurity, ssl.SSLContext]:
    pair = self_signed(tmp_path, "server")
    (tmp_path / "token").write_text(token())
    (tmp_path / "token").chmod(0o600)
    context = ssl.create_default_context(cafile=str(pair.certificate))
    return server_security(settings(server=pair, tokens=tmp_path / "token")), context


@contextlib.contextmanager
def connections(
    server: RunningHttp, *, each: int, peers: list[str], tls: ssl.SSLContext | None = None
) -> Iterator[list[socket.socket]]:
    """Silent connections, `each` from every one of `peers`; with `tls`, after their handshake."""
    with contextlib.ExitStack() as stack:
        opened = []
        for peer in peers:
            for _ in range(each):
                one = socket.create_connection((server.address.host, server.address.port), WAIT_S, source_address=(peer, 0))
                if tls is not None:
                    with contextlib.suppress(OSError):  # it may have given way already
                        one = tls.wrap_socket(one, server_hostname="localhost")
                opened.append(stack.enter_context(one))
        yield opened


def ask(server: RunningHttp, tls: ssl.SSLContext | None = None) -> bytes:
    """One request over a new connection from 127.0.0.1."""
    host, port = server.address.host, server.address.port
    if tls is None:
        connection = http.client.HTTPConnection(host, port, timeout=WAIT_S)
    else:
        connection = http.client.HTTPSConnection(host, port, timeout=WAIT_S, context=tls)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        return connection.getresponse().read()


@pytest.mark.parametrize("peers", [ATTACKERS, ["127.0.0.1"]], ids=["other addresses", "the same address"])
def test_silent_connections_do_not_block_others(peers):
    with serving() as server, connections(server, each=2 * IN_ALL, peers=peers):
        for _ in range(2 * IN_ALL):
            assert ask(server) == b"here"


@pytest.mark.parametrize("shakes_hands", [False, True])
def test_nor_do_those_over_tls(tls, shakes_hands):
    security, context = tls
    with serving(security) as server, connections(server, each=8, peers=ATTACKERS[:4], tls=context if shakes_hands else None):
        for _ in range(10):
            assert ask(server, context) == b"here"


@pytest.mark.parametrize("speaks_tls", [False, True])
def test_silent_connections_end(tls, speaks_tls, monkeypatch):
    monkeypatch.setattr(http_server, "HEAD_WITHIN_S", 0.3)
    monkeypatch.setattr(http_listener, "HANDSHAKE_S", 0.3)
    security, _ = tls
    with (
        serving(security if speaks_tls else OPEN_TO_ALL) as server,
        connections(server, each=2, peers=ATTACKERS[:1]) as opened,
    ):
        for one in opened:
            with contextlib.suppress(ConnectionResetError):
                assert one.recv(1) == b""


def test_a_plain_request_ends_only_its_connection(tls):
    security, context = tls
    with serving(security) as server:
        with connections(server, each=1, peers=ATTACKERS[:1]) as (one,), contextlib.suppress(ConnectionResetError):
            one.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while one.recv(4_096):
                pass
        assert ask(server, context) == b"here"


def test_a_busy_connection_is_not_evicted():
    with serving() as server, connections(server, each=1, peers=["127.0.0.1"]) as (busy,):
        busy.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = len(busy.recv(100))
        for _ in range(3 * PER_PEER):
            assert ask(server) == b"here"
        while data := busy.recv(1_000_000):
            received += len(data)
        assert received > len(LARGE)


def test_a_client_that_does_not_read_is_disconnected(monkeypatch):
    monkeypatch.setattr(http_server, "READ_WITHIN_S", 0.3)
    with serving() as server, connections(server, each=1, peers=ATTACKERS[:1]) as (deaf,):
        deaf.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually("the server hangs up", lambda: not takes_more(deaf))


def takes_more(connection: socket.socket) -> bool:
    try:
        connection.sendall(b"\r\n")
    except (ConnectionResetError, BrokenPipeError):
        return False
    return True


def test_a_client_that_reads_slowly_gets_everything(monkeypatch):
    within_s = 2.0  # above the pauses of a loaded machine, below the time of all reads
    monkeypatch.setattr(http_server, "READ_WITHIN_S", within_s)
    with serving() as server, connections(server, each=1, peers=ATTACKERS[:1]) as (slow,):
        slow.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        began, received = time.monotonic(), 0
        while data := slow.recv(1_000_000):
            received += len(data)
            if time.monotonic() - began < 1.5 * within_s:
                time.sleep(1.5 * within_s * len(data) / len(LARGE))
        assert received > len(LARGE)


def test_metrics_answer_beside_silent_connections():
    with metrics_endpoint(process_registry(), "127.0.0.1:0") as address, contextlib.ExitStack() as stack:
        assert address is not None
        for number in range(300):
            peer = (f"127.0.0.{2 + number % 10}", 0)
            stack.enter_context(socket.create_connection((address.host, address.port), WAIT_S, source_address=peer))
        for _ in range(3):
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=WAIT_S) as reply:
                text = reply.read().decode()
        threads = Path("/proc/self/status").read_text().split("Threads:")[1].split()[0]
        assert "process_resident_memory_bytes" in text
        assert int(threads) < 200
