"""Marks the words of a text that a question found."""

from collections.abc import Iterable
from typing import NamedTuple

from miradouro.core.stem import stem
from miradouro.core.text import words
from miradouro.core.understood import UnderstoodWord


class TextPart(NamedTuple):
    """A part of a text, and whether it is a word that was found."""

    text: str
    is_match: bool


def searched_stems(understood: Iterable[UnderstoodWord]) -> frozenset[str]:
    """The stems of all words that a question searched."""
    return frozenset(stem(word) for one in understood for term in one.terms for word in term.text.split())


def highlighted(text: str, stems: frozenset[str]) -> tuple[TextPart, ...]:
    """`text` in parts that join to it; empty when none of its words has one of the stems."""
    parts: list[TextPart] = []
    end = 0
    for word in words(text):
        if stem(word.folded) not in stems:
            continue
        if word.start > end:
            parts.append(TextPart(text[end : word.start], False))
        parts.append(TextPart(text[word.start : word.end], True))
        end = word.end
    if parts and end < len(text):
        parts.append(TextPart(text[end:], False))
    return tuple(parts)
