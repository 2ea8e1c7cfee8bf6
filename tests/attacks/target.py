"""What the attackers attack: the addresses of a server on loopback, and what they may know of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A running `miradouro up`. Addresses are host:port; it watches the folder `watched`; `token` is the attacker's."""

    grpc: str
    page: str
    metrics: str
    health: str
    watched: str
    token: str


def split(address: str) -> tuple[str, int]:
    """Host and port of host:port."""
    host, port = address.rsplit(":", 1)
    return host, int(port)
