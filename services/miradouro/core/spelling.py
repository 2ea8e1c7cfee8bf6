"""Recognises misspelled words, and finds the words that they may stand for."""

from collections.abc import Iterable

from miradouro.core.inflection import singulars
from miradouro.core.understood import Lexicon

_SHORTEST, _LONGEST = 3, 64  # characters of a word that is compared
_TWO_FROM = 6  # characters from which on a word may have two errors
SPELLING_WEIGHT = 0.8  # of each error


def is_right(word: str, lexicon: Lexicon) -> bool:
    """Whether a dictionary has the word, or its singular."""
    return any(lexicon.is_word(form) for form in (word, *singulars(word)))


def similar(word: str, words: Iterable[str], *, most: int = 3) -> list[tuple[str, float]]:
    """The most similar of `words`, nearest first, at most `most`, each with its weight; empty when none is similar.

    Errors are letters too many, missing, wrong, or exchanged with a neighbour (optimal string alignment distance): one in words
    of 4 or 5 characters, two in longer ones; in words of 3 characters only the order may be wrong. A word with digits has none.
    Only the words with the fewest errors count. Among these, words with the same first letter come first, then the most similar
    by Jaro and Winkler.
    """
    if not _SHORTEST <= len(word) <= _LONGEST or any(character.isdigit() for character in word):
        return []
    from rapidfuzz import process  # here: a search of known words must start fast
    from rapidfuzz.distance import OSA, JaroWinkler

    allowed = 2 if len(word) >= _TWO_FROM else 1
    found = process.extract(word, list(words), scorer=OSA.distance, score_cutoff=allowed, limit=None)
    if len(word) == _SHORTEST:
        found = [one for one in found if sorted(one[0]) == sorted(word)]
    if not found:
        return []
    fewest = int(min(distance for _, distance, _ in found))
    nearest = sorted(
        (other for other, distance, _ in found if distance == fewest),
        key=lambda other: (other[:1] != word[:1], -JaroWinkler.similarity(word, other), other),
    )
    return [(other, SPELLING_WEIGHT**fewest) for other in nearest[:most]]
