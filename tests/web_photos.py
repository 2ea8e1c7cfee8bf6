"""A real web server with TLS on loopback, which gives the answers of a test and records its connections."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme

Answer = Callable[[BaseHTTPRequestHandler], None]
LOOPBACK = "localhost=127.0.0.0/8 localhost=::1/128"  # MIRADOURO_PHOTO_PRIVATE_HOSTS for this server


@dataclass
class WebPhotos:
    """`answers` by path; a path without one is 404. `connections` counts those that were accepted, TLS or not."""

    port: int
    ca_file: str
    scheme: str
    stopping: threading.Event
    answers: dict[str, Answer] = field(default_factory=dict)
    connections: list[Any] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def url(self, path: str, *, host: str = "localhost") -> str:
        """The URL of a path."""
        return f"{self.scheme}://{host}:{self.port}{path}"

    def put(self, path: str, answer: Answer) -> str:
        """Sets the answer of a path; gives its URL."""
        self.answers[path] = answer
        return self.url(path)


def body(data: bytes, *, status: int = 200, **headers: str) -> Answer:
    """An answer with a body; header names are written with _ for -."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Length": str(len(data)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def redirect(to: str, *, status: int = 302) -> Answer:
    """Sends the client elsewhere."""
    return body(b"", status=status, Location=to)


def in_turn(*answers: Answer) -> Answer:
    """One answer after the other, the last one for good."""
    left = list(answers)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return answer


@contextmanager
def web_photos(folder: Path, *, tls: bool = True) -> Iterator[WebPhotos]:
    """The server, with a certificate for localhost and 127.0.0.1 from an authority of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", "photos.example").configure_cert(context)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.requests.append(self.path)
            web.answers.get(self.path, body(b"no such page", status=404))(self)

        def log_message(self, *_: object) -> None:  # a test looks at `requests`
            pass

    class Server(ThreadingHTTPServer):
        stopping: threading.Event
        daemon_threads = True

        def finish_request(self, request: Any, client_address: Any) -> None:
            web.connections.append(client_address)
            if tls:
                request = context.wrap_socket(request, server_side=True)
            try:
                super().finish_request(request, client_address)
            finally:
                request.close()

        def handle_error(self, request: Any, client_address: Any) -> None:  # clients that hang up are what is tested
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        web = WebPhotos(server.server_port, str(folder / "ca.pem"), "https" if tls else "http", threading.Event())
        server.stopping = web.stopping  # for answers that wait
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield web
        finally:
            web.stopping.set()
            server.shutdown()
            thread.join()
