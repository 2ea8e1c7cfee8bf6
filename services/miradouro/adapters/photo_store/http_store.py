"""Original photos on HTTPS servers, and on HTTP servers where an allowed prefix names http.

Uses httpcore because every connection passes through its network backend. The backend here resolves the host, checks its
addresses and connects to a checked address. Each redirect is a new request with the same checks. fsspec's HTTP file system does
not fit: it follows redirects and connects without checks, reads endless bodies into memory, and reports a refused connection as
a missing file. A connection serves one photo, at the cost of one TLS handshake per photo.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpcore

from miradouro.adapters.photo_store.addresses import Connect, Resolve, connected, open_checked, resolved
from miradouro.adapters.photo_store.allowed import WEB, Network, PhotoLocation, allowed_prefixes, is_allowed, location_of, named
from miradouro.adapters.photo_store.fetch_limits import FETCH_LIMITS, FetchLimits
from miradouro.core.errors import BadPhoto, ConfigurationError, InvalidArgument, MiradouroError, OriginalUnavailable

_REDIRECTS = {301, 302, 303, 307, 308}
_GONE = {404, 410}
_PASSING = {408, 421, 425, 429}  # and every 5xx
_PASSING_ERRORS = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError)


class HttpStore:
    """PhotoStore over https and http for URIs below `sources`.

    `private` maps hosts to the private networks in which their addresses are allowed. `resolve` and `connect` default to the
    system's.
    """

    def __init__(
        self,
        sources: Sequence[PhotoLocation],
        *,
        private: Mapping[str, Sequence[Network]] | None = None,
        ca_file: str = "",
        limits: FetchLimits = FETCH_LIMITS,
        resolve: Resolve = resolved,
        connect: Connect = connected,
    ) -> None:
        self._sources, self._private, self._limits = [one for one in sources if one.scheme in WEB], private or {}, limits
        self._resolve, self._connect = resolve, connect
        self._trust = _trust(ca_file)

    def read(self, uri: str, *, limit_bytes: int) -> bytes:
        """The bytes at a URL; see `core.ports.PhotoStore`."""
        ends = time.monotonic() + self._limits.total_s
        url = uri
        for _ in range(self._limits.redirects + 1):
            location = self._allowed(url, uri)
            try:
                answer = self._get(location, limit_bytes, ends)
            except MiradouroError:
                raise
            except _PASSING_ERRORS as exc:
                raise OriginalUnavailable(f"{location} can't be read now: {_reason(exc, location, self._limits)}") from exc
            if isinstance(answer, bytes):
                return answer
            try:
                url = urljoin(_written(location), answer.location)
            except ValueError as exc:
                prefixes = allowed_prefixes(self._sources)
                raise InvalidArgument("uri", f"{location} is redirected to no URI; allowed: {prefixes}") from exc
        raise BadPhoto("unreadable", f"{named(uri)} was redirected more than {self._limits.redirects} times")

    def keep(self, data: bytes, *, sha256: str) -> str:  # noqa: ARG002 # this store is read-only
        """Returns "": this store is read-only."""
        return ""

    def _allowed(self, url: str, asked: str) -> PhotoLocation:
        location = location_of(url)
        if not is_allowed(location, self._sources):
            redirected = "" if url == asked else f" to which {named(asked)} was redirected"
            raise InvalidArgument(
                "uri", f"{named(url)}{redirected} is not below an allowed prefix; allowed: {allowed_prefixes(self._sources)}"
            )
        return location

    def _get(self, location: PhotoLocation, limit_bytes: int, ends: float) -> "bytes | _Redirect":
        gate = _Gate(self._open, ends, self._limits.connect_s)
        with (
            httpcore.ConnectionPool(ssl_context=self._trust, network_backend=gate, retries=0) as pool,
            pool.stream("GET", _url(location), headers=_headers(location)) as response,
        ):
            headers = {name.lower(): value for name, value in response.headers}
            if response.status in _REDIRECTS and b"location" in headers:
                return _Redirect(headers[b"location"].decode("latin-1"))
            _check_status(location, response.status)
            length = headers.get(b"content-length", b"0")
            if length.isdigit() and int(length) > limit_bytes:
                raise _too_many(location, limit_bytes)
            if headers.get(b"content-encoding", b"identity").lower() != b"identity":
                raise BadPhoto("unreadable", f"{location} answers in an encoding that was not asked for")
            data = bytearray()
            for part in response.iter_stream():
                data += part
                if len(data) > limit_bytes:
                    raise _too_many(location, limit_bytes)
            return bytes(data)

    def _open(self, host: str, port: int, within_s: float) -> socket.socket:
        return open_checked(
            host,
            port,
            permitted=self._private.get(host, ()),
            within_s=min(within_s, self._limits.connect_s),
            resolve=self._resolve,
            connect=self._connect,
        )


@dataclass(frozen=True)
class _Redirect:
    location: str


class _Gate(httpcore.NetworkBackend):
    """Opens the connections of one photo and enforces its deadline."""

    def __init__(self, open_socket: Callable[[str, int, float], socket.socket], ends: float, connect_s: float) -> None:
        self._open, self._ends, self._connect_s = open_socket, ends, connect_s

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 # the photo's deadline applies
        local_address: str | None = None,  # noqa: ARG002 # `open_socket` decides
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 # `open_socket` decides
    ) -> httpcore.NetworkStream:
        return _Stream(self._open(host, port, _left(self._ends)), self._ends, self._connect_s)


class _Stream(httpcore.NetworkStream):
    """A connection whose every step is limited to the photo's remaining time: a server cannot extend it by trickling bytes."""

    def __init__(self, connection: socket.socket, ends: float, connect_s: float) -> None:
        self._connection, self._ends, self._connect_s = connection, ends, connect_s

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 # the photo's deadline applies
        self._connection.settimeout(_left(self._ends))
        return self._connection.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 # the photo's deadline applies
        self._connection.settimeout(_left(self._ends))
        self._connection.sendall(buffer)

    def close(self) -> None:
        self._connection.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 # the photo's deadline applies
    ) -> httpcore.NetworkStream:
        self._connection.settimeout(min(_left(self._ends), self._connect_s))  # Python applies it to the whole handshake
        try:
            secured = ssl_context.wrap_socket(self._connection, server_hostname=server_hostname)
        except BaseException:
            self.close()
            raise
        return _Stream(secured, self._ends, self._connect_s)

    def get_extra_info(self, info: str) -> Any:  # noqa: ARG002 # httpcore reads ssl_object to detect HTTP/2
        return None


def _trust(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as exc:  # includes ssl.SSLError
            raise ConfigurationError(f"MIRADOURO_PHOTO_CA_FILE={ca_file!r} can't be read as PEM: {exc}") from exc
    return context


def _url(location: PhotoLocation) -> httpcore.URL:
    return httpcore.URL(scheme=location.scheme, host=location.host, port=location.port, target=_target(location))


def _headers(location: PhotoLocation) -> Mapping[bytes | str, bytes | str]:
    port = "" if location.port == WEB[location.scheme] else f":{location.port}"
    return {
        "Host": location.authority + port,
        "User-Agent": "miradouro",
        "Accept": "image/*, */*;q=0.1",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }


def _target(location: PhotoLocation) -> str:
    return location.path + (f"?{location.query}" if location.query else "")


def _written(location: PhotoLocation) -> str:
    return f"{location.scheme}://{location.authority}:{location.port}{_target(location)}"


def _left(ends: float) -> float:
    left_s = ends - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the time for one photo is up")
    return left_s


def _check_status(location: PhotoLocation, status: int) -> None:
    """Raises the error of a status other than 200."""
    if status in _GONE:
        raise BadPhoto("vanished", f"{location} is not there (any more): HTTP {status}")
    if status in _PASSING or status >= 500:
        raise OriginalUnavailable(f"{location} can't be read now: HTTP {status}")
    if status != 200:
        raise BadPhoto("unreadable", f"{location} can't be read: HTTP {status}")


def _too_many(location: PhotoLocation, limit_bytes: int) -> BadPhoto:
    return BadPhoto("too_many_bytes", f"{location} has more than {limit_bytes:,} bytes; scale the photo down")


def _reason(exc: Exception, location: PhotoLocation, limits: FetchLimits) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {exc.verify_message}; MIRADOURO_PHOTO_CA_FILE adds an authority"
    if isinstance(exc, TimeoutError):
        return f"{location.host} did not answer in time ({limits.connect_s:g} s to connect, {limits.total_s:g} s in all)"
    return str(exc) or type(exc).__name__
