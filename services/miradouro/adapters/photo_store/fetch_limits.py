"""Time limits of fetching one photo."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FetchLimits:
    """Limits of one fetch over the network. They are constants, not settings; tests pass smaller ones.

    `connect_s`: seconds to resolve and reach the host; a healthy host takes less.
    `total_s`: seconds for the whole fetch with its redirects: 32 MiB at 10 Mbit/s.
    `redirects`: the number of redirects followed, each to an allowed prefix. Two or three are usual, more are a loop.
    """

    connect_s: float = 5.0
    total_s: float = 30.0
    redirects: int = 5


FETCH_LIMITS = FetchLimits()
