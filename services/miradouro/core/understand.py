"""Understands a question: the terms that its words are searched as."""

from collections.abc import Callable
from dataclasses import replace

from miradouro.core.ports import PhotoIndex
from miradouro.core.question import Keywords, Question, Text
from miradouro.core.tag_terms import tag_terms
from miradouro.core.text_terms import text_terms
from miradouro.core.understood import Lexicon, UnderstoodWord


def understand(
    question: Question, *, index: PhotoIndex, lexicon: Callable[[], Lexicon]
) -> tuple[Question, tuple[UnderstoodWord, ...]]:
    """The question, a text with the alternatives of its words, and how its words were understood; no words in other questions.

    The lexicon and what the collection has decide. Raises NotFound (collection).
    """
    sought = question.sought
    if not isinstance(sought, Keywords | Text):
        return question, ()
    vocabulary = index.vocabulary(question.collection)
    if isinstance(sought, Keywords):
        return question, tag_terms(sought.words, lexicon=lexicon(), vocabulary=vocabulary)
    clause, understood = text_terms(
        sought.clause,
        unfinished=sought.unfinished,
        is_typing=sought.is_typing,
        lexicon=lexicon(),
        vocabulary=vocabulary,
    )
    return replace(question, sought=replace(sought, clause=clause)), understood
