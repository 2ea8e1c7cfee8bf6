"""Starts the programs that serve a network in other ways, each in an environment of its own, and asks them for photos.

Their packages conflict with ours and with each other: `build/peers/NAME` is made once for each, with the same versions of
onnxruntime, numpy and Pillow as ours.
"""

import base64
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
ENVIRONMENTS = FOLDER.parent / "build" / "peers"
PEERS = ("fastapi", "bentoml", "mlserver")
START_S = 120.0
Ask = Callable[[int, float], bool]  # number of a photo, seconds to wait → whether it was answered; False: refused or too late


@dataclass(frozen=True)
class Server:
    """A running server: how to ask it, and its process."""

    name: str
    ask: Ask
    pid: int


def installed(peer: str) -> Path | None:
    """The interpreter of the peer's environment, made when it is missing; None when it cannot be installed here."""
    folder = ENVIRONMENTS / peer
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        same = [f"{package}=={version(package)}" for package in ("onnxruntime", "numpy", "pillow")]
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--group", f"bench-{peer}", *same]
        if subprocess.run(pip, cwd=FOLDER.parent, check=False).returncode:
            print(f"{peer} could not be installed: measuring without it", file=sys.stderr)
            return None
        done.touch()
    return python


@contextmanager
def running(peer: str, python: Path, network: dict[str, Any], photos: Sequence[bytes], scratch: Path) -> Iterator[Server]:
    """The peer, ready to answer. Raises RuntimeError when it does not start."""
    port = _free_port()
    command, path = _command(peer, python, port, scratch)
    log = scratch / f"{peer}.log"
    environment = {
        "PEER_NETWORK": json.dumps(network),
        "PYTHONPATH": str(FOLDER),
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "BENTOML_DO_NOT_TRACK": "True",
    }
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=scratch, env=os.environ | environment, stdout=output, stderr=output)
    try:
        ask = _asker(port, path, [_body(peer, photo) for photo in photos])
        until = time.monotonic() + START_S
        while not ask(0, 10.0):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{peer} did not start; the end of its log: {log.read_text()[-2_000:]}")
            time.sleep(0.2)
        yield Server(peer, ask, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _command(peer: str, python: Path, port: int, scratch: Path) -> tuple[list[str], str]:
    """The command line of a peer, and the path of its requests."""
    if peer == "fastapi":
        return [str(python), str(FOLDER / "peer_fastapi.py"), str(port)], "/embed"
    if peer == "bentoml":
        service = ["serve", "peer_bentoml:Service", "--port", str(port), "--working-dir", str(FOLDER)]
        return [str(python), "-m", "bentoml", *service], "/embed"
    settings = {"http_port": port, "grpc_port": _free_port(), "metrics_endpoint": None, "debug": False}
    settings |= {"parallel_workers": len(os.sched_getaffinity(0)), "host": "127.0.0.1", "metrics_port": _free_port()}
    folder = scratch / "mlserver"
    folder.mkdir(exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps({"name": "network", "implementation": "peer_mlserver.Network"}))
    return [str(python.with_name("mlserver")), "start", str(folder)], "/v2/models/network/infer"


def _body(peer: str, photo: bytes) -> tuple[bytes, str]:
    """The body of a request, and its media type."""
    if peer != "mlserver":
        return photo, "image/jpeg" if peer == "fastapi" else "application/octet-stream"
    sent = {"name": "photo", "shape": [1], "datatype": "BYTES", "data": [base64.b64encode(photo).decode()]}
    return json.dumps({"inputs": [sent]}).encode(), "application/json"


def _asker(port: int, path: str, bodies: Sequence[tuple[bytes, str]]) -> Ask:
    """Asks over one connection for each thread; a connection with an unanswered request is of no more use."""
    local = threading.local()

    def ask(number: int, timeout_s: float) -> bool:
        connection: http.client.HTTPConnection | None = getattr(local, "connection", None)
        if connection is None:
            connection = local.connection = http.client.HTTPConnection("127.0.0.1", port)
        body, media_type = bodies[number % len(bodies)]
        try:
            connection.timeout = timeout_s
            if connection.sock is not None:
                connection.sock.settimeout(timeout_s)
            connection.request("POST", path, body, {"Content-Type": media_type})
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            with contextlib.suppress(OSError):
                connection.close()
            local.connection = None
            return False
        return answer.status == 200

    return ask


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
