"""The addresses on which a process may listen: loopback, and others only with TLS. `security` decides who may call."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from miradouro.core.errors import ConfigurationError

NO_TOKEN = "--no-token"  # noqa: S105 # the option that lets everybody on this machine in


@dataclass(frozen=True)
class Address:
    """An IP address and a port; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        return ipaddress.ip_address(self.host).is_loopback

    @property
    def here(self) -> "Address":
        """The address for clients on this machine: loopback instead of the wildcard address."""
        if not ipaddress.ip_address(self.host).is_unspecified:
            return self
        return Address("::1" if ":" in self.host else "127.0.0.1", self.port)


def open_address(listen: str, *, setting: str) -> Address:
    """Parses `listen` ("host:port", IPv6 hosts in brackets) for a public endpoint: metrics or health.

    Raises ConfigurationError that names `setting` when it is malformed.
    """
    host, separator, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise ConfigurationError(f"{setting}={listen!r} is not host:port; for example 127.0.0.1:50051")
    if host == "localhost":
        host = "127.0.0.1"
    try:
        ipaddress.ip_address(host)
    except ValueError as exc:
        raise ConfigurationError(
            f"{setting}={listen!r}: {host!r} is no IP address; listen on one of this machine's, or on 0.0.0.0 for all of them"
        ) from exc
    return Address(host, int(port))


def guarded_address(listen: str, *, setting: str, missing: Sequence[str]) -> Address:
    """Parses `listen` for a protected server; `missing` names the settings for TLS and the token that are not set.

    Raises ConfigurationError that names `setting` when it is malformed, or not loopback while a setting is missing.
    """
    address = open_address(listen, setting=setting)
    if missing and not address.is_loopback:
        raise ConfigurationError(
            f"{setting}={listen!r} reaches beyond this machine, where calls need TLS and a token: "
            f"set {', '.join(missing)}, or listen on 127.0.0.1, [::1] or localhost"
        )
    return address


def is_loopback_target(target: str) -> bool:
    """Whether a client's target (host:port) is on this machine for certain: a loopback address, or localhost."""
    host = target.rpartition(":")[0].removeprefix("[").removesuffix("]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def peer_host(peer: str) -> str:
    """The IP address in gRPC's name of a peer, such as ipv4:127.0.0.1:50051 or ipv6:%5B::1%5D:50051."""
    return unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")
