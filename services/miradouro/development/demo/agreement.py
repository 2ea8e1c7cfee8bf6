"""Comparison of two answers to one query: of OpenSearch, and of the embedded index as the reference.

The engines compute in different precisions, so near ties may be swapped: a photo may take the rank of one with nearly the same
distance or score in the reference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

TIE = 1e-3
NEAR, NEAR_ERROR, FAR_ERROR = 0.05, 3e-3, 1e-3  # of a distance: below NEAR a small error of the square is a large one
SCORE_ERROR = 0.005  # of a score of tags, relative
TOP, LEAST_OVERLAP = 10, 0.8


@dataclass(frozen=True)
class Ranked:
    """A hit: the photo, its score, and its distance where there is one."""

    photo_id: str
    score: float
    distance: float = 0.0


@dataclass(frozen=True)
class Agreement:
    """Whether two answers agree, and a summary of the comparison."""

    holds: bool
    summary: str


def vectors_agree(found: Sequence[Ranked], reference: Sequence[Ranked]) -> Agreement:
    """Same photos, distances and order, except for ties."""
    if wrong := _other_photos(found, reference):
        return wrong
    expected = {one.photo_id: one.distance for one in reference}
    errors = [abs(one.distance - expected[one.photo_id]) for one in found]
    for one, error in zip(found, errors, strict=True):
        allowed = NEAR_ERROR if expected[one.photo_id] < NEAR else FAR_ERROR
        if not error <= allowed:
            return Agreement(False, f"{one.photo_id}: distance {one.distance:.5f}, expected {expected[one.photo_id]:.5f}")
    if wrong := _misplaced(found, reference, lambda one: expected[one.photo_id], lambda place: TIE):  # noqa: ARG005 # the same for all
        return wrong
    return Agreement(True, f"same {len(found)} photos in order, distances within {max(errors):.1e}")


def keywords_agree(found: Sequence[Ranked], reference: Sequence[Ranked]) -> Agreement:
    """Same photos, the best first."""
    if wrong := _other_photos(found, reference):
        return wrong
    expected = {one.photo_id: one.score for one in reference}
    wrong = _misplaced(found, reference, lambda one: expected[one.photo_id], lambda score: score * SCORE_ERROR)
    return wrong or Agreement(True, f"same {len(found)} photos, the best first")


def texts_agree(found: Sequence[Ranked], reference: Sequence[Ranked]) -> Agreement:
    """Same photos; the first ten mostly agree."""
    if wrong := _other_photos(found, reference):
        return wrong
    first = {one.photo_id for one in found[:TOP]} & {one.photo_id for one in reference[:TOP]}
    overlap = len(first) / min(TOP, len(reference))
    summary = f"{len(found)} photos, of the first {min(TOP, len(reference))} {overlap:.0%} the same"
    return Agreement(overlap >= LEAST_OVERLAP, summary)


def _other_photos(found: Sequence[Ranked], reference: Sequence[Ranked]) -> Agreement | None:
    if not reference:
        return Agreement(False, "the reference finds no photos: nothing to compare")
    ids, expected = [one.photo_id for one in found], [one.photo_id for one in reference]
    if sorted(ids) == sorted(expected):
        return None
    missing, surplus = sorted(set(expected) - set(ids)), sorted(set(ids) - set(expected))
    return Agreement(False, f"missing: {missing}, too much: {surplus}, {len(ids)} hits instead of {len(expected)}")


def _misplaced(
    found: Sequence[Ranked], reference: Sequence[Ranked], worth: Callable[[Ranked], float], tie: Callable[[float], float]
) -> Agreement | None:
    """The first photo whose rank belongs to a photo of different distance or score in the reference."""
    for place, (one, other) in enumerate(zip(found, reference, strict=True), 1):
        if abs(worth(one) - worth(other)) > tie(abs(worth(other))):
            return Agreement(
                False, f"place {place}: {one.photo_id} ({worth(one):.5f}), expected {other.photo_id} ({worth(other):.5f})"
            )
    return None
