"""S3 and Google Cloud Storage as servers on loopback that speak their protocols over HTTP."""

import http.client
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock
from urllib.parse import quote

BUCKET = "photos"
KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "a password", "AWS_EC2_METADATA_DISABLED": "true"}
SIGNED = "AWS4-HMAC-SHA256 Credential=tester/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=unchecked"


@dataclass(frozen=True)
class Cloud:
    """A running server; `scheme` is s3 or gs."""

    scheme: str
    host: str
    port: int

    @property
    def endpoint(self) -> str:
        """Its URL."""
        return f"http://{self.host}:{self.port}"

    def put(self, key: str, data: bytes, *, bucket: str = BUCKET) -> str:
        """Stores an object; gives its URI."""
        if self.scheme == "s3":
            self._ask("PUT", f"/{bucket}/{quote(key)}", data)
        else:
            head, metadata = b"--part\r\nContent-Type: ", json.dumps({"name": key}).encode()
            parts = head + b"application/json\r\n\r\n" + metadata + b"\r\n"
            parts += head + b"application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n" + data + b"\r\n--part--"
            kind = "multipart/related; boundary=part"
            self._ask("POST", f"/upload/storage/v1/b/{bucket}/o?uploadType=multipart", parts, kind)
        return f"{self.scheme}://{bucket}/{key}"

    def remove(self, uri: str) -> None:
        """Removes an object."""
        bucket, _, key = uri.partition("://")[2].partition("/")
        path = f"/{bucket}/{quote(key)}" if self.scheme == "s3" else f"/storage/v1/b/{bucket}/o/{quote(key, safe='')}"
        self._ask("DELETE", path, None)

    def _ask(self, method: str, path: str, data: bytes | None, kind: str = "application/octet-stream") -> None:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            headers = {"Content-Type": kind} if data is not None else {}
            connection.request(method, path, data, headers | ({"Authorization": SIGNED} if self.scheme == "s3" else {}))
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status < 300, (method, path, answer.status, body)
        finally:
            connection.close()


@contextmanager
def s3_service() -> Iterator[Cloud]:
    """An S3 service with the buckets `photos` and `secrets`, and the keys for it in the environment."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        cloud = Cloud("s3", host, port)
        with mock.patch.dict(os.environ, KEYS):
            cloud._ask("POST", "/moto-api/reset", b"")
            for bucket in (BUCKET, "secrets"):
                cloud._ask("PUT", f"/{bucket}", b"")
            yield cloud
    finally:
        server.stop()


@contextmanager
def gs_service() -> Iterator[Cloud]:
    """A Google Cloud Storage service with the buckets `photos` and `secrets`; it asks for no keys."""
    from gcp_storage_emulator.server import create_server

    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    server.start()
    try:
        cloud = Cloud("gs", "127.0.0.1", server._api._httpd.server_port)
        with mock.patch.dict(os.environ, {"NO_GCE_CHECK": "true"}):  # no packet leaves loopback
            yield cloud
    finally:
        server.stop()
