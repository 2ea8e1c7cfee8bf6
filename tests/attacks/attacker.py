"""One hostile client: its address, its token, its time, and what the server answered it."""

import http.client
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import grpc

from tests.attacks.relay import relay
from tests.attacks.target import Target, split

PATIENCE_S = 10.0
_NO_ANSWER = (OSError, http.client.HTTPException)


class Attacker:
    """A client that calls from `source`, 127.0.0.2 or higher, for `seconds` from the moment that it has prepared.

    `answers` counts what came back: HTTP status codes, names of gRPC codes, and "closed" where the server hung up.
    """

    def __init__(self, target: Target, source: str, *, seconds: float) -> None:
        self.target, self.source = target, source
        self._seconds, self._until = seconds, 0.0
        self.answers: Counter[str] = Counter()

    def goes_on(self) -> bool:
        """Whether there is time for another try; the first call begins the time."""
        self._until = self._until or time.monotonic() + self._seconds
        return time.monotonic() < self._until

    def wait(self, seconds: float) -> None:
        """Holds what it holds, at most until the end."""
        time.sleep(max(0.0, min(seconds, self._until - time.monotonic())))

    def http(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> None:
        """One request on a connection of its own, with the token."""
        shown = {"Authorization": f"Bearer {self.target.token}", **(headers or {})}
        connection = http.client.HTTPConnection(*split(self.target.page), timeout=PATIENCE_S, source_address=(self.source, 0))
        try:
            connection.request(method, path, body, shown)
            response = connection.getresponse()
            response.read()
            self.answers[str(response.status)] += 1
        except _NO_ANSWER:
            self.answers["closed"] += 1
        finally:
            connection.close()

    def json(self, path: str, body: bytes) -> None:
        """One POST of JSON."""
        self.http("POST", path, body, {"Content-Type": "application/json"})

    @contextmanager
    def channel(self) -> Iterator[grpc.Channel]:
        """A channel from its address."""
        options = [("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0)]
        with relay(self.target.grpc, self.source) as address, grpc.insecure_channel(address, options=options) as channel:
            yield channel

    def call(
        self,
        channel: grpc.Channel,
        method: str,
        message: bytes,
        *,
        token: bool = True,
        compression: grpc.Compression | None = None,
    ) -> None:
        """One call of /miradouro.v1.… or any other full method name, its message as bytes."""
        metadata = [("authorization", f"Bearer {self.target.token}")] if token else []
        try:
            channel.unary_unary(method)(message, timeout=PATIENCE_S, metadata=metadata, compression=compression)
            self.answers["OK"] += 1
        except grpc.RpcError as error:
            self.answers[error.code().name] += 1

    def connect(self, address: str) -> socket.socket | None:
        """A bare connection; None where it is refused."""
        try:
            return socket.create_connection(split(address), timeout=PATIENCE_S, source_address=(self.source, 0))
        except OSError:
            self.answers["closed"] += 1
            return None
