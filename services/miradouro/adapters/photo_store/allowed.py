"""The allowlist of photo URIs. One function parses both the URIs and the allowed prefixes.

A URI is parsed once: the checked parts are the parts used to connect. A URI that two parsers could read differently is refused.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import unquote, urlsplit

from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument
from miradouro.core.redaction import public_uri

WEB = {"https": 443, "http": 80}  # scheme → default port
OBJECTS = ("s3", "gs")
SCHEMES = (*WEB, *OBJECTS)
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")  # a name, an IPv4 or an IPv6 address
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_SHOWN_CHARS = 300  # of a URI in an error
_PRINTABLE = re.compile(r"[!-~]+")

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class PhotoLocation:
    """A parsed URI. For s3 and gs `host` is the bucket and `port` is 0. `path` begins with a slash and is not decoded.

    `str()` omits the `query`: signed URLs carry their secret in it.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str = ""

    def __str__(self) -> str:
        port = "" if self.port in {0, WEB.get(self.scheme)} else f":{self.port}"
        return f"{self.scheme}://{self.authority}{port}{self.path}"

    @property
    def authority(self) -> str:
        """The host in URI notation: IPv6 addresses in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host


def location_of(uri: str) -> PhotoLocation:
    """Parses an https, http, s3 or gs URI. Raises InvalidArgument with the reason."""
    try:
        return _parsed(uri)
    except ValueError as exc:
        raise InvalidArgument("uri", f"{named(uri)} is not taken: {exc}; allowed: https://host/path, s3://bucket/key") from exc


def named(uri: str) -> str:
    """A URI for an error message: quoted, bounded and without secrets."""
    return shown(public_uri(uri), most=_SHOWN_CHARS)


def sources(text: str) -> tuple[PhotoLocation, ...]:
    """Parses the allowed prefixes, separated by white space or commas. Raises ValueError that names the wrong one."""
    found = []
    for word in re.split(r"[\s,]+", text.strip()) if text.strip() else []:
        scheme, _, rest = word.partition("://")
        if scheme not in SCHEMES or not rest:
            raise ValueError(f"{named(word)} is no URI prefix as https://photos.example/ or s3://bucket/folder/")
        wild = rest.startswith("*.")
        try:
            location = location_of(f"{scheme}://{rest[2:] if wild else rest}")
        except InvalidArgument as exc:
            raise ValueError(exc.message) from exc
        if location.query:
            raise ValueError(f"{named(word)} has a query; leave it out")
        found.append(PhotoLocation(scheme, ("*." if wild else "") + location.host, location.port, location.path))
    return tuple(found)


def is_allowed(location: PhotoLocation, among: Iterable[PhotoLocation]) -> bool:
    """Whether the location is below one of the prefixes. A prefix without a slash at its end matches whole path segments only."""
    return any(
        (location.scheme, location.port) == (prefix.scheme, prefix.port)
        and (location.host.endswith(prefix.host[1:]) if prefix.host.startswith("*.") else location.host == prefix.host)
        and (location.path == prefix.path or location.path.startswith(prefix.path.rstrip("/") + "/"))
        for prefix in among
    )


def private_networks(text: str) -> dict[str, tuple[Network, ...]]:
    """Parses HOST=CIDR words: host → the private networks in which its addresses are allowed. Raises ValueError."""
    found: dict[str, tuple[Network, ...]] = {}
    for word in re.split(r"[\s,]+", text.strip()) if text.strip() else []:
        host, equals, network = word.partition("=")
        host = host.lower().strip("[]")
        if not equals or not _HOST.fullmatch(host):
            raise ValueError(f"{shown(word)} is no HOST=CIDR as photos.internal=10.20.0.0/16")
        found[host] = (*found.get(host, ()), ip_network(network))
    return found


def allowed_prefixes(locations: Sequence[PhotoLocation]) -> str:
    """The allowed prefixes as text for an error message."""
    return ", ".join(map(str, locations)) or "none; set MIRADOURO_PHOTO_SOURCES"


def _parsed(uri: str) -> PhotoLocation:
    scheme, _, rest = uri.partition("://")
    scheme = scheme.lower()
    if scheme in WEB:
        location = _web_location(uri)
    elif scheme in OBJECTS:
        bucket, _, key = rest.partition("/")
        if not _BUCKET.fullmatch(bucket) or "\0" in key:
            raise ValueError("it names no bucket")
        location = PhotoLocation(scheme, bucket, 0, "/" + key)
    else:
        raise ValueError("its scheme is another one")
    if _climbs(location.path):
        raise ValueError("its path holds . or .. or a backslash")
    return location


def _web_location(uri: str) -> PhotoLocation:
    if not _PRINTABLE.fullmatch(uri):
        raise ValueError("it holds white space or letters that are not ASCII; write them percent-encoded")
    try:
        parts = urlsplit(uri)
        port = WEB[parts.scheme] if parts.port is None else parts.port
    except ValueError:  # dropped: its text may contain the beginning of a password with a slash
        raise ValueError("its host or port can't be read") from None
    if "@" in parts.netloc:
        raise ValueError("it names a user")
    host = (parts.hostname or "").lower()
    if not _HOST.fullmatch(host):
        raise ValueError("it names no host")
    return PhotoLocation(parts.scheme, host, port, parts.path or "/", parts.query)


def _climbs(path: str) -> bool:
    """Whether a server could resolve the path to another folder: dot segments, backslashes, in any percent-encoding."""
    before = None
    while path != before:  # some servers decode %252e%252e twice
        before, path = path, unquote(path, errors="replace")
    return "\\" in path or not {".", ".."}.isdisjoint(path.split("/"))
