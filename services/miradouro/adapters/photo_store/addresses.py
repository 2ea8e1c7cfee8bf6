"""Checks that network addresses are public, and connects to exactly the address that was checked."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from queue import Empty, SimpleQueue

from miradouro.adapters.photo_store.allowed import Network
from miradouro.core.errors import InvalidArgument

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
Connect = Callable[[str, int, float], socket.socket]

# Public IPv6 addresses are assigned from this block only; all others have a special use (RFC 4291, 2.4).
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64, _SIX_TO_FOUR = IPv6Network("64:ff9b::/96"), IPv6Network("2002::/16")  # RFC 6052, RFC 3056: IPv4 addresses inside
# Special uses that older versions of `ipaddress` report as global: 6to4 relays, Teredo, documentation (RFC 9637).
_SPECIAL = tuple(map(ip_network, ("192.88.99.0/24", "192.0.0.0/24", "2001::/23", "3fff::/20")))


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet. For an IPv6 address that embeds an IPv4 address the latter decides."""
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_UNICAST:
            return False
    special = any(address in network for network in _SPECIAL if network.version == address.version)
    return address.is_global and not (special or address.is_multicast or address.is_reserved or address.is_unspecified)


def resolved(host: str, port: int) -> list[str]:
    """The system resolver's addresses for a host name, or for an address in any notation. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def connected(address: str, port: int, timeout_s: float) -> socket.socket:
    """An open TCP connection to an address. Raises OSError."""
    return socket.create_connection((address, port), timeout_s)


def open_checked(
    host: str, port: int, *, permitted: Sequence[Network], within_s: float, resolve: Resolve, connect: Connect
) -> socket.socket:
    """An open connection to `host`. Resolves it once; every address must be public or in a `permitted` network.

    Raises InvalidArgument (an address is neither), OSError, TimeoutError.
    """
    ends = time.monotonic() + within_s
    addresses = _in_time(lambda: resolve(host, port), within_s)
    if not addresses:
        raise OSError(f"{host} has no address")
    for address in addresses:
        parsed = ip_address(address)  # accepts a zone as well, as in fe80::1%eth0
        if not (is_public(parsed) or any(parsed in network for network in permitted)):
            raise InvalidArgument(
                "uri",
                f"host {host} has the address {address}, which is not public; allowed: public addresses, and those that "
                "MIRADOURO_PHOTO_PRIVATE_HOSTS permits for the host",
            )
    failed: OSError = TimeoutError("timed out")
    for address in addresses:
        left_s = ends - time.monotonic()
        if left_s <= 0:
            break
        try:
            return connect(address, port, left_s)
        except OSError as exc:
            failed = exc
    raise failed


def _in_time(look_up: Callable[[], Sequence[str]], within_s: float) -> Sequence[str]:
    """Calls `look_up` with a deadline, which the system resolver lacks: after a timeout its thread runs on in the background."""
    answer: SimpleQueue[Sequence[str] | OSError] = SimpleQueue()

    def ask() -> None:
        try:
            answer.put(look_up())
        except OSError as exc:
            answer.put(exc)
        except UnicodeError as exc:  # a label of more than 63 letters
            answer.put(OSError(str(exc)))

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        found = answer.get(timeout=within_s)
    except Empty:
        raise TimeoutError("the look-up of the name timed out") from None
    if isinstance(found, OSError):
        raise found
    return found


def _inner(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address embedded in an IPv6 address; None without one."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return IPv4Address(int(address) >> 80 & 0xFFFFFFFF)
    return address.ipv4_mapped
