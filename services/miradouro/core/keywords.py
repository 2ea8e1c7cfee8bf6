"""Learned keywords: a distribution over tags that people gave, computed from the vectors of one space."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from miradouro.core.document import Float32, Tag, TagKind, ordered_tags
from miradouro.core.errors import FailedPrecondition
from miradouro.core.text import fold_tag

MIN_PHOTOS = 5  # of a keyword: each fold of the cross-validation holds one
MAX_KEYWORDS = 1_000
SCORE_DIGITS = 4  # of a probability; further ones depend on the number of photos that are computed at a time


@dataclass(frozen=True)
class Keyword:
    """A keyword with its quality in cross-validation, or in a test.

    `photos` have it as a person's tag. `precision` and `recall`, 0 to 1, are those at `threshold`, the least probability of a
    photo that gets the keyword. `threshold` is None where no threshold reaches the precision asked for: no photo gets it, and
    `precision` and `recall` are those of the threshold with the highest precision.
    """

    label: str
    photos: int
    precision: float
    recall: float
    threshold: float | None


@dataclass(frozen=True)
class KeywordHead:
    """The learned layers on top of a space of a collection.

    `space_provenance` is that of the vectors that it takes; `provenance` is the hash of this, the layers and the keywords.
    `hidden` is the number of hidden units, 0 for a perceptron. `wanted_precision` is the one asked for. `photos` were learned
    from, `top1` is the fraction of them whose most probable keyword is right, in cross-validation. `run` maps float32
    [N, dimension] to probabilities, float32 [N, len(keywords)].
    """

    collection: str
    space: str
    space_provenance: str
    provenance: str
    hidden: int
    wanted_precision: float
    photos: int
    top1: float
    keywords: tuple[Keyword, ...]
    run: Callable[[Float32], Float32]

    def probabilities(self, vectors: Float32) -> Float32:
        """Probabilities of the keywords, float32 [N, len(keywords)], for vectors float32 [N, dimension].

        The vectors are rounded to 16 bits first, as an index stores them: a new photo and a stored one get the same tags.
        """
        return self.run(np.asarray(vectors, np.float16).astype(np.float32))

    def check_provenance(self, provenance: str) -> None:
        """Raises FailedPrecondition unless `provenance` is that of the vectors that it takes."""
        if provenance != self.space_provenance:
            raise FailedPrecondition(
                f"the keywords of collection {self.collection!r} were learned from vectors of {self.space} with provenance "
                f"{self.space_provenance}, and these have {provenance or 'none'}; learn them again with `miradouro keywords "
                f"learn`, or remove them with `miradouro keywords remove`"
            )

    def tags(self, probabilities: Float32) -> tuple[Tag, ...]:
        """The learned tags of a photo with these probabilities, float32 [len(keywords)]."""
        scores = [round(float(probability), SCORE_DIGITS) for probability in probabilities]
        return tuple(
            Tag(keyword.label, score, TagKind.LEARNED)
            for keyword, score in zip(self.keywords, scores, strict=True)
            if keyword.threshold is not None and score >= keyword.threshold
        )


def with_learned(tags: Iterable[Tag], learned: Sequence[Tag]) -> tuple[Tag, ...]:
    """`tags` with `learned` in place of earlier learned tags. What a person gave is not repeated."""
    others = [tag for tag in tags if tag.kind is not TagKind.LEARNED]
    given = {fold_tag(tag.label) for tag in others if tag.kind is TagKind.USER}
    return tuple(ordered_tags([*others, *(tag for tag in learned if fold_tag(tag.label) not in given)]))
