"""The sizes at which the index changes its ways: one place, with the reasons."""

from dataclasses import dataclass

_LEAST_TAIL_VECTORS = 1_000


@dataclass(frozen=True)
class Tuning:
    """Sizes of segments and searches, all in vectors or bytes; the defaults are for photo collections of any size.

    `exact_vectors`: up to so many candidate vectors are compared one by one, without a graph: some milliseconds.
    `tail_vectors`: a tail of so many is sealed. It is scanned with every question until then.
    `segment_bytes`: float16 vectors in a sealed segment at most. A graph is built in memory, of about 1.4 times as much;
    while its codes, half as much, are written, no question is answered: a tenth of a second, some on a busy machine.
    `passing_bytes`: row numbers of photos that passed the latest conditions, kept for the next question with the same ones.
    """

    exact_vectors: int = 20_000
    tail_vectors: int = 20_000
    segment_bytes: int = 256 << 20
    passing_bytes: int = 32 << 20

    @classmethod
    def with_exact(cls, exact_vectors: int) -> "Tuning":
        """Sizes that keep the promise of `exact_vectors`: a tail, which has no graph, grows no larger without need."""
        return cls(exact_vectors=exact_vectors, tail_vectors=min(cls.tail_vectors, max(exact_vectors, _LEAST_TAIL_VECTORS)))

    @property
    def graph_vectors(self) -> int:
        """A sealed segment of fewer vectors gets no graph: a scan of them takes no longer."""
        return min(self.tail_vectors, 1_000)

    @property
    def masked_photos(self) -> int:
        """A segment with fewer deleted or replaced photos is not written anew for their sake."""
        return min(self.tail_vectors, 1_000)


DEFAULT_TUNING = Tuning()
