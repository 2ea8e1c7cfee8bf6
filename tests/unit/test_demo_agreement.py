"""Whether two engines' answers agree: what is taken for the same, and what is not."""

from collections.abc import Sequence

import pytest
from miradouro.development.demo.agreement import Ranked, keywords_agree, texts_agree, vectors_agree


def by_distance(*hits: tuple[str, float]) -> list[Ranked]:
    return [Ranked(name, 1 - distance / 2, distance) for name, distance in hits]


def by_score(*hits: tuple[str, float]) -> list[Ranked]:
    return [Ranked(name, score) for name, score in hits]


NEAR = by_distance(("a", 0.01), ("b", 0.5), ("c", 0.5005), ("d", 0.9))


@pytest.mark.parametrize(
    ("found", "holds"),
    [
        (NEAR, True),
        (by_distance(("a", 0.0129), ("b", 0.5009), ("c", 0.4999), ("d", 0.9)), True),
        (by_distance(("a", 0.01), ("c", 0.5005), ("b", 0.5), ("d", 0.9)), True),  # a tie
        (by_distance(("a", 0.0135), ("b", 0.5), ("c", 0.5005), ("d", 0.9)), False),
        (by_distance(("a", 0.01), ("b", 0.5), ("c", 0.5005), ("d", 0.9012)), False),
        (by_distance(("a", 0.01), ("b", 0.5), ("c", float("nan")), ("d", 0.9)), False),
        (by_distance(("a", 0.01), ("d", 0.9), ("b", 0.5), ("c", 0.5005)), False),  # out of order
        (NEAR[:3], False),
        ([*NEAR[:3], NEAR[2]], False),
        (by_distance(("a", 0.01), ("b", 0.5), ("c", 0.5005), ("e", 0.9)), False),
    ],
)
def test_vectors(found: Sequence[Ranked], holds: bool) -> None:
    assert vectors_agree(found, NEAR).holds is holds


TAGGED = by_score(("a", 0.9), ("b", 0.8), ("c", 0.797), ("d", 0.5))


@pytest.mark.parametrize(
    ("names", "holds"), [("abcd", True), ("acbd", True), ("bacd", False), ("abdc", False), ("abc", False), ("abce", False)]
)
def test_keywords(names: str, holds: bool) -> None:
    assert keywords_agree(by_score(*((name, 1.0) for name in names)), TAGGED).holds is holds


def test_texts() -> None:
    reference = by_score(*((f"{i:02}", 1 - i / 100) for i in range(20)))
    assert texts_agree([*reversed(reference[:10]), *reference[10:]], reference).holds
    two_others = [*reference[:8], *reference[10:12], *reference[8:10], *reference[12:]]
    assert texts_agree(two_others, reference).holds
    three_others = [*reference[:7], *reference[10:13], *reference[7:10], *reference[13:]]
    assert not texts_agree(three_others, reference).holds
    assert not texts_agree(reference[:19], reference).holds
    assert not texts_agree([*reference[:19], *by_score(("other", 0.5))], reference).holds


def test_an_answer_without_hits_proves_nothing() -> None:
    assert not any(agree([], []).holds for agree in (vectors_agree, keywords_agree, texts_agree))
