"""The query of an index, checked once, and the engine's answer to it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from miradouro.core.document import Document, GeoPoint, Vectors
from miradouro.core.spaces import Region

MAX_LIMIT = 1_000
DEFAULT_LIMIT = 10
MAX_RANKED = 10_000  # hits of a ranking that can be paged through, as in OpenSearch
MAX_WORDS = 64
MAX_TEXT_TERMS = 100
MAX_TEXT_CHARS = 1_024
DEFAULT_FACET_SIZE = 10
MAX_FACET_SIZE = 1_000
CAMERA_ATTRIBUTE = "camera"


class Order(StrEnum):
    """The order of an answer; ties by photo id (code points).

    RELEVANCE: best first. TAKEN: newest first by the instant of taking, photos without one last.
    """

    RELEVANCE = "relevance"
    TAKEN = "taken"


class FacetField(StrEnum):
    """What a facet counts: tags of any kind, folded by `fold_tag`; owners; years of wall clocks; the attribute `camera`."""

    TAG = "tag"
    OWNER = "owner"
    YEAR = "year"
    CAMERA = "camera"


@dataclass(frozen=True)
class KeywordClause:
    """Photos that carry any of these tags; score = sum of weight x searched score of the tag (`Tag.searched_score`).

    `fold_tag` has folded the words. `weights` has the weight of each, above 0; empty when each is 1.
    """

    words: tuple[str, ...]
    weights: tuple[float, ...] = ()

    @property
    def weighted(self) -> dict[str, float]:
        """The weight of each word; the first one counts where a word occurs twice."""
        weights = self.weights or (1.0,) * len(self.words)
        return dict(reversed(list(zip(self.words, weights, strict=True))))


@dataclass(frozen=True)
class Alternatives:
    """Words that a `word` of a text clause also stands for, each with a weight above 0, at most 1. The best of all counts."""

    word: str
    others: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class TextClause:
    """Photos by BM25, as core.searched_texts weights it. Each entry is a phrase of one or more raw words.

    The engine analyses them as core.text describes. A hit holds every phrase of `must` and none of `must_not`. When `must` is
    empty, it holds at least one of `should` or of their `alternatives`.
    """

    should: tuple[str, ...]
    must: tuple[str, ...]
    must_not: tuple[str, ...]
    alternatives: tuple[Alternatives, ...] = ()


@dataclass(frozen=True)
class VectorClause:
    """Photos by Euclidean distance to `vector` in the space named `space`.

    `vector` is [dimension] in the form that the space stores: float32 of length 1, or int8 codes (core.codes). Codes stand for
    vectors of length 1: their distance is sqrt(2 - 2 cosine).
    `provenance` is the embedder's; the index refuses any but its own. `max_distance` is 0 to 2 or None.
    `exact` forbids approximate search.
    """

    space: str
    provenance: str
    vector: Vectors
    max_distance: float | None = None
    exact: bool = False


@dataclass(frozen=True)
class EverythingClause:
    """Every photo; each has score 0, so that relevance orders by photo id."""


@dataclass(frozen=True)
class TagIs:
    """The photo carries the tag, of any kind; `fold_tag` has folded the `label`."""

    label: str


@dataclass(frozen=True)
class OwnerIs:
    """The photo belongs to this owner."""

    owner: str


@dataclass(frozen=True)
class AttributeIn:
    """The attribute has one of the values."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class TakenBetween:
    """Taken at or after `start` and before `end` (None for no bound).

    An aware bound is compared with the instant, a naive one with the wall clock of the photo (`TakenAt.local`).
    """

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True)
class Near:
    """Taken within `radius_m` metres (great circle, sphere of radius 6,371,008.8 m) of `center`."""

    center: GeoPoint
    radius_m: float


@dataclass(frozen=True)
class InBox:
    """Taken in the box; it crosses the 180th meridian when north_east lies west of south_west."""

    south_west: GeoPoint
    north_east: GeoPoint


@dataclass(frozen=True)
class FileNamePrefix:
    """The last part of photo_id, in Unicode form NFC, begins with `prefix`, which is in NFC too; case matters."""

    prefix: str


@dataclass(frozen=True)
class NoneOf:
    """None of the conditions holds."""

    conditions: "tuple[Condition, ...]"


Clause = KeywordClause | TextClause | VectorClause | EverythingClause
Condition = TagIs | OwnerIs | AttributeIn | TakenBetween | Near | InBox | FileNamePrefix | NoneOf


@dataclass(frozen=True)
class After:
    """The last photo of a page. The next page begins after it, whatever is added or deleted meanwhile.

    Its position is given by `score` or `taken_at` (aware, None when unknown), whichever orders the answer, then by `photo_id`.
    """

    photo_id: str
    score: float = 0.0
    taken_at: datetime | None = None


@dataclass(frozen=True)
class Behind:
    """The end of a page of a ranking by distance: `offset` hits so far, the last of them `photo_id` at `distance`."""

    offset: int
    photo_id: str
    distance: float


@dataclass(frozen=True)
class Facet:
    """A field to count by, and how many of its values to return, 1 to MAX_FACET_SIZE."""

    field: FacetField
    size: int = DEFAULT_FACET_SIZE


@dataclass(frozen=True)
class FacetCount:
    """A value and how many photos have it."""

    value: str
    photos: int


@dataclass(frozen=True)
class FacetCounts:
    """The most frequent values, ties by value (code points); `values` is the number of distinct values.

    Photos without a value (no tag, owner, time or camera) are in no count.
    """

    field: FacetField
    counts: tuple[FacetCount, ...]
    values: int


@dataclass(frozen=True)
class IndexQuery:
    """One query: a clause, conditions that must all hold, an order, and a window into it.

    `offset` + `limit` is at most MAX_RANKED. With `pages_by_key`, `after` replaces `offset`. `behind` is the end of the previous
    page. An approximate index may have more near hits now than it had then; hits that are not farther than `behind` are left
    out. `facets` count every photo that matches the clause (its max_distance included) and the conditions, whatever the window.
    """

    collection: str
    clause: Clause
    conditions: tuple[Condition, ...] = ()
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    with_documents: bool = True
    order: Order = Order.RELEVANCE
    after: After | None = None
    behind: Behind | None = None
    facets: tuple[Facet, ...] = ()

    @property
    def pages_by_key(self) -> bool:
        """Whether a page can begin `after` a photo. The rank must depend on that photo alone, so not on BM25 or distance."""
        return self.order is Order.TAKEN or isinstance(self.clause, KeywordClause | EverythingClause)


@dataclass(frozen=True)
class Match:
    """A hit. `distance` is None for words; `document` is None unless the query has `with_documents`."""

    photo_id: str
    score: float
    distance: float | None
    region: Region | None
    document: Document | None


@dataclass(frozen=True)
class Matches:
    """The engine's answer.

    `total`: for words the photos that match, for vectors those that pass the conditions and max_distance; always exact in a
    query with facets. `facets`: one FacetCounts for each facet of the query, in that order.
    `truncated`: photos within max_distance exist that no page can reach. `exact`: no approximate search was used.
    """

    matches: tuple[Match, ...]
    total: int
    total_is_exact: bool
    truncated: bool
    exact: bool
    facets: tuple[FacetCounts, ...] = ()
