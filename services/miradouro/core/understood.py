"""How the words of a question were understood: the terms that each word is searched as, and how each was reached."""

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Protocol

from miradouro.core.stem import stem

LONGEST_WORD = 64  # characters of a word in a vocabulary
_SAME_START = 3  # letters that words of one stem share at least
_LAST = "\U0010ffff"
MAX_VOCABULARY = 50_000  # tags, and as many words, of one collection that misspelled and unfinished words are compared with


class TermOrigin(StrEnum):
    """How a term was reached from a word.

    EXACT: it is the word. INFLECTION: another form of it, such as the singular. SYNONYM: another name of the same thing.
    PARENT: a kind of thing that the word belongs to. SPELLING: a similarly spelled word that the collection has. COMPLETION: a
    word of the collection that begins with it.
    """

    EXACT = "exact"
    INFLECTION = "inflection"
    SYNONYM = "synonym"
    PARENT = "parent"
    SPELLING = "spelling"
    COMPLETION = "completion"


@dataclass(frozen=True)
class Term:
    """What is searched instead of a word, folded; `weight` is above 0, at most 1, and 1 for the word itself."""

    text: str
    origin: TermOrigin
    weight: float = 1.0


@dataclass(frozen=True)
class UnderstoodWord:
    """A word or phrase of the question, folded, and its terms, the word itself first; without terms it is not searched."""

    word: str
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Meaning:
    """A label or parent that a word names (`steps` 0), or that WordNet has so many steps above it."""

    name: str
    steps: int


class Lexicon(Protocol):
    """What is known about words apart from any collection. Words are folded by `fold_tag`."""

    def meanings(self, word: str) -> Sequence[Meaning]:
        """The labels and parents that `word` stands for, itself included where it is one; empty for other words."""
        ...

    def base_forms(self, word: str) -> Sequence[str]:
        """The singular of an irregular plural; empty for other words."""
        ...

    def synonyms(self, name: str) -> Sequence[str]:
        """The other names of a label or parent."""
        ...

    def is_word(self, word: str) -> bool:
        """Whether `word` is spelled as a dictionary has it."""
        ...

    def in_order(self, words: frozenset[str]) -> Sequence[str]:
        """The names that consist of exactly these words, in any order."""
        ...

    def words_with_meaning(self) -> Sequence[str]:
        """Every word that has a meaning."""
        ...


@dataclass(frozen=True)
class Vocabulary:
    """What a collection's live photos have: tags, and the words of their texts; at most MAX_VOCABULARY of each.

    Both are folded. `words` has the number of photos of each, and has the most frequent ones. It may be some seconds old.
    """

    tags: frozenset[str] = frozenset()
    words: Mapping[str, int] = field(default_factory=dict)

    def in_order(self, words: frozenset[str]) -> Sequence[str]:
        """The tags that consist of exactly these words, in any order."""
        return self._by_words.get(words, ())

    def beginning(self, start: str) -> Sequence[str]:
        """The words that begin with `start`, the most frequent first."""
        return sorted(self._from(start), key=lambda word: (-self.words[word], word))

    def has_inflection(self, word: str) -> bool:
        """Whether a photo has `word`, or a word of the same stem."""
        if word in self.words:
            return True
        wanted = stem(word)
        return any(stem(other) == wanted for other in self._from(wanted[:_SAME_START]))

    def _from(self, start: str) -> Sequence[str]:
        first = bisect.bisect_left(self._sorted, start)
        return self._sorted[first : bisect.bisect_left(self._sorted, start + _LAST, first)]

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.words)

    @cached_property
    def _by_words(self) -> dict[frozenset[str], tuple[str, ...]]:
        return by_words(self.tags)


def by_words(names: Iterable[str]) -> dict[frozenset[str], tuple[str, ...]]:
    """The names of several words by the set of their words."""
    found: dict[frozenset[str], tuple[str, ...]] = {}
    for name in names:
        if " " in name:
            key = frozenset(name.split())
            found[key] = (*found.get(key, ()), name)
    return found
