"""Access to `miradouro up` on loopback: callers with a token, over gRPC and HTTP, and no other user of the machine."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from miradouro.query.page_files import static_files
from miradouro.runtime.grpc_client import open_channel
from miradouro.runtime.security import client_security
from miradouro.v1 import embedding_service_pb2, ingest_service_pb2, search_service_pb2
from miradouro.v1.ingest_service_pb2 import IndexFolderRequest
from miradouro.v1.ingest_service_pb2_grpc import IngestServiceStub

from tests.certificates import settings, token, write_secret
from tests.e2e.command import COMMAND, START_S, run, start
from tests.e2e.conftest import make_photos
from tests.e2e.test_cli_private import as_nobody, needs_root
from tests.http_client import Answer, request

pytestmark = pytest.mark.usefixtures("models_dir")
DESCRIPTORS = (
    embedding_service_pb2.DESCRIPTOR,
    ingest_service_pb2.DESCRIPTOR,
    search_service_pb2.DESCRIPTOR,
    health_pb2.DESCRIPTOR,
    reflection_pb2.DESCRIPTOR,
)


@dataclass(frozen=True)
class Running:
    """A `miradouro up`: its addresses, its link and its data folder."""

    grpc: str
    page: str
    link: str
    data: Path

    def get(self, path: str, **headers: str) -> Answer:
        return request(self.page, "GET", path, headers=headers)


@contextmanager
def running(data: Path, *words: object, **environment: str) -> Iterator[Running]:
    """Runs `miradouro up` while the block runs."""
    server = start("up", "--data", data, "--listen", "127.0.0.1:0", *words, **environment)
    assert server.stdout is not None
    try:
        printed = {}
        for name in ("ready", "page") if "--no-token" in words else ("ready", "page", "open"):
            line = server.stdout.readline()
            assert line.startswith(f"{name}: "), server.communicate(timeout=START_S)
            printed[name] = line.partition(": ")[2].strip()
        yield Running(printed["ready"], printed["page"], printed.get("open", ""), data)
    finally:
        server.send_signal(signal.SIGTERM)
        out, err = server.communicate(timeout=START_S)
    assert server.returncode == 0, err
    if link := printed.get("open"):
        assert link.partition("key=")[2] not in out + err, "neither the key nor the token is logged"
    assert (data / "token").read_text().strip() not in out + err


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that tests ask, and change nothing in."""
    place = tmp_path_factory.mktemp("callers")
    more = write_secret(place / "more", token())
    with running(place / "data", MIRADOURO_TOKEN_FILE=str(more), MIRADOURO_PHOTO_ROOTS=str(place / "open")) as up:
        yield up


def test_without_a_token_every_rpc_is_refused(shared: Running) -> None:
    refused = set()
    with grpc.insecure_channel(shared.grpc) as channel:
        for service in (service for file in DESCRIPTORS for service in file.services_by_name.values()):
            for method in service.methods:
                call = channel.stream_stream(
                    f"/{service.full_name}/{method.name}",
                    request_serializer=GetMessageClass(method.input_type).SerializeToString,
                )
                for shown in ((), (("authorization", f"Bearer {token()}"),)):
                    with pytest.raises(grpc.RpcError) as caught:
                        next(call(iter([GetMessageClass(method.input_type)()]), timeout=START_S, metadata=shown))
                    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED, method.full_name
                refused.add(method.name)
    assert {"Embed", "PutEvents", "IndexFolder", "Search", "Check", "Watch", "ServerReflectionInfo"} <= refused


def test_without_a_token_every_route_is_refused(shared: Running) -> None:
    bearer = {"Authorization": f"Bearer {(shared.data / 'token').read_text().strip()}"}
    described = json.loads(shared.get("/openapi.json", **bearer).body)["paths"]
    routes = {(method.upper(), path) for path, methods in described.items() for method in methods}
    routes |= {("GET", path) for path in static_files()} | {("GET", "/sign-in"), ("GET", "/nowhere"), ("DELETE", "/")}
    assert len(routes) > 12
    for method, template in sorted(routes):
        path = re.sub(r"\{\w+\}", "a", template)
        for headers in ({}, {"Authorization": f"Bearer {token()}"}):
            assert request(shared.page, method, path, headers=headers).code == 401, (method, path)
        assert request(shared.page, method, path, headers=bearer).code != 401, (method, path)


@needs_root
def test_another_user_of_the_machine_gets_no_answer(shared: Running) -> None:
    """Another user had a private folder indexed, and read a photo of mode 0600."""
    assert "Permission denied" in as_nobody("cat", shared.data / "token").stderr
    address = urlsplit(shared.page)
    for path in ("v1/stats", "photos/photos/secret.jpg", "v1/failures"):
        asked = rf"GET /{path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n"
        speak = f"exec 3<>/dev/tcp/{address.hostname}/{address.port}; printf '{asked}' >&3; head -n 1 <&3"
        assert as_nobody("bash", "-c", speak).stdout.startswith("HTTP/1.1 401 ")


def test_the_printed_link_opens_the_page_once(shared: Running) -> None:
    first = request(shared.page, "GET", "/" + shared.link.removeprefix(shared.page))
    assert (first.code, "Set-Cookie" in first.headers) == (200, True)
    cookie = first.headers["Set-Cookie"].partition(";")[0]
    assert shared.get("/v1/stats", Cookie=cookie).code == 200
    assert request(shared.page, "GET", "/" + shared.link.removeprefix(shared.page)).code == 401
    with grpc.insecure_channel(shared.grpc) as channel:
        call = channel.unary_unary("/miradouro.v1.SearchService/Stats", request_serializer=bytes)
        for shown in (("cookie", cookie), ("authorization", f"Bearer {cookie.partition('=')[2]}")):
            with pytest.raises(grpc.RpcError, match="UNAUTHENTICATED"):
                call(b"", timeout=START_S, metadata=[shown])


def index(up: Running, folder: Path, tokens: Path) -> str:
    """The error of IndexFolder with a token of this file, empty when there is none."""
    with open_channel(up.grpc, security=client_security(settings(tokens=tokens))) as channel:
        try:
            list(IngestServiceStub(channel).IndexFolder(IndexFolderRequest(path=str(folder), collection=folder.name)))
        except grpc.RpcError as exc:
            return str(exc.details())
    return ""


def test_other_tokens_index_only_below_the_listed_folders(shared: Running) -> None:
    place = shared.data.parent
    more, private, listed = place / "more", place / "private", place / "open"
    make_photos(private, ["secret.jpg"])
    make_photos(listed / "trip", ["a.jpg"])
    (listed / "way-out").symlink_to(private)
    for folder in (private, place, listed / "way-out", listed / ".." / "private", place / "nowhere"):
        assert "does not lie below a folder of MIRADOURO_PHOTO_ROOTS" in index(shared, folder, more)
    assert index(shared, listed / "trip", more) == ""
    assert index(shared, private, shared.data / "token") == ""


def test_no_token_still_keeps_private_folders_closed(tmp_path: Path) -> None:
    private = make_photos(tmp_path / "private", ["a.jpg"])
    with running(tmp_path / "data", "--no-token") as up:
        assert up.get("/v1/stats").code == 200
        assert up.get("/").code == 200
        other_token = write_secret(tmp_path / "another", token())
        assert "does not lie below" in index(up, private, other_token)
        assert run("index", private, "--data", up.data, "--json").json["indexed"] == 1, "the owner's own command"


@pytest.mark.parametrize("words", [("up",), ("serve", "embedding"), ("serve", "ingest"), ("serve", "query")])
def test_no_token_is_for_loopback_alone(tmp_path: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.certificates import self_signed

    pair = self_signed(tmp_path, "it")
    monkeypatch.setenv("MIRADOURO_TLS_CERT_FILE", str(pair.certificate))
    monkeypatch.setenv("MIRADOURO_TLS_KEY_FILE", str(pair.key))
    monkeypatch.setenv("MIRADOURO_TOKEN_FILE", str(write_secret(tmp_path / "token", token())))
    monkeypatch.setenv("MIRADOURO_HTTP_LISTEN", "off")
    data = ("--data", tmp_path / "data") if words == ("up",) else ()
    done = run(*words, "--no-token", "--listen", "0.0.0.0:0", *data)
    assert (done.code, done.out) == (1, "")
    assert "where --no-token would let everybody in" in done.err
    text = subprocess.run([COMMAND, *words, "--help"], capture_output=True, text=True, check=True).stdout
    assert "Let every user and program of this machine in" in " ".join(text.split())


def test_a_wrong_token_file_ends_the_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(0o700)
    write_secret(data / "token", token()).chmod(0o644)
    done = run("up", "--data", data, "--listen", "127.0.0.1:0", "--http", "off")
    assert done.code == 1
    assert "mode 0644" in done.err
    assert os.listdir(data) == ["token"]
