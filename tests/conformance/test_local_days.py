"""Days and years go by the wall clock where a photo was taken, instants by the instant: one table for every index."""

from datetime import UTC, datetime, timedelta

import pytest
from miradouro.core.document import Document, TakenAt
from miradouro.core.filter_grammar import parse_filter
from miradouro.core.query import EverythingClause, Facet, FacetField, IndexQuery, Order

from tests.conformance.engines import Index
from tests.photo_documents import COLLECTION, SPACES, photo


def taken(local: str, offset: int | None) -> TakenAt:
    return TakenAt(datetime.fromisoformat(local).replace(tzinfo=UTC) - timedelta(minutes=offset or 0), offset)


# Photo → wall clock, offset in minutes.
PHOTOS = {
    "honolulu": ("2023-12-31T23:30", -600),  # 2024-01-01T09:30Z
    "lisbon": ("2024-01-01T00:00", 0),
    "tokyo": ("2024-01-01T00:30", 540),  # 2023-12-31T15:30Z
    "unknown": ("2024-01-01T00:30", None),
    "kathmandu": ("2024-01-01T05:44:59.999999", 345),  # 2023-12-31T23:59:59.999999Z
    "leap day": ("2024-02-29T23:59:59.999999", -300),  # 2024-03-01T04:59:59.999999Z
    "new year's eve": ("2024-12-31T23:59:59.999999", -720),  # 2025-01-01T11:59:59.999999Z
    "before the epoch": ("1969-12-31T23:59:59.999999", 60),
    "first year": ("0001-01-01T00:00", -1080),
    "last year": ("9998-12-31T23:59:59.999999", 1080),
}
OF_2024 = {"lisbon", "tokyo", "unknown", "kathmandu", "leap day", "new year's eve"}
CASES = {
    "taken:2024": OF_2024,
    "taken:2023": {"honolulu"},
    "taken:2024-01-01": {"lisbon", "tokyo", "unknown", "kathmandu"},
    "taken:2024-01": {"lisbon", "tokyo", "unknown", "kathmandu"},
    "taken:2024-02-29": {"leap day"},
    "taken:2024-03": set(),
    "taken:2023-12-31..2024-01-01": {"honolulu", "lisbon", "tokyo", "unknown", "kathmandu"},
    "taken:2024..": OF_2024 | {"last year"},
    "taken:..2023": {"honolulu", "before the epoch", "first year"},
    "taken:2024-01-01T00:30": {"tokyo", "unknown"},
    "taken:2024-01-01T00:30:00.000001..2024-01-02": {"kathmandu"},
    "-taken:2024": set(PHOTOS) - OF_2024 | {"no time"},
    "taken:..": set(PHOTOS),
    # Instants, independent of the wall clock. An unknown offset counts as UTC.
    "taken:2024-01-01T00:00:00Z..": OF_2024 - {"tokyo", "kathmandu"} | {"honolulu", "last year"},
    "taken:2023-12-31T15:30:00Z": {"tokyo"},
    "taken:2024-01-01T00:30:00+09:00": {"tokyo"},
    "taken:2024-01-01T00:30:00Z": {"unknown"},
    "taken:2025-01-01T00:00:00Z..2025-01-02T00:00:00Z": {"new year's eve"},
    # An instant and a local time in one span.
    "taken:2024-01-01T00:00:00Z..2024-01-01": {"lisbon", "unknown", "honolulu"},
    "taken:2024-01-01..2023-12-31T23:59:59Z": {"tokyo", "kathmandu"},
    "taken:0001": {"first year"},
    "taken:9998": {"last year"},
    "taken:1969": {"before the epoch"},
    "taken:1970": set(),
}
YEARS = {"2024": 6, "0001": 1, "1969": 1, "2023": 1, "9998": 1}


def documents() -> list[Document]:
    return [*(photo(name, taken_at=taken(*at)) for name, at in PHOTOS.items()), photo("no time")]


@pytest.fixture
def filled(index: Index) -> Index:
    index.ensure_collection(COLLECTION, spaces=SPACES)
    index.write(documents())
    return index


def ids(index: Index, filter_text: str = "", order: Order = Order.RELEVANCE) -> list[str]:
    query = IndexQuery(COLLECTION, EverythingClause(), parse_filter(filter_text), limit=100, order=order)
    return [match.photo_id for match in index.search(query).matches]


def test_days_are_local_and_instants_are_not(filled: Index) -> None:
    assert {text: set(ids(filled, text)) for text in CASES} == CASES


def test_facet_counts_local_years(filled: Index) -> None:
    [facet] = filled.search(IndexQuery(COLLECTION, EverythingClause(), facets=(Facet(FacetField.YEAR),))).facets
    assert {one.value: one.photos for one in facet.counts} == YEARS
    assert list(ids(filled, "taken:2024")) == sorted(OF_2024), "a facet's value is the filter's"


def test_instant_orders_photos_and_is_kept(filled: Index) -> None:
    instants = {name: taken(*at).instant for name, at in PHOTOS.items()}
    assert ids(filled, order=Order.TAKEN) == [*sorted(instants, key=lambda name: (-_since(instants[name]), name)), "no time"]
    for name, at in PHOTOS.items():
        assert filled.get(COLLECTION, name).taken_at == taken(*at)


def _since(instant: datetime) -> float:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
