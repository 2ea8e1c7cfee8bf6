"""Photo events as hypothesis makes them."""

from datetime import UTC, datetime

from hypothesis import strategies as st
from miradouro.core.document import GeoPoint, TakenAt
from miradouro.core.event import MAX_VERSION, EventKind, PhotoEvent

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
EVENTS = st.builds(
    PhotoEvent,
    event_id=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30),
    kind=st.sampled_from([EventKind.UPLOADED, EventKind.UPDATED]),
    collection=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True),
    photo_id=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60),
    version=st.integers(1, MAX_VERSION),
    data=st.binary(max_size=100),
    title=TEXT,
    caption=TEXT,
    tags=st.lists(TEXT.filter(bool), max_size=4).map(tuple),
    owner=TEXT,
    attributes=st.dictionaries(TEXT.filter(bool), TEXT, max_size=3),
    place=st.none() | st.builds(GeoPoint, st.floats(-90, 90), st.floats(-180, 180)),
    taken_at=st.none()
    | st.builds(
        TakenAt,
        st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - the zone is beside
        st.none() | st.integers(-1_080, 1_080),
    ),
)
