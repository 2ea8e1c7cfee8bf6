import hashlib
import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from miradouro.bundles.download import ATTEMPTS, download
from miradouro.bundles.package_index import Location
from miradouro.bundles.progress import LogProgress
from miradouro.core.errors import BadBundle, Unavailable

CONTENT = np.random.default_rng(5).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Serves CONTENT and remembers what it was asked. `breaks` are byte counts after which answers end too early."""

    def __init__(self, *, breaks: list[int], statuses: list[int], knows_ranges: bool, content: bytes) -> None:
        self.breaks, self.statuses, self.knows_ranges, self.content = breaks, statuses, knows_ranges, content
        self.ranges: list[str | None] = []
        self.logins: list[str | None] = []
        self.url = ""

    @property
    def location(self) -> Location:
        return Location(url=self.url)


@contextmanager
def serving(
    *, breaks: tuple[int, ...] = (), statuses: tuple[int, ...] = (), knows_ranges: bool = True, content: bytes = CONTENT
) -> Iterator[Server]:
    state = Server(breaks=list(breaks), statuses=list(statuses), knows_ranges=knows_ranges, content=content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            state.ranges.append(asked)
            state.logins.append(self.headers["Authorization"])
            if state.statuses:
                self.send_error(state.statuses.pop(0))
                return
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and state.knows_ranges else 0
            if start and start >= len(state.content):
                self.send_error(416)
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.breaks.pop(0)] if state.breaks else body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}/weights.whl"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


def get(location: Location, target: Path) -> None:
    download(location, target, sha256=SHA256, size_bytes=len(CONTENT), progress=LogProgress(), longest_wait_s=0.01)


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "sources" / "weights.whl"


def part_of(target: Path) -> Path:
    return target.with_name("weights.whl.part")


def test_a_download_is_complete_and_leaves_no_parts(target: Path) -> None:
    with serving() as server:
        get(server.location, target)
    assert target.read_bytes() == CONTENT
    assert os.listdir(target.parent) == ["weights.whl"]
    assert server.ranges == [None]


def test_a_broken_download_resumes_at_its_end(target: Path) -> None:
    with serving(breaks=(100_000,)) as server:
        get(server.location, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-"]


def test_a_later_process_resumes_a_partial_download(target: Path) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT[:123_456])
    with serving() as server:
        get(server.location, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges == ["bytes=123456-"]


def test_received_bytes_survive_the_loss_of_the_server(target: Path) -> None:
    with serving(breaks=(100_000,)) as server:
        server.breaks += [0] * ATTEMPTS
        with pytest.raises(Unavailable, match="the same command continues it"):
            get(server.location, target)
    assert part_of(target).read_bytes() == CONTENT[:100_000]
    assert not target.exists()


def test_a_server_without_ranges_makes_it_begin_anew(target: Path) -> None:
    with serving(breaks=(100_000,), knows_ranges=False) as server:
        get(server.location, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-"]


def test_a_complete_part_is_not_downloaded_again(target: Path) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT)
    with serving() as server:
        get(server.location, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges == []


def test_a_part_longer_than_the_file_is_discarded(target: Path) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(bytes(len(CONTENT) + 1))
    with serving() as server:
        get(server.location, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None]


def test_a_refused_range_restarts_the_download(target: Path) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT[:1000])
    with serving(statuses=(416,)) as server:
        get(server.location, target)
    assert target.read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-", None]


def test_a_part_with_a_wrong_checksum_is_discarded(target: Path) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(bytes(1000))
    with serving() as server:
        with pytest.raises(BadBundle, match=SHA256):
            get(server.location, target)
        assert os.listdir(target.parent) == []
        get(server.location, target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("content", [bytes(len(CONTENT)), CONTENT + b"more"], ids=["other bytes", "more bytes"])
def test_bytes_with_another_sum_are_never_taken(target: Path, content: bytes) -> None:
    with serving(content=content) as server, pytest.raises(BadBundle, match=r"weights\.whl: the server sent a file with sha256"):
        get(server.location, target)
    assert os.listdir(target.parent) == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_overloaded_server_is_asked_again(target: Path, status: int) -> None:
    with serving(statuses=(status,)) as server:
        get(server.location, target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_is_raised_at_once(target: Path, status: int) -> None:
    with serving(statuses=(status,)) as server, pytest.raises(Unavailable, match=f"the server answered {status}"):
        get(server.location, target)
    assert len(server.ranges) == 1


def test_user_and_password_go_to_the_server(target: Path) -> None:
    with serving() as server:
        get(Location(url=server.url, credentials=("ana", "s:ecret")), target)
    assert server.logins == ["Basic YW5hOnM6ZWNyZXQ="]
    assert "ecret" not in repr(Location(url=server.url, credentials=("ana", "s:ecret")))


def test_a_proxy_in_pips_settings_is_used(target: Path) -> None:
    with serving() as proxy:
        get(Location(url="http://packages.invalid/weights.whl", proxy=proxy.url.removesuffix("/weights.whl")), target)
    assert target.read_bytes() == CONTENT


def test_a_folder_of_wheels_serves_as_well(target: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.whl").write_bytes(CONTENT)
    get(Location(url=(tmp_path / "weights.whl").as_uri()), target)
    assert target.read_bytes() == CONTENT


def test_certificates_are_always_checked(tmp_path: Path) -> None:
    assert Location(url="https://packages.invalid/").tls().verify_mode is ssl.CERT_REQUIRED
    with pytest.raises(FileNotFoundError):
        Location(url="https://packages.invalid/", ca_file=str(tmp_path / "none.pem")).tls()
