"""Downloads that another attempt, or another process, can resume."""

import errno
import http.client
import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import IO

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from miradouro.bundles.package_index import Location
from miradouro.bundles.progress import Advance, Progress
from miradouro.bundles.registry import sha256_of
from miradouro.core.errors import BadBundle, Unavailable

TIMEOUT_S = 60.0  # without a byte
ATTEMPTS = 6
_CHUNK_BYTES = 1 << 18
_AGAIN_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_RANGE_NOT_SATISFIABLE = 416


def download(
    location: Location, target: Path, *, sha256: str, size_bytes: int, progress: Progress, longest_wait_s: float = 20.0
) -> None:
    """Writes the file at `location` to `target`, complete and verified, or not at all.

    The bytes are written to `target` + `.part`, which is kept when the download fails and resumed later. The caller must hold a
    lock, so that no other process downloads to the same target. Transient failures are retried, with pauses of at most
    `longest_wait_s` seconds. An empty `sha256` is not checked. Raises Unavailable when the server or the disk does not answer,
    BadBundle when the bytes do not have the checksum `sha256`.
    """
    part = target.with_name(f"{target.name}.part")
    retrying = Retrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.5, max=longest_wait_s),  # full jitter
        retry=retry_if_exception(_may_pass),
        reraise=True,
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with progress.transfer(target.name, total_bytes=size_bytes, present_bytes=_size(part)) as advance:
            retrying(_continue, location, part, size_bytes, advance)
        found = sha256_of(part)
        if sha256 in {"", found}:
            part.replace(target)
            return
        part.unlink()
    except urllib.error.HTTPError as exc:
        raise Unavailable(f"{target.name}: the server answered {exc.code} {exc.reason}; try again later") from exc
    except (OSError, http.client.HTTPException) as exc:
        if isinstance(exc, OSError) and exc.errno in NO_ROOM:
            room = f"make room for {size_bytes / 1e6:,.0f} MB"
            raise Unavailable(f"{target.parent}: the disk is full; {room}, then the same command continues the download") from exc
        raise Unavailable(f"{target.name}: the download broke off: {exc}; the same command continues it") from exc
    raise BadBundle(f"{target.name}: the server sent a file with sha256 {found}, expected {sha256}; it was thrown away")


def content_length(location: Location) -> int:
    """Bytes of the file at `location`; 0 when the server does not tell. Raises OSError."""
    with _opener(location).open(_request(location, 0), timeout=TIMEOUT_S) as response:
        return int(response.headers.get("Content-Length") or 0)


def _continue(location: Location, part: Path, size_bytes: int, advance: Advance) -> None:
    """One attempt. Raises OSError or HTTPException when it ends too early; the bytes received so far are kept."""
    present = _size(part)
    if present == size_bytes:
        return
    with part.open("ab") as file:
        if present > size_bytes:
            present = _begin_anew(file, present, advance)
        try:
            response = _opener(location).open(_request(location, present), timeout=TIMEOUT_S)
        except urllib.error.HTTPError as exc:
            exc.close()
            if exc.code != _RANGE_NOT_SATISFIABLE:
                raise
            _begin_anew(file, present, advance)
            raise ConnectionError("the server refuses to continue; beginning anew") from exc
        with response:
            if present and not response.headers.get("Content-Range", "").startswith(f"bytes {present}-"):
                present = _begin_anew(file, present, advance)
            while present <= size_bytes and (chunk := response.read1(_CHUNK_BYTES)):
                file.write(chunk)
                present += len(chunk)
                advance(len(chunk))
    if present < size_bytes:
        raise ConnectionError(f"the server ended it after {present:,} of {size_bytes:,} bytes")


def _begin_anew(file: IO[bytes], present: int, advance: Advance) -> int:
    file.truncate(0)
    advance(-present)
    return 0


def _opener(location: Location) -> urllib.request.OpenerDirector:
    proxies = {"http": location.proxy, "https": location.proxy} if location.proxy else None  # None: from the environment
    return urllib.request.build_opener(urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=location.tls()))


def _request(location: Location, present: int) -> urllib.request.Request:
    if not location.url.startswith(("https:", "http:", "file:")):
        raise ValueError(f"{location.url}: only https, http and file addresses are read")
    # Identity: a range counts encoded bytes, so that a compressed answer could not be resumed.
    request = urllib.request.Request(location.url, headers={"User-Agent": "miradouro", "Accept-Encoding": "identity"})  # noqa: S310 - checked above
    if present:
        request.add_header("Range", f"bytes={present}-")
    if location.credentials:
        login = b64encode(":".join(location.credentials).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {login}")  # not sent to another host after a redirect
    return request


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, urllib.error.HTTPError):
        return error.code in _AGAIN_LATER
    if isinstance(error, urllib.error.URLError):
        return not isinstance(error.reason, ssl.SSLCertVerificationError)
    return isinstance(error, ConnectionError | TimeoutError | http.client.HTTPException)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
