"""Photos from the web and from S3: what becomes of answers that are no photo, that come late, or never."""

import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from miradouro.adapters.photo_store import FileStore, PhotoStores, PhotoStoreSettings
from miradouro.adapters.photo_store.fetch_limits import FetchLimits
from miradouro.core.errors import BadPhoto, InvalidArgument, OriginalUnavailable, Unavailable

from tests.cloud_storage import KEYS
from tests.web_photos import WebPhotos, body, in_turn, redirect, web_photos
from tests.web_readers import PHOTO, PUBLIC, Internet, fetcher, local, read


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebPhotos]:
    with web_photos(tmp_path / "web") as server:
        yield server


@pytest.mark.parametrize(
    ("status", "reason"),
    [(404, "vanished"), (410, "vanished"), *((status, "unreadable") for status in (204, 206, 304, 400, 401, 403))],
)
def test_a_permanent_status_is_reported_by_kind(web, status, reason):
    with pytest.raises(BadPhoto, match=str(status)) as caught:
        read(local(web), web.put("/a.jpg", body(b"", status=status)))
    assert caught.value.reason == reason


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_a_temporary_status_may_be_retried(web, status):
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
def test_slow_or_hanging_answers_end_at_the_deadline(web, answer):
    with pytest.raises(OriginalUnavailable, match=r"in time \(5 s to connect, 0.5 s in all\)"):
        read(local(web, limits=FetchLimits(total_s=0.5)), web.put("/a.jpg", answer))


def test_a_silent_host_ends_at_the_connect_timeout(web):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://localhost:{mute.getsockname()[1]}/a.jpg"
        with pytest.raises(OriginalUnavailable, match="in time"):
            read(local(web, photo_sources=url, limits=FetchLimits(connect_s=0.2)), url)


def test_a_hanging_lookup_ends_at_the_connect_timeout(web):
    internet = Internet({"photos.example": [[PUBLIC]]})
    store = fetcher(web, internet, limits=FetchLimits(connect_s=0.2))
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
def test_a_broken_answer_is_retriable(web, answer):
    with pytest.raises(OriginalUnavailable):
        read(local(web), web.put("/a.jpg", answer))


def test_an_unrequested_encoding_is_refused(web):
    with pytest.raises(BadPhoto, match="encoding"):
        read(local(web), web.put("/a.jpg", body(b"\x1f\x8b", Content_Encoding="gzip")))


def test_a_closed_port_or_unknown_name_is_retriable(web):
    with socket.create_server(("127.0.0.1", 0)) as free:
        gone = f"https://localhost:{free.getsockname()[1]}/a.jpg"
    with pytest.raises(OriginalUnavailable, match="refused"):
        read(local(web, photo_sources=gone), gone)
    with pytest.raises(OriginalUnavailable, match="no address"):
        read(fetcher(web, Internet({"photos.example": [[]]})), web.url("/a.jpg", host="photos.example"))


def test_an_unknown_certificate_authority_error_names_the_setting(web):
    with pytest.raises(OriginalUnavailable, match="MIRADOURO_PHOTO_CA_FILE"):
        read(local(web, photo_ca_file=""), web.put("/a.jpg", body(PHOTO)))
    assert web.requests == []


def test_a_certificate_of_another_host_is_refused(web):
    internet = Internet({"other.example": [[PUBLIC]]})
    with pytest.raises(OriginalUnavailable, match="certificate is not good"):
        read(fetcher(web, internet), web.url("/a.jpg", host="other.example"))
    assert web.requests == []


def test_a_signed_urls_secret_is_sent_but_hidden(web):
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


def test_s3_reads_fail_per_photo_writes_for_all(monkeypatch):
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


def test_missing_keys_stop_everything(monkeypatch, tmp_path):
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(Unavailable, match="keys") as caught:
        read(PhotoStores(PhotoStoreSettings(photo_sources="s3://photos/", s3_endpoint="http://127.0.0.1:9")), "s3://photos/a.jpg")
    assert not isinstance(caught.value, OriginalUnavailable)


def test_an_unwritable_inline_folder_is_retriable(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match="MIRADOURO_INLINE_STORE") as caught:
        PhotoStores(PhotoStoreSettings(inline_store=str(tmp_path / "file"))).keep(b"x", sha256="ab" * 32)
    assert not isinstance(caught.value, OriginalUnavailable)


def test_an_unmounted_folder_is_not_the_photos_fault(tmp_path):
    store = FileStore([tmp_path / "mounted", tmp_path])
    (tmp_path / "mounted").mkdir()
    uri = (tmp_path / "mounted/a.jpg").as_uri()
    with pytest.raises(BadPhoto) as caught:
        store.read(uri, limit_bytes=1_000)
    assert caught.value.reason == "vanished"
    (tmp_path / "mounted").rmdir()
    with pytest.raises(Unavailable, match="mount it"):
        store.read(uri, limit_bytes=1_000)


def test_a_disk_that_does_not_answer_is_retriable():
    """The memory of a process is a file that can't be read from its beginning: EIO, as from a lost disk."""
    with pytest.raises(OriginalUnavailable, match="file:///proc/self/mem"):
        FileStore([Path("/proc/self")]).read("file:///proc/self/mem", limit_bytes=1_000)
