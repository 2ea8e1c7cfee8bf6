"""The output of a server that cannot start or work yet: one line that names the setting or the peer, and never `ready`."""

import json
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from miradouro.bundles.catalogue import find
from miradouro.bundles.registry import model_path, record_path

from tests.certificates import self_signed, write_secret
from tests.e2e.command import START_S, start

EMBEDDING, INGEST, QUERY = (("serve", name, "--no-token", "--listen", "127.0.0.1:0") for name in ("embedding", "ingest", "query"))
UNREACHABLE = "127.0.0.1:1"


@pytest.fixture
def taken() -> Iterator[str]:
    """An address that is already in use."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def refused(*words: object, **environment: str) -> str:
    """The one line that a server prints when it does not start. Its exit status has to be 1."""
    server = start(*words, **environment)
    try:
        _, err = server.communicate(timeout=START_S)
    finally:
        server.kill()
    assert server.returncode == 1, err
    lines = [line for line in err.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


@pytest.mark.parametrize(
    ("words", "environment", "message"),
    [
        (EMBEDDING, {"MIRADOURO_BUNDLE": "x"}, "MIRADOURO_BUNDLE is set, and there is no such setting: did"),
        (EMBEDDING, {"MIRADOURO_TOKEN_FILE": "/nowhere"}, "MIRADOURO_TOKEN_FILE='/nowhere': No such file"),
        (EMBEDDING, {"MIRADOURO_TLS_CERT_FILE": "/nowhere"}, "MIRADOURO_TLS_CERT_FILE is set and MIRADOURO_TLS_KEY_FILE is not"),
        (INGEST, {"MIRADOURO_PIPELINE": "/nowhere"}, "MIRADOURO_PIPELINE=/nowhere"),
        (INGEST, {"MIRADOURO_KAFKA_CA_FILE": "/nowhere"}, "MIRADOURO_KAFKA_CA_FILE='/nowhere'"),
        (QUERY, {"MIRADOURO_OPENSEARCH_URL": "cluster:9200"}, "MIRADOURO_OPENSEARCH_URL='cluster:9200'"),
        (QUERY, {"MIRADOURO_OPENSEARCH_CA_FILE": "/nowhere"}, "MIRADOURO_OPENSEARCH_CA_FILE='/nowhere'"),
        (QUERY, {"MIRADOURO_OPENSEARCH_USERNAME": "ana"}, "MIRADOURO_OPENSEARCH_PASSWORD_FILE is not set"),
        (QUERY, {"MIRADOURO_HTTP_LISTEN": "0.0.0.0:0"}, "MIRADOURO_HTTP_LISTEN='0.0.0.0:0' reaches beyond this machine"),
        ((*QUERY, "--http", "0.0.0.0:0"), {}, "--http='0.0.0.0:0' reaches beyond this machine"),
        (("serve", "query", "--http", "off", "--listen", "0.0.0.0:0"), {}, "MIRADOURO_TLS_KEY_FILE, MIRADOURO_TOKEN_FILE"),
        *(
            (("serve", name, "--listen", "127.0.0.1:0"), {}, "name a file of tokens in MIRADOURO_TOKEN_FILE, or say --no-token")
            for name in ("embedding", "ingest", "query")
        ),
        (("up", "--listen", "127.0.0.1:0", "--data", "/proc/nowhere"), {}, "MIRADOURO_DATA_DIR"),
    ],
)  # fmt: skip
def test_a_wrong_setting_ends_the_start_by_name(words: tuple[str, ...], environment: dict[str, str], message: str) -> None:
    assert message in refused(*words, **environment)


@pytest.mark.parametrize("setting", ["MIRADOURO_METRICS_LISTEN", "MIRADOURO_HEALTH_LISTEN", "MIRADOURO_HTTP_LISTEN"])
def test_a_port_in_use_ends_the_start(taken: str, setting: str) -> None:
    assert refused(*QUERY, **{setting: taken}).startswith(f"error: {setting}='{taken}': can")


def test_the_services_own_port_in_use_is_named(taken: str) -> None:
    assert f"--listen='{taken}': can't listen there" in refused("serve", "query", "--no-token", "--listen", taken)


def test_an_unusable_token_file_is_named_without_content(tmp_path: Path) -> None:
    pair = self_signed(tmp_path, "it")
    write_secret(tmp_path / "token", "short-and-secret")
    line = refused(
        *QUERY,
        MIRADOURO_TLS_CERT_FILE=str(pair.certificate),
        MIRADOURO_TLS_KEY_FILE=str(pair.key),
        MIRADOURO_TOKEN_FILE=str(tmp_path / "token"),
    )
    assert "MIRADOURO_TOKEN_FILE" in line
    assert "secret" not in line


def test_a_foreign_model_is_never_loaded(models_dir: Path, tmp_path: Path) -> None:
    model = model_path(models_dir, find("efficientnet-lite0"), "int8")
    for path in (model, record_path(model)):
        shutil.copy(path, tmp_path)
    with (tmp_path / model.name).open("r+b") as file:
        file.seek(1_000)
        file.write(b"x")
    line = refused(*EMBEDDING, MIRADOURO_MODELS_DIR=str(tmp_path), MIRADOURO_BUNDLES="efficientnet-lite0")
    assert "the model file is corrupt (sha256 " in line
    assert "miradouro models pull efficientnet-lite0" in line


def test_a_service_without_peers_is_up_but_unready() -> None:
    server = start(
        *QUERY,
        MIRADOURO_OPENSEARCH_URL=f"http://{UNREACHABLE}",
        MIRADOURO_EMBEDDING_ADDRESS=UNREACHABLE,
        MIRADOURO_HEALTH_LISTEN="127.0.0.1:0",
    )
    assert server.stdout is not None
    assert server.stderr is not None
    try:
        probes = server.stdout.readline().split()[-1]
        assert server.stdout.readline().startswith("query service listening on ")
        lines = [json.loads(server.stderr.readline()) for _ in range(2)]
        assert {(one["peer"], one["setting"], one["ready"]) for one in lines} == {
            ("opensearch", "MIRADOURO_INDEX", False),
            ("embedding", "MIRADOURO_EMBEDDING_ADDRESS", True),
        }
        with grpc.insecure_channel(probes) as channel:
            status = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=START_S).status
        assert status == health_pb2.HealthCheckResponse.NOT_SERVING
        server.send_signal(signal.SIGTERM)
        _, err = server.communicate(timeout=START_S)
    finally:
        server.kill()
    assert server.returncode == 0, err
    assert "Traceback" not in err
