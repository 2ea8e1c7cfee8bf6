"""Photos from the web: which hosts are spoken to, where redirects may lead, and what happens to answers that are no photo.

Names that are not of this machine are looked up by the test's own resolver and connected to the server on loopback: no packet
leaves it.
"""

import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from miradouro.adapters.photo_store import PhotoStores, PhotoStoreSettings
from miradouro.adapters.photo_store.addresses import connected, resolved
from miradouro.adapters.photo_store.allowed import private_networks, sources
from miradouro.adapters.photo_store.http_store import HttpLimits, HttpStore
from miradouro.core.errors import BadPhoto, ConfigurationError, InvalidArgument, OriginalUnavailable, Unavailable
from miradouro.runtime.settings import load

from tests.cloud_storage import KEYS
from tests.web_photos import LOOPBACK, WebPhotos, body, in_turn, redirect, web_photos

PUBLIC = "93.184.216.34"
PHOTO = b"\xff\xd8\xff a photo"


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebPhotos]:
    with web_photos(tmp_path / "web") as server:
        yield server


@dataclass
class Internet:
    """Names and the addresses that a look-up gives, in turn, the last for good; public addresses lead to the server."""

    names: dict[str, list[Sequence[str]]]
    looked_up: list[str] = field(default_factory=list)
    dialled: list[str] = field(default_factory=list)

    def resolve(self, host: str, port: int) -> Sequence[str]:
        self.looked_up.append(host)
        answers = self.names.get(host)
        if answers is None:
            return resolved(host, port)
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def connect(self, address: str, port: int, timeout_s: float) -> socket.socket:
        self.dialled.append(address)
        assert address == PUBLIC, "only the public address is connected to"
        return connected("127.0.0.1", port, timeout_s)


def fetcher(web: WebPhotos, internet: Internet, *allowed: str, limits: HttpLimits | None = None) -> HttpStore:
    """A store over the hosts that the internet names, and the allowed prefixes."""
    prefixes = " ".join([*(web.url("/", host=name) for name in internet.names), *allowed])
    return HttpStore(
        sources(prefixes),
        ca_file=web.ca_file,
        limits=limits or HttpLimits(),
        resolve=internet.resolve,
        connect=internet.connect,
    )


def local(web: WebPhotos, **settings: object) -> PhotoStores:
    """A store that may read the server by its name."""
    return PhotoStores(
        PhotoStoreSettings(
            **{"photo_sources": web.url("/"), "photo_private_hosts": LOOPBACK, "photo_ca_file": web.ca_file, **settings}  # type: ignore[arg-type]  # checked by pydantic
        )
    )


def read(store: HttpStore | PhotoStores, url: str) -> bytes:
    return store.read(url, limit_bytes=1_000)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "localhost",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "[ff02::1]",
        "169.254.169.254",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
    ],
)
def test_an_allowed_host_with_an_address_that_is_not_public_is_refused_unconnected(web, host):
    internet = Internet({})
    with pytest.raises(InvalidArgument, match="not public"):
        read(fetcher(web, internet, web.url("/", host=host)), web.url("/a.jpg", host=host))

    assert (internet.dialled, web.connections) == ([], [])


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "::ffff:10.1.2.3", "fe80::1%lo", "64:ff9b::a01:203"])
def test_a_name_with_one_private_address_among_others_is_refused(web, address):
    internet = Internet({"photos.example": [[PUBLIC, address]]})
    with pytest.raises(InvalidArgument, match="not public"):
        read(fetcher(web, internet), web.url("/a.jpg", host="photos.example"))

    assert (internet.dialled, web.connections) == ([], [])


def test_the_connection_goes_to_the_address_that_was_checked_though_the_name_changes_meanwhile(web):
    web.put("/a.jpg", body(PHOTO))
    internet = Internet({"photos.example": [[PUBLIC], ["127.0.0.1"]]})
    store = fetcher(web, internet)

    assert read(store, web.url("/a.jpg", host="photos.example")) == PHOTO
    assert (internet.looked_up, internet.dialled) == (["photos.example"], [PUBLIC])
    with pytest.raises(InvalidArgument, match="not public"):
        read(store, web.url("/a.jpg", host="photos.example"))
    assert len(web.connections) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "2130706433", "localhost", "inside.example", "elsewhere.example"])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_redirect_passes_the_same_checks(web, host, scheme):
    internet = Internet({"photos.example": [[PUBLIC]], "inside.example": [["127.0.0.1"]]})
    secret = web.url("/secret", host=host).replace("https", scheme)
    web.put("/secret", body(b"secret"))
    web.put("/a.jpg", redirect(secret))
    named = [] if host == "elsewhere.example" else [web.url("/", host=host), web.url("/", host=host).replace("https", "http")]
    with pytest.raises(InvalidArgument, match="allowed"):
        read(fetcher(web, internet, *named), web.url("/a.jpg", host="photos.example"))

    assert (internet.dialled, web.requests) == ([PUBLIC], ["/a.jpg"])


def test_a_redirect_to_another_scheme_or_to_nonsense_is_refused(web):
    store = local(web)
    for to in (
        "file:///etc/passwd",
        "s3://photos/a.jpg",
        "//[",
        web.url("/b.jpg", host="x@localhost"),
        "/../../b.jpg\\",
    ):
        with pytest.raises(InvalidArgument, match="allowed"):
            read(store, web.put("/a.jpg", redirect(to)))


def test_redirects_are_followed_as_often_as_is_allowed(web):
    for i in range(7):
        web.put(f"/{i}", redirect(str(i + 1) if i % 2 else web.url(f"/{i + 1}"), status=[301, 302, 303, 307, 308][i % 5]))
    web.put("/7", body(PHOTO))
    store = local(web)

    assert read(store, web.url("/2")) == PHOTO
    with pytest.raises(BadPhoto, match="more than 5 times") as caught:
        read(store, web.url("/1"))
    assert caught.value.reason == "unreadable"
    assert read(local(web, fetch_redirects=7), web.url("/0")) == PHOTO


def test_a_private_network_is_permitted_to_the_host_it_is_named_for_alone(web):
    web.put("/a.jpg", body(PHOTO))
    internet = Internet({"photos.example": [["127.0.0.1"]], "other.example": [["127.0.0.1"]]})
    store = HttpStore(
        sources(" ".join(web.url("/", host=name) for name in internet.names)),
        private=private_networks("photos.example=127.0.0.0/8"),
        ca_file=web.ca_file,
        resolve=internet.resolve,
    )

    assert read(store, web.url("/a.jpg", host="photos.example")) == PHOTO
    with pytest.raises(InvalidArgument, match="not public"):
        read(store, web.url("/a.jpg", host="other.example"))


def test_a_prefix_may_stand_for_all_hosts_below_a_name(web):
    web.put("/a.jpg", body(PHOTO))
    store = HttpStore(
        sources(f"https://*.example:{web.port}/"),
        private=private_networks("photos.example=127.0.0.0/8"),
        ca_file=web.ca_file,
        resolve=lambda _host, _port: ["127.0.0.1"],
    )

    assert read(store, web.url("/a.jpg", host="photos.example")) == PHOTO
    for host in ("example", "notexample", "photos.example.org"):
        with pytest.raises(InvalidArgument, match="not below"):
            read(store, web.url("/a.jpg", host=host))


def test_plain_http_is_read_where_it_is_named(tmp_path):
    with web_photos(tmp_path, tls=False) as plain:
        url = plain.put("/a.jpg", body(PHOTO))
        assert read(local(plain), url) == PHOTO
        with pytest.raises(InvalidArgument, match="not below"):
            read(local(plain, photo_sources=plain.url("/").replace("http", "https")), url)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, "vanished"), (410, "vanished"), *((status, "unreadable") for status in (204, 206, 304, 400, 401, 403))],
)
def test_a_status_that_stays_is_told_as_what_it_is(web, status, reason):
    with pytest.raises(BadPhoto, match=str(status)) as caught:
        read(local(web), web.put("/a.jpg", body(b"", status=status)))
    assert caught.value.reason == reason


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_a_status_that_passes_is_tried_again_by_whoever_asks(web, status):
    url = web.put("/a.jpg", in_turn(body(b"<h1>later</h1>", status=status), body(PHOTO)))
    store = local(web)

    with pytest.raises(OriginalUnavailable, match=str(status)):
        read(store, url)
    assert read(store, url) == PHOTO


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:  # until the client hangs up
        handler.wfile.write(b"x" * 65_536)


def endless_chunks(handler: BaseHTTPRequestHandler) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:  # until the client hangs up
        handler.wfile.write(b"4\r\nxxxx\r\n")


@pytest.mark.parametrize("answer", [endless, endless_chunks, body(bytes(1_001)), body(b"", Content_Length="99999999999")])
def test_more_bytes_than_allowed_are_not_read(web, answer):
    with pytest.raises(BadPhoto) as caught:
        read(local(web), web.put("/a.jpg", answer))
    assert caught.value.reason == "too_many_bytes"


def trickle(head: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer that goes on for ever, one byte at a time."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        while True:  # until the client hangs up
            handler.wfile.write(b"x")
            time.sleep(0.02)

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        trickle(b""),
        trickle(b"HTTP/1.1 200 OK\r\nX-Name: "),
        trickle(b"HTTP/1.1 200 OK\r\n\r\n"),
        lambda handler: handler.server.stopping.wait(),
    ],
    ids=["status", "head", "body", "nothing"],
)
def test_whatever_trickles_or_hangs_ends_with_the_time_of_one_photo(web, answer):
    with pytest.raises(OriginalUnavailable, match=r"in time \(5 s to connect, 0.5 s in all\)"):
        read(local(web, fetch_timeout_s=0.5), web.put("/a.jpg", answer))


def test_a_host_that_accepts_and_says_nothing_ends_with_the_time_to_connect(web):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://localhost:{mute.getsockname()[1]}/a.jpg"
        with pytest.raises(OriginalUnavailable, match="in time"):
            read(local(web, photo_sources=url, fetch_connect_s=0.2), url)


def test_a_look_up_that_hangs_ends_with_the_time_to_connect(web):
    internet = Internet({"photos.example": [[PUBLIC]]})
    store = fetcher(web, internet, limits=HttpLimits(connect_s=0.2))
    store._resolve = lambda _host, _port: web.stopping.wait() and []

    with pytest.raises(OriginalUnavailable, match="in time"):
        read(store, web.url("/a.jpg", host="photos.example"))


@pytest.mark.parametrize(
    "answer",
    [
        body(PHOTO, Content_Length="999"),
        lambda handler: handler.wfile.write(b"220 smtp.example ready\r\n"),
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n"),
        lambda handler: handler.close_connection,
    ],
    ids=["cut off", "another protocol", "endless head", "hung up"],
)
def test_an_answer_that_is_broken_may_be_whole_the_next_time(web, answer):
    with pytest.raises(OriginalUnavailable):
        read(local(web), web.put("/a.jpg", answer))


def test_an_encoding_that_was_not_asked_for_is_refused(web):
    with pytest.raises(BadPhoto, match="encoding"):
        read(local(web), web.put("/a.jpg", body(b"\x1f\x8b", Content_Encoding="gzip")))


def test_a_port_where_nobody_listens_and_a_name_that_nobody_knows_may_answer_later(web):
    with socket.create_server(("127.0.0.1", 0)) as free:
        gone = f"https://localhost:{free.getsockname()[1]}/a.jpg"
    with pytest.raises(OriginalUnavailable, match="refused"):
        read(local(web, photo_sources=gone), gone)
    with pytest.raises(OriginalUnavailable, match="no address"):
        read(fetcher(web, Internet({"photos.example": [[]]})), web.url("/a.jpg", host="photos.example"))


def test_a_certificate_of_an_unknown_authority_names_the_setting(web):
    with pytest.raises(OriginalUnavailable, match="MIRADOURO_PHOTO_CA_FILE"):
        read(local(web, photo_ca_file=""), web.put("/a.jpg", body(PHOTO)))
    assert web.requests == []


def test_a_certificate_of_another_host_is_refused(web):
    internet = Internet({"other.example": [[PUBLIC]]})
    with pytest.raises(OriginalUnavailable, match="certificate is not good"):
        read(fetcher(web, internet), web.url("/a.jpg", host="other.example"))
    assert web.requests == []


def test_the_secret_of_a_signed_url_is_sent_but_never_told(web):
    url = web.put("/a.jpg?signature=geheim", body(PHOTO))
    assert read(local(web), url) == PHOTO
    for answer in (
        body(b"", status=404),
        body(b"", status=500),
        body(bytes(2_000)),
        redirect("https://elsewhere.example/?b=geheim"),
    ):
        web.put("/a.jpg?signature=geheim", answer)
        with pytest.raises((BadPhoto, OriginalUnavailable, InvalidArgument)) as caught:
            read(local(web), url)
        assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("PHOTO_SOURCES", "photos.example", "prefix"),
        ("PHOTO_SOURCES", "https://photos.example/ ftp://photos.example/", "ftp"),
        ("PHOTO_SOURCES", "https://me@photos.example/", "user"),
        ("PHOTO_SOURCES", "https://photos.example/a?b", "query"),
        ("PHOTO_SOURCES", "s3://", "prefix"),
        ("PHOTO_SOURCES", "file:///photos", "prefix"),
        ("PHOTO_PRIVATE_HOSTS", "10.0.0.0/8", "HOST=CIDR"),
        ("PHOTO_PRIVATE_HOSTS", "photos.example=10.0.0.1/8", "host bits"),
        ("INLINE_STORE", "inline", "absolute path"),
        ("INLINE_STORE", "https://photos.example/", "absolute path"),
    ],
)
def test_a_wrong_setting_is_named_at_the_start(monkeypatch, setting, value, says):
    monkeypatch.setenv(f"MIRADOURO_{setting}", value)
    with pytest.raises(ConfigurationError, match=f"MIRADOURO_{setting}.*{says}"):
        load(PhotoStoreSettings)


def test_a_file_of_authorities_that_holds_none_is_named_at_the_start(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "none.pem"):
        with pytest.raises(ConfigurationError, match="MIRADOURO_PHOTO_CA_FILE"):
            PhotoStores(PhotoStoreSettings(photo_sources="https://photos.example/", photo_ca_file=str(tmp_path / name))).open()


@pytest.mark.parametrize(("scheme", "package"), [("s3", "s3fs"), ("gs", "gcsfs")])
def test_a_missing_package_is_named_with_its_extra_at_the_start(monkeypatch, scheme, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=rf"install miradouro\[{scheme}\]"):
        PhotoStores(PhotoStoreSettings(photo_sources=f"{scheme}://photos/")).open()
    with pytest.raises(ConfigurationError, match=package):
        PhotoStores(PhotoStoreSettings(inline_store=f"{scheme}://photos/inline")).open()


def test_an_s3_that_is_down_is_the_photos_trouble_when_reading_and_everybodys_when_keeping(monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store = PhotoStores(PhotoStoreSettings(s3_endpoint=f"http://127.0.0.1:{port}", inline_store="s3://photos/inline"))

    with pytest.raises(OriginalUnavailable, match="now"):
        read(store, "s3://photos/inline/a.jpg")
    with pytest.raises(Unavailable, match="MIRADOURO_INLINE_STORE") as caught:
        store.keep(b"x", sha256="ab" * 32)
    assert not isinstance(caught.value, OriginalUnavailable)


def test_keys_that_are_missing_stop_everything_until_they_are_there(monkeypatch, tmp_path):
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(Unavailable, match="keys") as caught:
        read(PhotoStores(PhotoStoreSettings(photo_sources="s3://photos/", s3_endpoint="http://127.0.0.1:9")), "s3://photos/a.jpg")
    assert not isinstance(caught.value, OriginalUnavailable)


def test_a_folder_of_inline_photos_that_can_not_be_written_may_be_later(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match="MIRADOURO_INLINE_STORE") as caught:
        PhotoStores(PhotoStoreSettings(inline_store=str(tmp_path / "file"))).keep(b"x", sha256="ab" * 32)
    assert not isinstance(caught.value, OriginalUnavailable)
