"""Parses search words: a word may occur, a quoted phrase must, -word and -"a phrase" must not."""

import re

from miradouro.core.error_text import shown
from miradouro.core.errors import InvalidArgument
from miradouro.core.query import MAX_TEXT_CHARS, MAX_TEXT_TERMS, TextClause

# Quotes as keyboards and word processors make them. A quote that is never closed runs to the end of the text.
_QUOTES = '"\u201c\u201d\u201e\u201f'
_TERM = re.compile(rf"(?P<minus>-*)(?:[{_QUOTES}](?P<phrase>[^{_QUOTES}]*)[{_QUOTES}]?|(?P<word>[^\s{_QUOTES}]+))")


def parse_text(text: str, *, field: str = "text") -> TextClause:
    """The clause of `text`, each word and phrase once, in the order of the text.

    A hyphen excludes only where a term begins, so that `black-and-white` is one term. Terms without a letter or digit
    are dropped. Raises InvalidArgument naming `field` when the text is too long or has nothing or too much to look for.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise InvalidArgument(field, f"{len(text):,} characters; allowed: 1 to {MAX_TEXT_CHARS:,}")
    should: dict[str, None] = {}
    must: dict[str, None] = {}
    must_not: dict[str, None] = {}
    for term in _TERM.finditer(text):
        phrase = term["phrase"]
        words = " ".join((term["word"] if phrase is None else phrase).split())
        if not any(character.isalnum() for character in words):
            continue
        side = must_not if term["minus"] else should if phrase is None else must
        side[words] = None
    if not should and not must:
        raise InvalidArgument(
            field,
            f'{shown(text)} has no word to look for; allowed: words, "a phrase" that must occur, beside them -word to exclude',
        )
    if (count := len(should) + len(must) + len(must_not)) > MAX_TEXT_TERMS:
        raise InvalidArgument(field, f"{count:,} different words and phrases; allowed: 1 to {MAX_TEXT_TERMS}")
    return TextClause(should=tuple(should), must=tuple(must), must_not=tuple(must_not))


def unfinished_word(text: str) -> str:
    """The word at the very end of `text`, which may be the beginning of a longer one; "" after white space or a phrase."""
    last = next(reversed(list(_TERM.finditer(text))), None)
    if last is None or last["word"] is None or last["minus"] or last.end() < len(text):
        return ""
    return str(last["word"])
