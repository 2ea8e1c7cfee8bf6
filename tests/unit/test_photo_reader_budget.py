"""Memory that photos share: who waits, and for how long."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from miradouro.adapters.photo_reader.decode_memory import DecodeMemory
from miradouro.core.errors import DeadlineExceeded

from tests.processes import eventually


def patient() -> None:
    return None


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as executor:
        yield executor


def test_shares_never_pass_the_limit_together() -> None:
    budget = DecodeMemory(100)
    with budget.share(60, remaining_s=patient) as share, budget.share(0, remaining_s=patient) as other:
        assert not other.grow(41)
        assert other.grow(40)
        assert budget.taken == 100
        assert not share.grow(61)
    assert budget.taken == 0


def test_a_share_is_never_larger_than_the_limit() -> None:
    with DecodeMemory(100).share(1_000, remaining_s=patient) as share:
        assert share.size == 100


def test_a_caller_gives_up_at_its_deadline() -> None:
    def over() -> float:
        raise DeadlineExceeded("now")

    budget = DecodeMemory(100)
    with budget.share(60, remaining_s=patient), pytest.raises(DeadlineExceeded), budget.share(60, remaining_s=over):
        pass
    assert budget.taken == 0
    with budget.share(100, remaining_s=over):
        assert budget.taken == 100


def test_small_ones_do_not_starve_a_large_one(threads: ThreadPoolExecutor) -> None:
    budget = DecodeMemory(100, patience_s=0.01)

    def take_all() -> int:
        with budget.share(100, remaining_s=patient):
            return budget.taken

    def small_passes() -> bool:
        with budget.share(0, remaining_s=patient) as share:
            return share.grow(10)

    with budget.share(50, remaining_s=patient):
        assert small_passes()
        large = threads.submit(take_all)
        eventually(lambda: not small_passes())
    assert large.result() == 100
    assert small_passes()
