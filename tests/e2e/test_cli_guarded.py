"""Servers with a certificate and a token, and probes' own port, through the command."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.documentation import TEXT, marked
from tests.e2e.command import COMMAND, START_S, start
from tests.e2e.many_machines import eventually


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder in which the documentation's commands have made a certificate and a token."""
    [block] = marked("tls")
    commands = [line for line in block.splitlines() if "openssl " in line]
    assert len(commands) == 2
    for line in commands:
        subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True, capture_output=True, umask=0o022)
    return tmp_path


@pytest.mark.usefixtures("models_dir")
def test_the_readmes_server_answers_only_our_clients(made: Path) -> None:
    [settings] = re.findall(r"^export (MIRADOURO_TLS_CERT_FILE=.*)$", TEXT, re.M)
    given = dict(word.split("=", 1) for word in shlex.split(settings))
    environment = {
        **os.environ,
        **{name: str(made / value) if name.endswith("_FILE") else value for name, value in given.items()},
    }
    server = subprocess.Popen(
        [COMMAND, "up", "--data", made / "data", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        port = server.stdout.readline().rsplit(":", 1)[1].strip()
        assert server.stdout.readline().startswith("page: https://127.0.0.1:")
        assert server.stdout.readline().startswith("open: https://127.0.0.1:")

        def stats(**client: str) -> "subprocess.CompletedProcess[str]":
            files = {f"MIRADOURO_{name}": str(made / file) for name, file in client.items()}
            words = [COMMAND, "search", "--server", f"localhost:{port}", "--keyword", "dog", "--json"]
            return subprocess.run(
                words, capture_output=True, text=True, timeout=START_S, check=False, env={**os.environ, **files}
            )

        found = stats(TLS_CA_FILE="tls.crt", TOKEN_FILE="token")
        assert "collection 'photos' does not exist" in found.stderr, "the answer of a server that let us in"
        assert "a token is needed" in stats(TLS_CA_FILE="tls.crt").stderr
        assert "can't be reached" in stats(TOKEN_FILE="token").stderr
        shown = subprocess.run(
            [COMMAND, "stats", "--data", made / "data", "--json"], capture_output=True, text=True, timeout=START_S, check=False,
            env={**environment, "MIRADOURO_TLS_CA_FILE": str(made / "tls.crt")},
        )  # fmt: skip
        assert (shown.returncode, '"collections": []' in shown.stdout) == (0, True), "by the data folder's own server"
    finally:
        server.send_signal(signal.SIGTERM)
        out, err = server.communicate(timeout=START_S)
    assert server.returncode == 0, err
    assert (made / "token").read_text().strip() not in out + err


@pytest.mark.usefixtures("models_dir")
def test_probes_are_correct_from_start_to_end() -> None:
    """NOT_SERVING while networks are loaded, SERVING while photos would be embedded, NOT_SERVING while calls end."""
    server = start("serve", "embedding", "--no-token", "--listen", "127.0.0.1:0", MIRADOURO_HEALTH_LISTEN="127.0.0.1:0")
    assert server.stdout is not None
    status = health_pb2.HealthCheckResponse
    try:
        line = server.stdout.readline()
        assert line.startswith("health on "), line
        asked = health_pb2.HealthCheckRequest(service="miradouro.v1.EmbeddingService")
        with grpc.insecure_channel(line.split()[-1]) as channel:

            def health() -> int:
                return int(health_pb2_grpc.HealthStub(channel).Check(asked, timeout=START_S).status)

            assert health() == status.NOT_SERVING
            eventually("it would answer", lambda: health() == status.SERVING)
            line = server.stdout.readline()
            assert line.startswith("embedding service ready on ")
            with grpc.insecure_channel(line.split()[4]) as calls:
                watched = health_pb2_grpc.HealthStub(calls).Watch(asked, timeout=START_S)
                assert next(watched).status == status.SERVING
                server.send_signal(signal.SIGTERM)
                assert next(watched).status == status.NOT_SERVING
            with contextlib.suppress(grpc.RpcError):  # it has ended already
                assert health() == status.NOT_SERVING
        _, err = server.communicate(timeout=START_S)
    finally:
        server.kill()
    assert server.returncode == 0, err
