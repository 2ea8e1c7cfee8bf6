"""Understands the words of a keyword question: the tags that they stand for, and how each was reached."""

from collections.abc import Iterator, Sequence

from miradouro.core.inflection import plurals, singulars
from miradouro.core.spelling import is_right, similar
from miradouro.core.text import STOP_WORDS, fold_tag
from miradouro.core.understood import Lexicon, Meaning, Term, TermOrigin, UnderstoodWord, Vocabulary

PARENT_WEIGHT = 0.7  # of each step from a word up to the kind of thing that it belongs to
MAX_TAGS = 512  # of one question: OpenSearch takes 1,024 clauses
_CANDIDATES, _CORRECTIONS = 10, 3  # of a misspelled word: words of the dictionary that are tried, and tags of these
_MOST_WORDS = 5  # of a tag that is recognised within a longer phrase


def tag_terms(phrases: Sequence[str], *, lexicon: Lexicon, vocabulary: Vocabulary) -> tuple[UnderstoodWord, ...]:
    """The tags that `phrases` stand for, as typed; at most MAX_TAGS of them.

    A phrase is one tag where the collection or the lexicon knows it, its words in any order, inflected, or misspelled. Another
    phrase stands for the longest tags within it; its whole is searched, too.
    """
    reader = _Reader(lexicon, vocabulary)
    understood: dict[str, UnderstoodWord] = {}
    for phrase in phrases:
        for word in reader.words_of(fold_tag(phrase)):
            understood.setdefault(word.word, word)
    kept, count = [], 0
    for word in understood.values():
        terms = word.terms[: MAX_TAGS - count]
        if terms:
            kept.append(UnderstoodWord(word.word, terms))
            count += len(terms)
    return tuple(kept)


class _Reader:
    def __init__(self, lexicon: Lexicon, vocabulary: Vocabulary) -> None:
        self._lexicon, self._vocabulary = lexicon, vocabulary

    def words_of(self, phrase: str) -> Iterator[UnderstoodWord]:
        itself = Term(phrase, TermOrigin.EXACT)
        known = self._known(phrase) or self._misspelled(phrase)
        yield UnderstoodWord(phrase, (itself, *(term for term in known if term.text != phrase)))
        words = phrase.split()
        if known or len(words) == 1:
            return
        while words:
            for count in range(min(_MOST_WORDS, len(words)), 0, -1):
                part = " ".join(words[:count])
                terms = self._known(part)
                if count == 1 and not terms:
                    terms = self._misspelled(part)
                if terms or count == 1:
                    del words[:count]
                    if part not in STOP_WORDS:
                        exact = Term(part, TermOrigin.EXACT)
                        yield UnderstoodWord(part, (exact, *(term for term in terms if term.text != part)))
                    break

    def _known(self, phrase: str) -> tuple[Term, ...]:
        """The tags of a rightly spelled phrase, the most direct first; empty when neither lexicon nor vocabulary has it."""
        terms: dict[str, Term] = {}
        singles = (*self._lexicon.base_forms(phrase), *singulars(phrase))
        forms = [phrase, *(one for one in singles if one in self._vocabulary.tags or self._lexicon.meanings(one))]
        for number, form in enumerate(forms):
            origin = TermOrigin.INFLECTION if number else TermOrigin.EXACT
            names = [form] if form in self._vocabulary.tags else []
            if " " in form:
                as_set = frozenset(form.split())
                names += [*self._vocabulary.in_order(as_set), *self._lexicon.in_order(as_set)]
            for name in names:
                terms.setdefault(name, Term(name, origin))
            for meaning in (meaning for name in (form, *names) for meaning in self._lexicon.meanings(name)):
                self._add(terms, meaning, form, origin)
        for name in [phrase, *terms]:
            for plural in plurals(name):
                if plural in self._vocabulary.tags:
                    weight = terms[name].weight if name in terms else 1.0
                    terms.setdefault(plural, Term(plural, TermOrigin.INFLECTION, weight))
        return tuple(terms.values())

    def _add(self, terms: dict[str, Term], meaning: Meaning, form: str, origin: TermOrigin) -> None:
        """Adds a meaning, and the synonyms of it that people have as tags."""
        name = fold_tag(meaning.name)
        if meaning.steps:
            terms.setdefault(name, Term(name, TermOrigin.PARENT, PARENT_WEIGHT**meaning.steps))
            return
        terms.setdefault(name, Term(name, origin if name == form else TermOrigin.SYNONYM))
        for synonym in map(fold_tag, self._lexicon.synonyms(meaning.name)):
            if synonym in self._vocabulary.tags:
                terms.setdefault(synonym, Term(synonym, TermOrigin.SYNONYM))

    def _misspelled(self, phrase: str) -> tuple[Term, ...]:
        """The tags of similarly spelled phrases: those of the collection, otherwise those that the lexicon leads to."""
        if is_right(phrase, self._lexicon):
            return ()
        tags = similar(phrase, self._vocabulary.tags)
        if tags:
            return tuple(Term(tag, TermOrigin.SPELLING, weight) for tag, weight in tags)
        names: dict[str, Term] = {}
        for word, weight in similar(phrase, self._lexicon.words_with_meaning(), most=_CANDIDATES):
            for meaning in self._lexicon.meanings(word):
                name = fold_tag(meaning.name)
                if name in self._vocabulary.tags:
                    names.setdefault(name, Term(name, TermOrigin.SPELLING, weight * PARENT_WEIGHT**meaning.steps))
        return tuple(names.values())[:_CORRECTIONS]
