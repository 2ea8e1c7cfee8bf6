"""Expected times of forward passes."""

from miradouro.embedding.pass_times import RETRIAL_PASSES, PassTimes


def test_one_caller_keeps_its_times_at_a_retrial() -> None:
    times = PassTimes(passes=2, photos=8, clock=lambda: 0.0)
    for _ in range(2 * RETRIAL_PASSES + 1):
        times.add("a", 0.5, side_by_side=False)
        assert times.pass_s("a") == 0.5
