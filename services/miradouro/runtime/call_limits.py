"""Limits of concurrent calls by token and by network address, over gRPC and HTTP.

A call counts from its beginning until its answer is sent and its work has ended. At the limit, a new call replaces the caller's
oldest call that still waits for its request: requests normally arrive at once, so that one probably never will. Without such a
call the new one is refused.
"""

import asyncio
import functools
import ipaddress
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from miradouro.core.errors import DeadlineExceeded, Overloaded
from miradouro.runtime.call import Caller

_IPV6_PREFIX = 64  # one customer's network: who has one address of it has all


class TooSlow(DeadlineExceeded):
    """The request did not arrive in time; the rest of it has not been read."""


class _Group:
    """The calls of one token, of one peer, or of all."""

    def __init__(self, what: str, limit: int) -> None:
        self.what, self.limit = what, limit
        self.count = 0
        self.waiting: dict[CallSlot, None] = {}  # in the order of their arrival


class CallLimits:
    """At most `per_token` calls at a time of one token, `per_peer` of one peer, `in_all`. `enter` belongs on the event loop."""

    def __init__(self, *, per_token: int, per_peer: int, in_all: int = sys.maxsize) -> None:
        self._limits = {"token": per_token, "peer address": per_peer, "port": in_all}
        self._groups: dict[tuple[str, str], _Group] = {}
        self._lock = threading.Lock()

    def enter(self, caller: Caller) -> "CallSlot":
        """A slot for a call, to be released. Raises Overloaded."""
        keys = [("peer address", network_of(caller.peer)), ("port", "")]
        if caller.token_id:
            keys.append(("token", caller.token_id))
        with self._lock:
            for key in keys:
                group = self._groups.get(key)
                if group is not None and group.count >= group.limit:
                    self._evict(group)
            for key in keys:
                if key not in self._groups:
                    self._groups[key] = _Group(key[0], self._limits[key[0]])
                self._groups[key].count += 1
            return CallSlot(self, keys)

    def _evict(self, group: _Group) -> None:
        oldest = next(iter(group.waiting), None)
        if oldest is None:
            raise Overloaded(
                f"{group.count} calls of this {group.what} are in progress, which is the limit; ask again after a pause"
            )
        oldest.give_way()
        self._leave(oldest)

    def set_waiting(self, slot: "CallSlot", *, waits: bool) -> None:
        """Whether the call waits for its request."""
        with self._lock:
            for key in slot.keys:
                if waits:
                    self._groups[key].waiting[slot] = None
                elif key in self._groups:
                    self._groups[key].waiting.pop(slot, None)

    def hold(self, slot: "CallSlot") -> None:
        """One more part of the call has to end before the slot is free."""
        with self._lock:
            slot.holders += 1

    def release(self, slot: "CallSlot") -> None:
        """One part of the call has ended."""
        with self._lock:
            slot.holders -= 1
            if slot.holders == 0:
                self._leave(slot)

    def _leave(self, slot: "CallSlot") -> None:
        if not slot.is_counted:
            return
        slot.is_counted = False
        for key in slot.keys:
            group = self._groups[key]
            group.waiting.pop(slot, None)
            group.count -= 1
            if group.count == 0:
                del self._groups[key]


class CallSlot:
    """The slot of one call; free again when all its parts have ended."""

    def __init__(self, limits: CallLimits, keys: list[tuple[str, str]]) -> None:
        self.keys = keys
        self.holders, self.is_counted = 1, True
        self._limits = limits
        self._timer: asyncio.Timeout | None = None
        self._gave_way = False

    def hold(self) -> None:
        """One more part of the call, as its work in a thread, has to be released before the slot is free."""
        self._limits.hold(self)

    def release(self) -> None:
        """A part of the call has ended; for any thread."""
        self._limits.release(self)

    def give_way(self) -> None:
        """Ends the wait for the request; on the event loop."""
        self._gave_way = True
        if self._timer is not None:
            self._timer.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def receiving(self, within_s: float) -> AsyncIterator[None]:
        """The block waits for the request. Raises TooSlow after `within_s` seconds, Overloaded when it gave way."""
        self._limits.set_waiting(self, waits=True)
        try:
            async with asyncio.timeout(within_s) as self._timer:
                yield
        except TimeoutError as exc:
            if self._gave_way:
                raise Overloaded("the request did not come while others waited; ask again after a pause") from exc
            raise TooSlow(f"the request did not arrive within {within_s:g} s; send it faster") from exc
        finally:
            self._timer = None
            self._limits.set_waiting(self, waits=False)


@functools.lru_cache(maxsize=1_024)  # each call asks
def network_of(peer: str) -> str:
    """What counts as one peer: an IPv4 address, or the network of an IPv6 address; `peer` itself where it is neither."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
