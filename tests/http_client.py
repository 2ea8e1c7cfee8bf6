"""One request over HTTP, as a test needs it: nothing is followed, nothing is raised for a status."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Answer:
    """What came back."""

    code: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; it must say that it is."""
        assert self.headers["Content-Type"] == "application/json"
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, str]:
        """The error in the body."""
        error: dict[str, str] = self.json["error"]
        return error


def request(url: str, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Answer:
    """The answer of the server of `url` on a connection of its own, without TLS; `path` goes out as it is."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()
