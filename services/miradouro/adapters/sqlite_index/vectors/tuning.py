"""The sizes of segments and searches."""

from dataclasses import dataclass

_LEAST_GROWING_VECTORS = 1_000
_SUPERSEDED_SHARE = 4  # a segment is written anew once more than one photo in so many was replaced or deleted


@dataclass(frozen=True)
class Tuning:
    """Sizes in vectors or bytes. The defaults suit photo collections of any size.

    `exact_vectors`: up to so many candidate vectors are searched exactly, without a graph: some milliseconds.
    `growing_vectors`: a growing segment of so many is sealed. Every query scans it until then.
    `segment_bytes`: the most vectors in a sealed segment, as if each number took 16 bits. A graph is built in memory, of about
    1.4 times as much; no query is answered while its codes, half as much, are written: .1 s, a few tenths on a busy machine.
    `filter_cache_bytes`: row ids of photos that passed the latest filters.
    """

    exact_vectors: int = 20_000
    growing_vectors: int = 20_000
    segment_bytes: int = 256 << 20
    filter_cache_bytes: int = 32 << 20

    @classmethod
    def with_exact(cls, exact_vectors: int) -> "Tuning":
        """Sizes for a given `exact_vectors`: a growing segment has no graph, so it stays below that size too."""
        growing_vectors = min(cls.growing_vectors, max(exact_vectors, _LEAST_GROWING_VECTORS))
        return cls(exact_vectors=exact_vectors, growing_vectors=growing_vectors)

    @property
    def graph_vectors(self) -> int:
        """A sealed segment of fewer vectors gets no graph: a scan takes no longer."""
        return min(self.growing_vectors, 1_000)

    @property
    def superseded_photos(self) -> int:
        """A segment with fewer superseded changes is not written anew because of them."""
        return min(self.growing_vectors, 1_000)

    def most_superseded(self, photos: int) -> int:
        """A segment of `photos` is written anew when it holds more superseded changes."""
        return max(self.superseded_photos, photos // _SUPERSEDED_SHARE)


DEFAULT_TUNING = Tuning()
