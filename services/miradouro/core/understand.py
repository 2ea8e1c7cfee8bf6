"""Understands a question: the terms that its words are searched as."""

from collections.abc import Callable

from miradouro.core.ports import PhotoIndex
from miradouro.core.question import Keywords, Question
from miradouro.core.tag_terms import tag_terms
from miradouro.core.understood import Lexicon, UnderstoodWord


def understand(question: Question, *, index: PhotoIndex, lexicon: Callable[[], Lexicon]) -> tuple[UnderstoodWord, ...]:
    """The words of the question, understood by the lexicon and by what its collection has; empty for other questions.

    Raises NotFound (collection).
    """
    match question.sought:
        case Keywords(words):
            return tag_terms(words, lexicon=lexicon(), vocabulary=index.vocabulary(question.collection))
        case _:
            return ()
