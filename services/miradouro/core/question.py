"""Questions of callers, and their translation to queries of an index."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from miradouro.core.document import Vectors
from miradouro.core.error_text import shown
from miradouro.core.errors import FailedPrecondition, InvalidArgument
from miradouro.core.page import Page
from miradouro.core.query import (
    DEFAULT_LIMIT,
    MAX_RANKED,
    After,
    Behind,
    Clause,
    Condition,
    EverythingClause,
    Facet,
    IndexQuery,
    KeywordClause,
    Matches,
    Order,
    TextClause,
    VectorClause,
)
from miradouro.core.spaces import BundleDescription, Preset, Region, Space, resolve_space
from miradouro.core.understood import UnderstoodWord


@dataclass(frozen=True)
class Keywords:
    """Photos that carry any of these tags, as typed."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Text:
    """Photos whose caption, title or tags hold the words.

    `unfinished` is the last word where it may be the beginning of a longer one; `is_typing`: the caller is still typing it.
    """

    clause: TextClause
    unfinished: str = ""
    is_typing: bool = False


@dataclass(frozen=True)
class Everything:
    """Every photo."""


@dataclass(frozen=True)
class Example:
    """Photos that look like an encoded photo; with a `region`, photos of which a part looks like that region."""

    data: bytes
    region: Region | None = None


@dataclass(frozen=True)
class Like:
    """Photos that look like one of the collection, or of which a part looks like a `region` of it; it is itself a hit."""

    photo_id: str
    region: Region | None = None


@dataclass(frozen=True)
class Question:
    """A checked question. `space` is as typed, empty for the default; `max_distance` and `exact` matter for vectors alone.

    With `more` the first hits are mixed into the example: see core.more_of_kind.
    """

    collection: str
    sought: Keywords | Text | Everything | Example | Like
    conditions: tuple[Condition, ...] = ()
    space: str = ""
    limit: int = DEFAULT_LIMIT
    page: Page = 0
    max_distance: float | None = None
    exact: bool = False
    order: Order = Order.RELEVANCE
    facets: tuple[Facet, ...] = ()
    more: bool = False


@dataclass(frozen=True)
class QueryVector:
    """The vector that photos are compared with: [dimension], in the form that `space` stores.

    `provenance` is that of the vector.
    """

    space: Space
    provenance: str
    vector: Vectors


@dataclass(frozen=True)
class Answer:
    """The matches; `space` is the searched one, empty for words; `next_page` is None on the last page.

    `mixed_in` are the ids of the photos that were mixed into the example, nearest first. `whole_photos`: a region was compared
    with whole photos, because the collection has no space of regions. `understood` has the words of the question;
    `is_text`: they are those of a text.
    """

    matches: Matches
    space: str
    next_page: Page | None
    mixed_in: tuple[str, ...] = ()
    whole_photos: bool = False
    understood: tuple[UnderstoodWord, ...] = ()
    is_text: bool = False


def plan(question: Question, query_vector: QueryVector | None, understood: Sequence[UnderstoodWord] = ()) -> IndexQuery:
    """The query of the index. `query_vector` is the photo's, for Example and Like; `understood` are the words of Keywords."""
    query = IndexQuery(
        collection=question.collection,
        clause=_clause(question, query_vector, understood),
        conditions=question.conditions,
        limit=question.limit,
        offset=offset_of(question.page),
        order=question.order,
        after=question.page if isinstance(question.page, After) else None,
        behind=question.page if isinstance(question.page, Behind) else None,
        facets=question.facets,
    )
    if query.pages_by_key:
        return replace(query, limit=question.limit + 1)  # one more than asked, to see whether there is a next page
    return replace(query, limit=min(question.limit, MAX_RANKED - query.offset))


def offset_of(page: Page) -> int:
    """How many hits of a ranking were shown before the page; 0 for one that begins after a hit of a listing."""
    match page:
        case After():
            return 0
        case Behind(offset):
            return offset
        case offset:
            return offset


def page_of(question: Question, query: IndexQuery, matches: Matches) -> tuple[Matches, Page | None]:
    """The matches to return, and the next page, None when there is none."""
    if query.pages_by_key:
        shown = matches.matches[: question.limit]
        if len(shown) == len(matches.matches):
            return matches, None
        last, document = shown[-1], shown[-1].document
        taken_at = document.taken_at.instant if document and document.taken_at else None
        return replace(matches, matches=shown), After(last.photo_id, last.score, taken_at)
    after = query.offset + len(matches.matches)
    is_last = len(matches.matches) < query.limit or (matches.total_is_exact and after >= matches.total)
    if is_last or after >= MAX_RANKED:
        return matches, None
    last = matches.matches[-1]
    return matches, after if last.distance is None else Behind(after, last.photo_id, last.distance)


def searched_space(
    question: Question,
    spaces: Sequence[Space],
    *,
    default_space: str,
    preset_of: Callable[[str], Preset | None] = lambda _: None,
) -> Space:
    """The space of the collection that the question names, or the default one; for a region, the space of regions.

    In a collection without regions, a region is compared with whole photos. `preset_of` returns the smallest preset that has
    the space of a name, None for a space of no known bundle. Raises InvalidArgument.
    """
    regional = [space for space in spaces if space.compares_regions]
    if not regional or not (isinstance(question.sought, Example | Like) and question.sought.region):
        name = question.space or default_space
        try:
            return resolve_space(name, spaces)
        except InvalidArgument as exc:
            if (preset := preset_of(name)) is None:
                raise
            raise InvalidArgument("space", _not_held(name, question.collection, preset, spaces)) from exc
    allowed = ", ".join(space.name for space in regional)
    if question.space:
        space = resolve_space(question.space, spaces)
        if space not in regional:
            raise InvalidArgument("space", f"{space.name} has no regions to compare one with; allowed: {allowed}, or none")
        return space
    if len(regional) > 1:
        raise InvalidArgument("space", f"it is not set, and a region can be compared in several; allowed: {allowed}")
    return regional[0]


def _not_held(name: str, collection: str, preset: Preset, spaces: Sequence[Space]) -> str:
    """The laboratory has the spaces of many bundles only where the settings name these, so it is no advice."""
    start, end = f"collection {shown(collection)} does not hold {name}", f"or ask in {', '.join(space.name for space in spaces)}"
    if preset is Preset.LABORATORY:
        return f"{start}: index into a collection with --spaces {name}, {end}"
    return f"{start}, which the preset {preset} has: index into a collection of that preset, {end}"


def offered_space(space: Space, bundles: Sequence[BundleDescription]) -> tuple[BundleDescription, Space]:
    """The loaded bundle that makes vectors of `space`, and the bundle's own description of it, whose provenance may differ.

    Raises FailedPrecondition when no loaded bundle does.
    """
    for bundle in bundles:
        for offered in bundle.spaces:
            if offered.name == space.name:
                return bundle, offered
    loaded = ", ".join(bundle.name for bundle in bundles) or "none"
    raise FailedPrecondition(f"space {space.name}: its bundle {space.bundle} is not loaded; loaded: {loaded}; load it too")


def keyword_clause(understood: Iterable[UnderstoodWord]) -> KeywordClause:
    """The tags of all words. A tag that several words lead to has the largest of its weights."""
    weights: dict[str, float] = {}
    for word in understood:
        for term in word.terms:
            weights[term.text] = max(term.weight, weights.get(term.text, 0.0))
    return KeywordClause(tuple(weights), tuple(weights.values()))


def _clause(question: Question, query_vector: QueryVector | None, understood: Sequence[UnderstoodWord]) -> Clause:
    match question.sought:
        case Keywords():
            return keyword_clause(understood)
        case Text(clause):
            return clause
        case Everything():
            return EverythingClause()
        case Example() | Like():
            assert query_vector is not None, "Example and Like are embedded before they are planned"
            return VectorClause(
                query_vector.space.name, query_vector.provenance, query_vector.vector, question.max_distance, question.exact
            )
