"""What a person asks, before any photo is looked at, and how it becomes what an index is asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from miradouro.core.document import Float32
from miradouro.core.errors import FailedPrecondition
from miradouro.core.query import (
    DEFAULT_LIMIT,
    MAX_RANKED,
    Clause,
    Condition,
    IndexQuery,
    KeywordClause,
    Matches,
    TextClause,
    VectorClause,
)
from miradouro.core.spaces import BundleDescription, Space, resolve_space
from miradouro.core.text import fold_tag


@dataclass(frozen=True)
class Keywords:
    """Photos that carry any of these tags, as typed."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """Photos whose caption, title or tags hold the words."""

    clause: TextClause


@dataclass(frozen=True)
class Example:
    """Photos that look like this one: an encoded photo."""

    data: bytes


@dataclass(frozen=True)
class Like:
    """Photos that look like one in the collection; that one is among them."""

    photo_id: str


@dataclass(frozen=True)
class Question:
    """A checked question. `space` is as typed, empty for the default; `max_distance` and `exact` matter for vectors alone."""

    collection: str
    sought: Keywords | Text | Example | Like
    conditions: tuple[Condition, ...] = ()
    space: str = ""
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    max_distance: float | None = None
    exact: bool = False


@dataclass(frozen=True)
class Look:
    """How a photo looks in one space: `vector` is float32 [dimension], length 1; `provenance` tells how it was made."""

    space: str
    provenance: str
    vector: Float32


@dataclass(frozen=True)
class Answer:
    """`space` is the one compared, empty for words; `next_offset` is where the next page begins, None on the last one."""

    matches: Matches
    space: str
    next_offset: int | None


def plan(question: Question, look: Look | None, *, canonical: Callable[[str], str]) -> IndexQuery:
    """What the index is asked; `look` is that of the photo for Example and Like, `canonical` names the label of a synonym."""
    return IndexQuery(
        collection=question.collection,
        clause=_clause(question, look, canonical),
        conditions=question.conditions,
        limit=min(question.limit, MAX_RANKED - question.offset),
        offset=question.offset,
    )


def next_offset(query: IndexQuery, matches: Matches) -> int | None:
    """Where the page after `matches` begins, None when there is none."""
    after = query.offset + len(matches.matches)
    is_last = len(matches.matches) < query.limit or (matches.total_is_exact and after >= matches.total)
    return None if is_last or after >= MAX_RANKED else after


def searched_space(question: Question, spaces: Sequence[Space], *, default_space: str) -> Space:
    """The space that the question names, or the default one, among those of the collection. Raises InvalidArgument."""
    return resolve_space(question.space or default_space, spaces)


def offered_space(space: Space, bundles: Sequence[BundleDescription]) -> tuple[BundleDescription, Space]:
    """The loaded bundle that makes vectors of `space`, and the space as it makes it, whose provenance may differ.

    Raises FailedPrecondition when no loaded bundle does.
    """
    for bundle in bundles:
        for offered in bundle.spaces:
            if offered.name == space.name:
                return bundle, offered
    loaded = ", ".join(bundle.name for bundle in bundles) or "none"
    raise FailedPrecondition(f"space {space.name}: its bundle {space.bundle} is not loaded; loaded: {loaded}; load it too")


def tag_words(words: Sequence[str], canonical: Callable[[str], str]) -> tuple[str, ...]:
    """The tags that `words` stand for, folded, each once.

    A synonym stands for its label, and for itself too: a person may have tagged a photo with it.
    """
    folded = [fold_tag(form) for word in words for form in (word, canonical(word))]
    return tuple(dict.fromkeys(folded))


def _clause(question: Question, look: Look | None, canonical: Callable[[str], str]) -> Clause:
    match question.sought:
        case Keywords(words):
            return KeywordClause(tag_words(words, canonical))
        case Text(clause):
            return clause
        case Example() | Like():
            assert look is not None, "a photo is looked at before its question is planned"
            return VectorClause(look.space, look.provenance, look.vector, question.max_distance, question.exact)
