"""Recent times of forward passes: what the queue expects of the next ones, and how many run at a time.

A graph runs one pass at a time on all CPUs, or several side by side with a share of the CPUs each. Which of them gives more
photos a second depends on the graph and on the machine: small graphs lose time when their threads wait for each other, large ones
when two passes compete for the caches. So both are measured, with the photos that the service is asked for.
"""

import math
from collections import deque
from collections.abc import Callable
from statistics import median

RECENT_PASSES = 9  # an odd number, so that one slow pass in a few changes nothing
FRESH_S = 10.0  # older times say nothing about the next pass: a wrong one must not refuse requests for ever
WORTHWHILE = 0.95  # of the time per photo; passes side by side take longer each, so they must be worth it
RETRIAL_PASSES = 500  # after so many, the other way is measured again


class PassTimes:
    """Times of passes by bundle. Not thread-safe: the queue calls it under its lock.

    `passes`: passes that may run side by side. `photos`: the most photos of one pass.
    """

    def __init__(self, *, passes: int, photos: int, clock: Callable[[], float]) -> None:
        self._passes, self._photos, self._clock = passes, photos, clock
        self._recent: dict[tuple[str, bool], deque[float]] = {}
        self._latest: dict[str, float] = {}
        self._until_retrial: dict[str, int] = {}

    def add(self, bundle: str, seconds: float, *, side_by_side: bool) -> None:
        """Adds the time of a pass."""
        self._of(bundle, side_by_side).append(seconds)
        self._latest[bundle] = self._clock()
        left = self._until_retrial.get(bundle, RETRIAL_PASSES) - 1
        if left == 0:
            preferred = self.prefers_side_by_side(bundle)
            if self._of(bundle, preferred):  # with one caller no pass has run side by side yet
                self._of(bundle, not preferred).clear()
            left = RETRIAL_PASSES
        self._until_retrial[bundle] = left

    def prefers_side_by_side(self, bundle: str) -> bool:
        """Whether passes of `bundle` run side by side when photos wait. Each way is tried RECENT_PASSES times first."""
        if self._passes == 1:
            return False
        for way in (False, True):
            if len(self._of(bundle, way)) < RECENT_PASSES:
                return way
        return median(self._of(bundle, True)) / self._passes <= WORTHWHILE * median(self._of(bundle, False))

    def pass_s(self, bundle: str) -> float:
        """Expected seconds of a pass; 0 when there is no recent one."""
        return self._expected_s(bundle)[0]

    def photo_s(self, bundle: str) -> float:
        """Expected seconds that a photo adds to the wait of the photos behind it; 0 when there is no recent pass."""
        seconds, at_a_time = self._expected_s(bundle)
        return seconds / at_a_time / self._photos

    def _expected_s(self, bundle: str) -> tuple[float, int]:
        """Seconds of a pass and the passes at a time, in the preferred way, or in the other one before its first pass."""
        if self._clock() - self._latest.get(bundle, -math.inf) > FRESH_S:
            return 0.0, 1
        preferred = self.prefers_side_by_side(bundle)
        way = preferred if self._of(bundle, preferred) else not preferred
        return median(self._of(bundle, way)), self._passes if way else 1

    def _of(self, bundle: str, side_by_side: bool) -> deque[float]:
        return self._recent.setdefault((bundle, side_by_side), deque(maxlen=RECENT_PASSES))
