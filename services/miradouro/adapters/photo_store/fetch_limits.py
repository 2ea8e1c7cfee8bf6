"""How long one photo may take to be fetched."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FetchLimits:
    """Limits of one photo in the network. Operators need not know them; tests give smaller ones.

    `connect_s`: seconds to find and reach its host: no healthy one takes longer.
    `total_s`: seconds for the whole of it, redirects included: 32 MiB at 10 Mbit/s.
    `redirects`: how many are followed, each to an allowed place: two or three are usual, more are a loop.
    """

    connect_s: float = 5.0
    total_s: float = 30.0
    redirects: int = 5


FETCH_LIMITS = FetchLimits()
