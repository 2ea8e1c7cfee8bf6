"""A question in the program's own terms, checked once, and the engine's answer to it."""

from dataclasses import dataclass
from datetime import datetime

from miradouro.core.document import Document, Float32, Place
from miradouro.core.spaces import Region

MAX_LIMIT = 1_000
DEFAULT_LIMIT = 10
MAX_RANKED = 10_000  # how deep ranked answers can be paged, as in OpenSearch
MAX_WORDS = 64
MAX_TEXT_CHARS = 1_024


@dataclass(frozen=True)
class KeywordClause:
    """Photos that carry any of these tags; score = sum of the tags' probabilities. Words as `fold_tag` leaves them."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class TextClause:
    """Photos by BM25. Each entry is a phrase of one or more raw words; the engine's analyser does the rest.

    A hit holds every phrase of `must`, none of `must_not`, and at least one of `should` unless `must` is not empty.
    """

    should: tuple[str, ...]
    must: tuple[str, ...]
    must_not: tuple[str, ...]


@dataclass(frozen=True)
class VectorClause:
    """Photos by Euclidean distance to `vector` (float32 [dimension], length 1) in the space named `space`.

    `provenance` is the embedder's; the index refuses one that is not its own. `max_distance` is 0 to 2 or None.
    `exact` forbids approximate structures.
    """

    space: str
    provenance: str
    vector: Float32
    max_distance: float | None = None
    exact: bool = False


@dataclass(frozen=True)
class TagIs:
    """The photo carries the tag, of any kind; `label` as `fold_tag` leaves it."""

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
    """Taken at or after `start` and before `end` (aware, None for no bound)."""

    start: datetime | None
    end: datetime | None


@dataclass(frozen=True)
class Near:
    """Taken within `radius_m` metres (great circle, sphere of radius 6,371,008.8 m) of `center`."""

    center: Place
    radius_m: float


@dataclass(frozen=True)
class InBox:
    """Taken in the box; it crosses the 180th meridian when north_east lies west of south_west."""

    south_west: Place
    north_east: Place


@dataclass(frozen=True)
class FileNamePrefix:
    """The last part of photo_id begins with `prefix`; case matters."""

    prefix: str


@dataclass(frozen=True)
class NoneOf:
    """None of the conditions holds."""

    conditions: "tuple[Condition, ...]"


Clause = KeywordClause | TextClause | VectorClause
Condition = TagIs | OwnerIs | AttributeIn | TakenBetween | Near | InBox | FileNamePrefix | NoneOf


@dataclass(frozen=True)
class IndexQuery:
    """What an index is asked: one clause, conditions that all hold, and a window into the ranking.

    `offset` + `limit` is at most MAX_RANKED. Equal scores are ordered by photo id (code points).
    """

    collection: str
    clause: Clause
    conditions: tuple[Condition, ...] = ()
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    with_documents: bool = True


@dataclass(frozen=True)
class Match:
    """A photo that the index found. `distance` is None for words; `document` is None unless asked for."""

    photo_id: str
    score: float
    distance: float | None
    region: Region | None
    document: Document | None


@dataclass(frozen=True)
class Matches:
    """The engine's answer.

    `total`: for words the photos that match, for vectors those that pass the conditions and max_distance.
    `truncated`: photos within max_distance exist that no page can reach. `exact`: no approximate structure was used.
    """

    matches: tuple[Match, ...]
    total: int
    total_is_exact: bool
    truncated: bool
    exact: bool
