"""The two public doors, and nothing else: the `miradouro` command, and gRPC to a running `miradouro up`."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from miradouro.v1 import search_service_pb2 as wire
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub

START_S = 60.0
ANSWER_S = 60.0
STOP_S = 30.0
POLL_S = 0.1
SOME_PHOTOS_FAILED = 3  # exit status
MAX_MESSAGE_BYTES = 33 * 1024 * 1024
COMMAND = str(Path(sys.executable).with_name("miradouro"))


def command(*words: str, **environment: str) -> Any:
    """What `miradouro WORDS --json` prints, parsed. Raises CalledProcessError when it fails; its log goes to standard error."""
    done = subprocess.run([COMMAND, *words, "--json"], stdout=subprocess.PIPE, check=False, env={**os.environ, **environment})
    if done.returncode not in (0, SOME_PHOTOS_FAILED):
        done.check_returncode()
    return json.loads(done.stdout)


def search_by_command(data: Path, *words: str, limit: int = 10) -> list[dict[str, Any]]:
    """The hits of `miradouro search WORDS`."""
    hits: list[dict[str, Any]] = command("search", *words, "--limit", str(limit), "--data", str(data))["hits"]
    return hits


@contextmanager
def up(data: Path) -> Iterator[SearchServiceStub]:
    """Runs `miradouro up` on the data folder; gives a stub of its search service once its health says SERVING."""
    target = f"127.0.0.1:{_free_port()}"
    log = data.with_name(f"{data.name}.log")
    with log.open("wb") as output:
        server = subprocess.Popen(
            [COMMAND, "up", "--data", str(data), "--listen", target, "--http", "off"], stdout=output, stderr=output
        )
    try:
        with grpc.insecure_channel(target, options=[("grpc.max_send_message_length", MAX_MESSAGE_BYTES)]) as plain:
            channel = grpc.intercept_channel(plain, _Token(data / "token"))
            _wait_until_serving(channel, server, log)
            yield SearchServiceStub(channel)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(STOP_S)


class _Token(grpc.UnaryUnaryClientInterceptor):
    """Sends the token in a file, which the server makes before it listens, with every call."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        shown = self._path.read_text().strip() if self._path.exists() else ""
        details = _Details(client_call_details.method, client_call_details.timeout, [("authorization", f"Bearer {shown}")])
        return continuation(details, request)


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Any
    credentials: Any = None
    wait_for_ready: bool | None = None
    compression: Any = None


def hits_of(stub: SearchServiceStub, request: wire.SearchRequest) -> list[wire.Hit]:
    """Every hit of a question, page after page."""
    hits: list[wire.Hit] = []
    while True:
        answer = stub.Search(request, timeout=ANSWER_S)
        hits += answer.hits
        if not answer.next_page_token:
            return hits
        request.page_token = answer.next_page_token


def example(stub: SearchServiceStub, photo: bytes, *, space: str = "", limit: int) -> list[wire.Hit]:
    """The first page of photos that look like this one; the default space when none is named."""
    request = wire.SearchRequest(photo=wire.ExampleQuery(data=photo), space=space, limit=limit)
    return list(stub.Search(request, timeout=ANSWER_S).hits)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_serving(channel: grpc.Channel, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + START_S
    health = HealthStub(channel)
    while True:
        if server.poll() is not None:
            raise RuntimeError(f"`miradouro up` ended with {server.returncode}; see {log}")
        try:
            answer = health.Check(health_pb2.HealthCheckRequest(), timeout=ANSWER_S)  # type: ignore[attr-defined]  # made in __init__
        except grpc.RpcError as exc:
            if exc.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > until:
                raise
        else:
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
        if time.monotonic() > until:
            raise RuntimeError(f"`miradouro up` is not ready after {START_S:.0f} s; see {log}")
        time.sleep(POLL_S)
