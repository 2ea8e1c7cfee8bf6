"""Understands the words of a text question: other forms, endings and spellings that the collection has."""

from collections.abc import Iterable
from dataclasses import replace

from miradouro.core.query import Alternatives, TextClause
from miradouro.core.spelling import is_right, similar
from miradouro.core.stem import stem
from miradouro.core.text import fold_tag, words
from miradouro.core.understood import Lexicon, Term, TermOrigin, UnderstoodWord, Vocabulary

COMPLETION_WEIGHT = 0.8  # of a word that begins with the typed one
MAX_ALTERNATIVES = 60  # of one question: each takes five clauses in OpenSearch, of 1,024, and three parts of SQLite's 500
_COMPLETIONS = 20  # of one word
_SHORTEST_BEGINNING = 2  # letters that a word has before it is completed


def text_terms(
    clause: TextClause, *, unfinished: str, is_typing: bool, lexicon: Lexicon, vocabulary: Vocabulary
) -> tuple[TextClause, tuple[UnderstoodWord, ...]]:
    """The clause with the alternatives of its words, and how each word and phrase was understood.

    A word that no photo of the collection has, in any inflection, also stands for the words that it begins where it is the
    `unfinished` one, and otherwise for the most similar words, unless a dictionary has it. With `is_typing` the unfinished word
    is completed in any case. Phrases are taken as they are.
    """
    understood = [_as_it_is(phrase) for phrase in (*clause.must, *clause.should)]
    alternatives: list[Alternatives] = []
    room = MAX_ALTERNATIVES
    for number, raw in enumerate(clause.should, len(clause.must)):
        folded = [word.folded for word in words(raw)]
        if len(folded) != 1:  # a stop word, or a term of several words, such as black-and-white
            continue
        [word] = folded
        is_last = raw == unfinished
        found = _others(word, is_last=is_last, is_typing=is_typing, lexicon=lexicon, vocabulary=vocabulary)[:room]
        if found:
            room -= len(found)
            alternatives.append(Alternatives(raw, tuple((term.text, term.weight) for term in found)))
            understood[number] = UnderstoodWord(word, (Term(word, TermOrigin.EXACT), *found))
    return replace(clause, alternatives=tuple(alternatives)), tuple(understood)


def _as_it_is(phrase: str) -> UnderstoodWord:
    folded = " ".join(word.folded for word in words(phrase))
    if not folded:  # only stop words
        return UnderstoodWord(fold_tag(phrase), ())
    return UnderstoodWord(folded, (Term(folded, TermOrigin.EXACT),))


def _others(word: str, *, is_last: bool, is_typing: bool, lexicon: Lexicon, vocabulary: Vocabulary) -> list[Term]:
    is_known = vocabulary.has_inflection(word)
    if is_last and (is_typing or not is_known) and len(word) >= _SHORTEST_BEGINNING:
        longer = _distinct(vocabulary.beginning(word), but=word)[:_COMPLETIONS]
        if longer:
            return [Term(other, TermOrigin.COMPLETION, COMPLETION_WEIGHT) for other in longer]
    if is_known or is_right(word, lexicon):
        return []
    return [Term(other, TermOrigin.SPELLING, weight) for other, weight in similar(word, vocabulary.words)]


def _distinct(found: Iterable[str], *, but: str) -> list[str]:
    """One word for each stem, without inflections of `but`: the engines take words of one stem for the same."""
    by_stem = {stem(but): but}
    for other in found:
        by_stem.setdefault(stem(other), other)
    return [other for other in by_stem.values() if other != but]
