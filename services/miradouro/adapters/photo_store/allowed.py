"""Which places photos may be read from: URIs and the list of allowed prefixes, both taken apart by one function.

What is compared with the list is what is connected to afterwards: nothing takes the URI apart a second time. A part that
two programs could read differently is refused instead of being guessed at.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import unquote, urlsplit

from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument
from miradouro.core.redaction import public_uri

WEB = {"https": 443, "http": 80}  # scheme → port where none is named
OBJECTS = ("s3", "gs")
SCHEMES = (*WEB, *OBJECTS)
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")  # a name, an IPv4 or an IPv6 address
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_SHOWN_CHARS = 300  # of a URI in an error
_PRINTABLE = re.compile(r"[!-~]+")

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Place:
    """Where a URI leads. `host` is a bucket for s3 and gs, whose `port` is 0; `path` begins with a slash, as it was written.

    The text of a place has no `query`: signed URLs carry their secret in it.
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
        """The host as it stands in a URI."""
        return f"[{self.host}]" if ":" in self.host else self.host


def place_of(uri: str) -> Place:
    """Where an https, http, s3 or gs URI leads. Raises InvalidArgument telling what is wrong with it."""
    try:
        return _taken_apart(uri)
    except ValueError as exc:
        raise InvalidArgument("uri", f"{named(uri)} is not taken: {exc}; allowed: https://host/path, s3://bucket/key") from exc


def named(uri: str) -> str:
    """A URI in an error: quoted, bounded and without its secrets."""
    return shown(public_uri(uri), most=_SHOWN_CHARS)


def sources(text: str) -> tuple[Place, ...]:
    """The allowed prefixes, separated by white space or commas. Raises ValueError naming the wrong one."""
    found = []
    for word in re.split(r"[\s,]+", text.strip()) if text.strip() else []:
        scheme, _, rest = word.partition("://")
        if scheme not in SCHEMES or not rest:
            raise ValueError(f"{named(word)} is no URI prefix as https://photos.example/ or s3://bucket/folder/")
        wild = rest.startswith("*.")
        try:
            place = place_of(f"{scheme}://{rest[2:] if wild else rest}")
        except InvalidArgument as exc:
            raise ValueError(exc.message) from exc
        if place.query:
            raise ValueError(f"{named(word)} has a query; leave it out")
        found.append(Place(scheme, ("*." if wild else "") + place.host, place.port, place.path))
    return tuple(found)


def is_allowed(place: Place, among: Iterable[Place]) -> bool:
    """Whether the place lies below one of the prefixes; a prefix ends at a slash even where it was written without."""
    return any(
        (place.scheme, place.port) == (prefix.scheme, prefix.port)
        and (place.host.endswith(prefix.host[1:]) if prefix.host.startswith("*.") else place.host == prefix.host)
        and (place.path == prefix.path or place.path.startswith(prefix.path.rstrip("/") + "/"))
        for prefix in among
    )


def private_networks(text: str) -> dict[str, tuple[Network, ...]]:
    """Host → the networks in which it may lie although they are not public, of HOST=CIDR words. Raises ValueError."""
    found: dict[str, tuple[Network, ...]] = {}
    for word in re.split(r"[\s,]+", text.strip()) if text.strip() else []:
        host, equals, network = word.partition("=")
        host = host.lower().strip("[]")
        if not equals or not _HOST.fullmatch(host):
            raise ValueError(f"{shown(word)} is no HOST=CIDR as photos.internal=10.20.0.0/16")
        found[host] = (*found.get(host, ()), ip_network(network))
    return found


def told(places: Sequence[Place]) -> str:
    """The allowed prefixes for an error message."""
    return ", ".join(map(str, places)) or "none; set MIRADOURO_PHOTO_SOURCES"


def _taken_apart(uri: str) -> Place:
    scheme, _, rest = uri.partition("://")
    scheme = scheme.lower()
    if scheme in WEB:
        place = _web_place(uri)
    elif scheme in OBJECTS:
        bucket, _, key = rest.partition("/")
        if not _BUCKET.fullmatch(bucket) or "\0" in key:
            raise ValueError("it names no bucket")
        place = Place(scheme, bucket, 0, "/" + key)
    else:
        raise ValueError("its scheme is another one")
    if _climbs(place.path):
        raise ValueError("its path holds . or .. or a backslash")
    return place


def _web_place(uri: str) -> Place:
    if not _PRINTABLE.fullmatch(uri):
        raise ValueError("it holds white space or letters that are not ASCII; write them percent-encoded")
    try:
        parts = urlsplit(uri)
        port = WEB[parts.scheme] if parts.port is None else parts.port
    except ValueError:  # its text holds what it could not read: of a password with a slash, the beginning
        raise ValueError("its host or port can't be read") from None
    if "@" in parts.netloc:
        raise ValueError("it names a user")
    host = (parts.hostname or "").lower()
    if not _HOST.fullmatch(host):
        raise ValueError("it names no host")
    return Place(parts.scheme, host, port, parts.path or "/", parts.query)


def _climbs(path: str) -> bool:
    """Whether some server may take the path for one outside of the folder where it seems to lie."""
    before = None
    while path != before:  # %252e%252e is decoded twice by some
        before, path = path, unquote(path, errors="replace")
    return "\\" in path or not {".", ".."}.isdisjoint(path.split("/"))
