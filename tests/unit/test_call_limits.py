"""How many calls a token and a peer have at a time, and which one goes when there are too many."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from miradouro.core.errors import DeadlineExceeded, Overloaded
from miradouro.runtime.call import Caller
from miradouro.runtime.call_limits import CallLimits, network_of


def caller(peer: str = "127.0.0.1", token: str = "") -> Caller:
    return Caller(peer, token, is_owner=False)


def test_calls_are_limited_by_token_and_by_peer():
    limits = CallLimits(per_token=2, per_peer=3)
    slots = [limits.enter(caller(token="a")), limits.enter(caller(token="a")), limits.enter(caller(token="b"))]
    for refused, what in ((caller("127.0.0.2", "a"), "2 calls of this token"), (caller(token="c"), "3 calls of this peer")):
        with pytest.raises(Overloaded, match=what):
            limits.enter(refused)
    assert limits.enter(caller("127.0.0.2", "b"))
    slots[0].release()
    assert limits.enter(caller("127.0.0.2", "a"))


def test_a_slot_is_free_after_all_parts_end():
    limits = CallLimits(per_token=1, per_peer=1)
    slot = limits.enter(caller())
    slot.hold()
    slot.release()
    with pytest.raises(Overloaded):
        limits.enter(caller())
    slot.release()
    limits.enter(caller()).release()


def test_addresses_of_one_network_are_one_peer():
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:127.0.0.2") == "127.0.0.2" != network_of("127.0.0.1")
    assert network_of("unix") == "unix"


def run(calls: "Coroutine[Any, Any, object]") -> None:
    """In a thread of its own: a browser's test in the same process keeps a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, calls).result()


async def _silent(limits: CallLimits, who: Caller, within_s: float = 20) -> str:
    slot = limits.enter(who)
    try:
        async with slot.receiving(within_s):
            await asyncio.Event().wait()
    finally:
        slot.release()
    return "answered"


def test_the_oldest_silent_call_gives_way():
    async def calls() -> None:
        limits = CallLimits(per_token=2, per_peer=9)
        first, second = (asyncio.ensure_future(_silent(limits, caller(token="a"))) for _ in range(2))
        await asyncio.sleep(0)
        slot = limits.enter(caller(token="a"))
        with pytest.raises(Overloaded, match="did not come while others waited"):
            await first
        assert not second.done()
        other = limits.enter(caller(token="a"))
        with pytest.raises(Overloaded):
            await second
        with pytest.raises(Overloaded, match="2 calls"):
            limits.enter(caller(token="a"))
        slot.release()
        other.release()
        for _ in range(3):
            limits.enter(caller(token="a")).release()

    run(calls())


def test_a_request_is_waited_for_so_long():
    with pytest.raises(DeadlineExceeded, match=r"did not arrive within 0\.01 s"):
        run(_silent(CallLimits(per_token=1, per_peer=1), caller(), within_s=0.01))
