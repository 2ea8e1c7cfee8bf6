"""What the HTTP door keeps out: other hosts, other origins, bodies that are too large or too slow, and too many at a time."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from miradouro.core.errors import ConfigurationError
from miradouro.runtime import http_server
from miradouro.runtime.http_guard import Guard, own_hosts
from miradouro.runtime.http_server import running_http
from miradouro.runtime.security import OPEN_TO_ALL
from miradouro.runtime.server_limits import ServerLimits
from starlette.responses import PlainTextResponse

from tests.http_fixture import Answer, Door, open_door
from tests.pictures import jpeg
from tests.processes import eventually
from tests.waiting import WAIT_S

MIB = 1024 * 1024
PHOTO = jpeg(64, 48, seed=1)
KEYWORD = {"keyword": {"words": ["cat"]}}
LIMITS = ServerLimits(max_message_bytes=MIB, handler_threads=2, max_concurrent_calls=2, max_pending_bytes=MIB)


@pytest.fixture
def impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """A door that waits only a moment for heads and bodies."""
    monkeypatch.setattr(http_server, "HEAD_WITHIN_S", 0.2)
    monkeypatch.setattr(http_server, "KEEP_ALIVE_S", 3_600)
    with open_door(tmp_path, limits=replace(LIMITS, http_receive_s=0.2)) as opened:
        yield opened


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with open_door(tmp_path_factory.mktemp("ingest"), limits=LIMITS) as opened:
        photos = tmp_path_factory.mktemp("photos")
        (photos / "a.jpg").write_bytes(PHOTO)
        opened.ingest.index_folder(photos)
        yield opened


def raw(door: Door, *parts: bytes) -> bytes:
    """What a server answers until it hangs up or resets, when it gets these bytes."""
    received = b""
    with (
        socket.create_connection((door.http.address.host, door.http.address.port), timeout=WAIT_S) as peer,
        suppress(ConnectionResetError, BrokenPipeError),
    ):
        for part in parts:
            peer.sendall(part)
        while data := peer.recv(65_536):
            received += data
    return received


def head(door: Door, *lines: str, method: str = "POST", path: str = "/v1/search/photo") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {door.http.address}", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    "path", ["/", "/v1/stats", "/openapi.json", "/nothing", "/photos/photos/a.jpg", "/thumbnails/photos/a.jpg"]
)
def test_every_answer_has_the_security_headers(door, path):
    headers = door.get(path, Origin="http://evil.example").headers
    policy = dict(one.split(" ", 1) for one in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("connect", "img", "script", "style")} == {"'self'"}
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert not any(name.lower().startswith("access-control-") for name in headers)
    assert "Server" not in headers


def test_requests_for_another_host_are_refused(door):
    port = door.http.address.port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}"):
        assert door.get("/v1/stats", Host=host).code == 200, host
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1",
        f"localhost:{port + 1}",
        f"127.0.0.1.evil.example:{port}",
        "",
    ):
        answer = door.get("/v1/stats", Host=host)
        assert answer.code == 421, host
        assert str(port) in answer.error["message"]


def test_pages_of_another_origin_change_and_ask_nothing(door):
    port = door.http.address.port
    for origin in (f"http://127.0.0.1:{port}", f"http://localhost:{port}"):
        headers = {"Content-Type": "application/json", "Origin": origin}
        assert door.ask("POST", "/v1/search", b'{"keyword": {"words": ["cat"]}}', headers=headers).code == 200
    for origin in ("null", "http://evil.example", f"https://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}", ""):
        headers = {"Content-Type": "application/json", "Origin": origin}
        answer = door.ask("POST", "/v1/search", b'{"keyword": {"words": ["cat"]}}', headers=headers)
        assert answer.code == 403, origin
    preflight = door.ask("OPTIONS", "/v1/search", headers={"Origin": "http://evil.example"})
    assert preflight.code == 403


def test_a_body_declared_too_large_is_not_awaited(door):
    answer = raw(door, head(door, f"Content-Length: {MIB + 1}"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"field":"body"' in answer


def test_an_undeclared_body_that_grows_is_refused(door):
    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield bytes(64 * 1024)

    answer = door.ask("POST", "/v1/search/photo", endless())
    assert (answer.code, answer.error["field"]) == (413, "body")


def test_a_body_of_the_largest_size_is_read(door):
    answer = door.ask("POST", "/v1/search/photo", PHOTO + bytes(MIB - len(PHOTO)))
    assert (answer.code, len(answer.json["hits"])) == (200, 1)


def test_a_body_that_never_arrives_is_abandoned(impatient):
    answer = raw(impatient, head(impatient, "Content-Length: 1000"), b"some bytes")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"DEADLINE_EXCEEDED" in answer


@pytest.mark.parametrize("parts", [(), (b"GET / HT",), (b"GET / HTTP/1.1\r\nHost: x\r\n",)])
def test_a_head_that_never_arrives_is_abandoned(impatient, parts):
    assert raw(impatient, *parts) == b""


def test_a_second_head_that_never_arrives_is_abandoned(impatient):
    connection = impatient.connect()
    connection.request("GET", "/v1/stats")
    assert connection.getresponse().read()
    connection.sock.sendall(b"GET / HT")
    assert connection.sock.recv(65_536) == b"", "long before the time for idle connections"
    connection.close()


def test_a_connection_serves_further_requests_after_errors(door):
    connection = door.connect()
    for path, code in (("/v1/stats", 200), ("/nothing", 404), ("/v1/search/photo?wish=1", 400), ("/v1/stats", 200)):
        method, body = ("POST", PHOTO) if "search" in path else ("GET", None)
        connection.request(method, path, body)
        response = connection.getresponse()
        response.read()
        assert response.status == code
    connection.close()


def test_invalid_http_ends_only_its_connection(door):
    for nonsense in (b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", head(door, "X: " + "y" * 200_000, method="GET", path="/")):
        assert b" 200 " not in raw(door, nonsense)
    assert door.get("/v1/stats").code == 200


def active_questions(door: Door) -> float | None:
    return door.registry.get_sample_value("miradouro_http_active_calls", {"pool": "questions"})


def search_by_photo(door: Door) -> Answer:
    return door.ask("POST", "/v1/search/photo", PHOTO)


def test_excess_calls_must_retry_while_pictures_are_served(door):
    with ThreadPoolExecutor(2) as pool, door.ingest.networks.closed():
        waiting = [pool.submit(search_by_photo, door) for _ in range(2)]
        eventually(lambda: active_questions(door) == 2)
        answer = door.post("/v1/search", KEYWORD)
        assert (answer.code, answer.error["status"], answer.headers["Retry-After"]) == (503, "RESOURCE_EXHAUSTED", "1")
        assert door.get("/thumbnails/photos/a.jpg").code == 200
        assert door.get("/").code == 200
        door.ingest.networks.gate.set()
        assert [one.result().code for one in waiting] == [200, 200]
    assert door.post("/v1/search", KEYWORD).code == 200


def test_bodies_above_the_reserved_memory_must_retry(door):
    big = PHOTO + bytes(MIB // 2 + 1_000 - len(PHOTO))
    with ThreadPoolExecutor(1) as pool, door.ingest.networks.closed():
        waiting = pool.submit(door.ask, "POST", "/v1/search/photo", big)
        assert door.ingest.networks.arrived.wait(WAIT_S)
        answer = door.ask("POST", "/v1/search/photo", big)
        assert (answer.code, answer.error["status"]) == (503, "RESOURCE_EXHAUSTED")
        door.ingest.networks.gate.set()
        assert waiting.result().code == 200
    assert door.ask("POST", "/v1/search/photo", big).code == 200


def test_a_slow_call_is_answered_at_its_deadline(tmp_path):
    with open_door(tmp_path, limits=ServerLimits(http_answer_s=0.3)) as door:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "a.jpg").write_bytes(PHOTO)
        door.ingest.index_folder(tmp_path / "photos")
        with door.ingest.networks.closed():
            answer = search_by_photo(door)
        assert (answer.code, answer.error["status"]) == (504, "DEADLINE_EXCEEDED")


def test_a_draining_server_finishes_and_accepts_nothing_new(tmp_path):
    with open_door(tmp_path, limits=LIMITS) as door, ThreadPoolExecutor(1) as pool:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "a.jpg").write_bytes(PHOTO)
        door.ingest.index_folder(tmp_path / "photos")
        with door.ingest.networks.closed():
            waiting = pool.submit(search_by_photo, door)
            assert door.ingest.networks.arrived.wait(WAIT_S)
            door.http.drain(WAIT_S)
            eventually(lambda: not accepts(door))
            assert not waiting.done()
            door.ingest.networks.gate.set()
            assert waiting.result().code == 200


def accepts(door: Door) -> bool:
    try:
        return door.get("/v1/stats").code == 200
    except ConnectionError:
        return False


def test_an_endless_request_does_not_delay_the_end(tmp_path):
    with open_door(tmp_path, limits=replace(LIMITS, shutdown_grace_s=1.0, http_receive_s=600)) as door:
        peer = socket.create_connection((door.http.address.host, door.http.address.port))
        peer.sendall(head(door, "Content-Length: 1000"))
        ended = threading.Thread(target=door.http.stop, args=(1.0,))
        ended.start()
        ended.join(WAIT_S)
        assert not ended.is_alive()
        peer.close()


def test_a_taken_or_public_address_is_refused(door):
    def start(listen: str) -> None:
        with running_http(lambda _: None, listen=listen, setting="--http", grace_s=1, security=OPEN_TO_ALL):  # type: ignore[arg-type, return-value]  # never asked
            pass

    with pytest.raises(ConfigurationError, match=r"--http='127\.0\.0\.1:\d+': can't listen there: the port is in use"):
        start(str(door.http.address))
    for listen in ("0.0.0.0:0", "example.org:80", "7351", "[::]:0"):
        with pytest.raises(ConfigurationError, match="--http"):
            start(listen)


def test_ipv6_loopback_is_served_under_its_own_name():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with running_http(
        lambda address: Guard(PlainTextResponse("here"), hosts=own_hosts(address), security=OPEN_TO_ALL),
        listen="[::1]:0",
        setting="--http",
        grace_s=1,
        security=OPEN_TO_ALL,
    ) as server:
        with socket.create_connection(("::1", server.address.port)) as peer:
            peer.sendall(f"GET / HTTP/1.1\r\nHost: {server.address}\r\nConnection: close\r\n\r\n".encode())
            assert b"".join(iter(lambda: peer.recv(65_536), b"")).endswith(b"here")
        assert server.url == f"http://[::1]:{server.address.port}/"


@pytest.mark.parametrize(
    "body",
    [
        b'{"filters": [' + b"[]," * 20_000 + b"[]]}",
        b'{"filters": [' + b'{"tag":"a"},' * 20_000 + b"{}]}",
        b'{"a":' * 1_000 + b"1" + b"}" * 1_000,
        b"{" + b"[" * 1_000,
        b'{"limit": "' + b"x" * (MIB - 20) + b'"}',
        b'{"keyword": {"words": ["' + b"x" * (MIB - 60) + b'"]}}',
        b'{"filters": [' + b'{"not":{"filters":[' * 60 + b"]}}" * 60 + b"]}",
    ],
    ids=["lists", "filters", "objects", "unclosed", "a number", "a word", "deep filters"],
)
def test_expensive_json_is_refused_with_a_short_answer(door, body):
    answer = door.ask("POST", "/v1/search", body, headers={"Content-Type": "application/json"})
    assert (answer.code, answer.error["status"]) == (400, "INVALID_ARGUMENT")
    assert len(answer.body) < 2_000


@pytest.mark.parametrize(
    "token", ["[[[", "[" * 10_000, '["a","\\ud83d"]', '{"a":1,"b":2}', "null", "1e999", '["a"' + "," * 9_000]
)
def test_page_tokens_made_to_cost_are_refused(door, token):
    answer = door.get(f"/v1/failures?page_token={quote(token)}")
    assert (answer.code, answer.error["field"]) == (400, "page_token")
    assert len(answer.body) < 2_000


def test_requests_above_a_peers_limit_are_refused(tmp_path):
    limits = ServerLimits(max_calls_per_peer=2, handler_threads=4)
    with open_door(tmp_path, limits=limits) as door, ThreadPoolExecutor(2) as pool:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "a.jpg").write_bytes(PHOTO)
        door.ingest.index_folder(tmp_path / "photos")
        with door.ingest.networks.closed():
            waiting = [pool.submit(search_by_photo, door) for _ in range(2)]
            eventually(lambda: active_questions(door) == 2)
            refused = raw_from(door, "127.0.0.1")
            assert b" 503 " in refused[:20]
            assert b"calls of this peer address are in progress" in refused
            assert b" 200 " in raw_from(door, "127.0.0.2")[:20]
            door.ingest.networks.gate.set()
            assert [one.result().code for one in waiting] == [200, 200]


def raw_from(door: Door, peer: str) -> bytes:
    """The answer to a request over a connection from `peer`."""
    address = (door.http.address.host, door.http.address.port)
    with socket.create_connection(address, timeout=WAIT_S, source_address=(peer, 0)) as connection:
        connection.sendall(head(door, "Connection: close", method="GET", path="/v1/stats"))
        return b"".join(iter(lambda: connection.recv(65_536), b""))
