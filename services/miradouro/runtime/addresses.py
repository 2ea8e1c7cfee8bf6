"""Where a process may listen: on this machine only, until callers can be authenticated."""

import ipaddress
from dataclasses import dataclass

from miradouro.core.errors import ConfigurationError


@dataclass(frozen=True)
class Address:
    """A loopback address; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def loopback(listen: str, *, setting: str) -> Address:
    """`listen` ("host:port", IPv6 hosts in brackets) as an address of this machine.

    Raises ConfigurationError naming `setting` when it is malformed or reaches beyond loopback.
    """
    host, separator, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise ConfigurationError(f"{setting}={listen!r} is not host:port; for example 127.0.0.1:50051")
    if host == "localhost":
        host = "127.0.0.1"
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise ConfigurationError(
            f"{setting}={listen!r} reaches beyond this machine, and callers are not authenticated yet; "
            "listen on 127.0.0.1, [::1] or localhost"
        )
    return Address(host, int(port))
