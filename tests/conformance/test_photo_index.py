"""Writing and reading back: what `PhotoIndex` promises whichever engine is behind it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from miradouro.core.document import Document, GeoPoint, Origin, TakenAt
from miradouro.core.errors import InvalidArgument, NotFound, ProvenanceMismatch
from miradouro.core.ports import MAX_SAME_BYTES, WriteStatus
from miradouro.core.query import IndexQuery, KeywordClause, TextClause, VectorClause
from miradouro.core.spaces import Storage

from tests.conformance.engines import Index
from tests.photo_documents import (
    COLLECTION,
    PARTS,
    POOLED,
    SPACES,
    WHOLE,
    asked,
    label,
    parent,
    photo,
    tombstone,
    unit,
    user_tag,
    vectors_of,
)

STORED, STALE = WriteStatus.STORED, WriteStatus.STALE
# Engines store vectors in 16 bits: a part of 2,048 of every number.
STORED_ERROR = 1e-3
FULL = photo(
    "trips/Graça 1.jpg",
    3,
    uri="file:///trips/1.jpg",
    media_type="image/jpeg",
    sha256="a" * 64,
    perceptual_hash="0123456789abcdef",
    width=640,
    height=480,
    title="Miradouro da Graça",
    caption="Sunset over the city\nwith a tram",
    caption_is_generated=True,
    tags=(parent("vehicle", 0.5), label("streetcar", 0.25), label("trolleybus", 0.25), user_tag("Lisboa"), label("bus", 0.5)),
    owner="ana",
    attributes={"camera": "X100", "weird name é": "väl\nue"},
    place=GeoPoint(38.7167, -9.1333),
    taken_at=TakenAt(datetime(2023, 6, 1, 19, 30, 0, 123_456, tzinfo=UTC), 60),
    origin=Origin(10, 2**62, 2**62 + 1, 2**64 - 1, "a" * 64, "b" * 64),
)
collections = count()


@pytest.fixture(autouse=True)
def collection(index: Index) -> None:
    index.ensure_collection(COLLECTION, spaces=SPACES)


def ids(index: Index, clause: KeywordClause | TextClause | VectorClause, collection: str = COLLECTION) -> list[str]:
    return [match.photo_id for match in index.search(IndexQuery(collection, clause, limit=1_000)).matches]


def like(vector_of: Document) -> VectorClause:
    return VectorClause(WHOLE.name, WHOLE.provenance, vector_of.vectors[WHOLE.name][0])


def test_a_photo_is_read_back_as_written(index: Index) -> None:
    assert index.write([FULL]) == [STORED]
    found = index.get(COLLECTION, FULL.photo_id)
    assert [tag.label for tag in found.tags] == ["Lisboa", "bus", "streetcar", "trolleybus", "vehicle"]
    assert set(found.tags) == set(FULL.tags)
    assert found == replace(FULL, tags=found.tags, vectors={}, provenances={})


def test_a_whole_photo_includes_its_versions_vectors(index: Index) -> None:
    index.write([FULL, Document(COLLECTION, "bare.jpg", 1), photo("part.jpg", spaces=(WHOLE,))])
    found = index.get_whole(COLLECTION, FULL.photo_id)
    assert replace(found, vectors={}, provenances={}) == index.get(COLLECTION, FULL.photo_id)
    assert found.provenances == FULL.provenances
    assert list(found.vectors) == [space.name for space in SPACES]
    for name, vectors in found.vectors.items():
        np.testing.assert_array_equal(vectors, index.vector(COLLECTION, FULL.photo_id, name))
    assert index.get_whole(COLLECTION, "bare.jpg").vectors == {}
    assert list(index.get_whole(COLLECTION, "part.jpg").vectors) == [WHOLE.name]
    assert index.write([replace(found, version=FULL.version + 1)]) == [STORED], "what was read may be written"
    for name, vectors in index.get_whole(COLLECTION, FULL.photo_id).vectors.items():
        np.testing.assert_array_equal(vectors, found.vectors[name])
    index.write([tombstone(FULL.photo_id, FULL.version + 2)])
    for missing in (FULL.photo_id, "never.jpg"):
        with pytest.raises(NotFound):
            index.get_whole(COLLECTION, missing)


def test_a_photo_without_anything_comes_back_too(index: Index) -> None:
    bare = Document(COLLECTION, "bare.jpg", 1)
    index.write([bare])
    assert index.get(COLLECTION, "bare.jpg") == bare


@pytest.mark.parametrize("offset", [None, 0, -1_080, 1_080])
def test_a_time_keeps_microseconds_and_its_offset_state(index: Index, offset: int | None) -> None:
    taken = TakenAt(datetime(1904, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC), offset)
    index.write([photo("a.jpg", taken_at=taken)])
    assert index.get(COLLECTION, "a.jpg").taken_at == taken


def test_vectors_come_back_as_their_space_stores_them(index: Index) -> None:
    index.write([FULL])
    for space in SPACES:
        found = index.vector(COLLECTION, FULL.photo_id, space.name)
        assert found.shape == (space.vectors_per_photo, space.dimension)
        assert found.dtype == (np.int8 if space.storage is Storage.INT8 else np.float32)
        if space.storage is Storage.INT8:
            np.testing.assert_array_equal(found, FULL.vectors[space.name])
        else:
            assert np.abs(found - FULL.vectors[space.name]).max() < STORED_ERROR


def test_a_version_that_is_not_newer_changes_nothing(index: Index) -> None:
    assert index.write([photo("a.jpg", 5, caption="new")]) == [STORED]
    assert (
        index.write([photo("a.jpg", 5, caption="same"), photo("a.jpg", 4, caption="old"), tombstone("a.jpg", 5)]) == [STALE] * 3
    )
    assert index.get(COLLECTION, "a.jpg").caption == "new"
    assert ids(index, TextClause(("old", "same"), (), ())) == []


def test_a_batch_may_hold_several_photo_versions(index: Index) -> None:
    statuses = index.write([photo("a.jpg", 1), photo("a.jpg", 3, caption="three"), photo("a.jpg", 2), photo("b.jpg", 1)])
    assert statuses == [STORED, STORED, STALE, STORED]
    assert index.get(COLLECTION, "a.jpg").caption == "three"
    assert ids(index, like(photo("a.jpg", 3))) == ["a.jpg", "b.jpg"]


def test_only_the_new_versions_content_is_found(index: Index) -> None:
    index.write([photo("a.jpg", 1, caption="harbour", tags=(label("pier", 0.5),), title="one")])
    index.write([photo("a.jpg", 2, caption="mountain", tags=(label("alp", 0.5),), title="two")])
    assert [ids(index, TextClause((word,), (), ())) for word in ("harbour", "one", "mountain", "two")] == [
        [],
        [],
        ["a.jpg"],
        ["a.jpg"],
    ]
    assert [ids(index, KeywordClause((word,))) for word in ("pier", "alp")] == [[], ["a.jpg"]]
    (hit,) = index.search(IndexQuery(COLLECTION, like(photo("a.jpg", 1)))).matches
    assert hit.distance is not None
    assert hit.distance > 0.1


def test_a_tombstone_hides_a_photo_from_older_writes(index: Index) -> None:
    index.write([FULL, photo("other.jpg")])
    assert index.write([tombstone(FULL.photo_id, 7)]) == [STORED]
    assert index.write([photo(FULL.photo_id, 6), photo(FULL.photo_id, 7)]) == [STALE, STALE]
    with pytest.raises(NotFound, match=r"trips/Graça 1\.jpg"):
        index.get(COLLECTION, FULL.photo_id)
    with pytest.raises(NotFound):
        index.vector(COLLECTION, FULL.photo_id, WHOLE.name)
    assert ids(index, KeywordClause(("lisboa", "vehicle"))) == []
    assert ids(index, TextClause(("sunset", "graca", "streetcar"), (), ())) == []
    assert ids(index, like(FULL)) == ["other.jpg"]
    state = {state.photo_id: state for state in index.origins(COLLECTION)}[FULL.photo_id]
    assert (state.version, state.deleted, state.sha256, state.origin) == (7, True, "", None)


def test_a_tombstone_may_come_before_the_photo(index: Index) -> None:
    assert index.write([tombstone("a.jpg", 2)]) == [STORED]
    assert index.write([photo("a.jpg", 1)]) == [STALE]
    assert index.write([photo("a.jpg", 3)]) == [STORED]
    assert ids(index, like(photo("a.jpg", 3))) == ["a.jpg"]


EVENTS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6)), min_size=1, max_size=14)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(events=EVENTS, batch=st.integers(1, 5), data=st.data())
def test_events_in_any_order_give_the_same_state(
    index: Index, events: list[tuple[str, int]], batch: int, data: st.DataObject
) -> None:
    """The model: of every photo its highest version, which is a tombstone when the version is a multiple of three."""
    name = f"model{next(collections)}"
    index.ensure_collection(name, spaces=SPACES)

    def document(photo_id: str, version: int) -> Document:
        if version % 3 == 0:
            return tombstone(photo_id, version, collection=name)
        return photo(photo_id, version, collection=name, caption=f"version{version}", tags=(label(f"tag{version}", 0.5),))

    shuffled = data.draw(st.permutations(events))
    highest: dict[str, int] = {}
    for start in range(0, len(shuffled), batch):
        part = shuffled[start : start + batch]
        expected = []
        for photo_id, version in part:
            expected.append(STORED if version > highest.get(photo_id, 0) else STALE)
            highest[photo_id] = max(version, highest.get(photo_id, 0))
        assert index.write([document(*event) for event in part]) == expected
    live = {photo_id: version for photo_id, version in highest.items() if version % 3}
    assert [(state.photo_id, state.version, state.deleted) for state in index.origins(name)] == [
        (photo_id, highest[photo_id], photo_id not in live) for photo_id in sorted(highest)
    ]
    for version in range(1, 7):
        carriers = sorted(photo_id for photo_id, at in live.items() if at == version)
        assert ids(index, KeywordClause((f"tag{version}",)), name) == carriers
        assert sorted(ids(index, TextClause((f"version{version}",), (), ()), name)) == carriers
    for photo_id, version in live.items():
        answer = index.search(IndexQuery(name, like(photo(photo_id, version)), limit=10))
        assert (answer.matches[0].photo_id, answer.total) == (photo_id, len(live))
        assert answer.matches[0].distance == pytest.approx(0, abs=STORED_ERROR)
    (stats,) = (one for one in index.stats() if one.name == name)
    assert (stats.photos, stats.deleted) == (len(live), len(highest) - len(live))
    assert [space.vectors for space in stats.spaces] == [len(live) * space.vectors_per_photo for space in SPACES]


@pytest.mark.parametrize(
    ("vectors", "reason"),
    [
        ({WHOLE.name: unit(0, 1, 31)}, "32"),
        ({WHOLE.name: unit(0, 1, 32)[0]}, "32"),
        ({PARTS.name: unit(0, 13, 16)}, "14"),
        ({WHOLE.name: np.full((1, 32), np.nan, np.float32)}, "NaN"),
        ({WHOLE.name: np.full((1, 32), np.inf, np.float32)}, "NaN or infinity"),
        ({WHOLE.name: unit(0, 1, 32) * 1.02}, "length 1.02"),
        ({WHOLE.name: np.zeros((1, 32), np.float32)}, "length 0"),
        ({WHOLE.name: np.eye(1, 32, dtype=np.int64)}, "float32"),
        ({WHOLE.name: asked(0, POOLED)[None]}, "int8 .* is not float32"),
        ({POOLED.name: unit(0, 1, 8)}, "float32 .* is not int8"),
        ({POOLED.name: np.zeros((1, 8), np.int8)}, "all codes"),
        ({POOLED.name: np.full((1, 8), -128, np.int8)}, "-128"),
        ({"other/features": unit(0, 1, 32)}, "other/features"),
    ],
)
def test_an_incomparable_vector_refuses_its_whole_batch(index: Index, vectors: dict[str, np.ndarray], reason: str) -> None:
    provenances = dict.fromkeys(vectors, "0" * 64) | {space.name: space.provenance for space in SPACES}
    bad = photo("bad.jpg", vectors=vectors, provenances=provenances)
    with pytest.raises(InvalidArgument, match=reason):
        index.write([photo("good.jpg"), bad])
    assert list(index.origins(COLLECTION)) == []


def test_vectors_made_in_another_way_are_never_written(index: Index) -> None:
    strange = photo("a.jpg", provenances={**{space.name: space.provenance for space in SPACES}, WHOLE.name: "f" * 64})
    with pytest.raises(ProvenanceMismatch, match=rf"{'0' * 64}.*{'f' * 64}"):
        index.write([strange])
    with pytest.raises(InvalidArgument, match="provenance"):
        index.write([photo("a.jpg", provenances={})])
    assert list(index.origins(COLLECTION)) == []


def test_vectors_made_in_another_way_are_never_compared(index: Index) -> None:
    index.write([FULL])
    with pytest.raises(ProvenanceMismatch, match=rf"{'0' * 64}.*{'f' * 64}"):
        index.search(IndexQuery(COLLECTION, VectorClause(WHOLE.name, "f" * 64, FULL.vectors[WHOLE.name][0])))


def test_a_photo_may_lack_spaces(index: Index) -> None:
    index.write([photo("a.jpg", vectors={WHOLE.name: unit(1, 1, 32)}), photo("b.jpg")])
    parts = VectorClause(PARTS.name, PARTS.provenance, photo("b.jpg").vectors[PARTS.name][0])
    assert ids(index, parts) == ["b.jpg"]
    assert len(ids(index, like(photo("b.jpg")))) == 2
    with pytest.raises(NotFound, match="small/pool5/regions"):
        index.vector(COLLECTION, "a.jpg", PARTS.name)
    assert list(index.spaces_of(COLLECTION, "a.jpg")) == [WHOLE.name]
    assert list(index.spaces_of(COLLECTION, "b.jpg")) == [space.name for space in SPACES]
    index.write([tombstone("b.jpg", 2)])
    for missing in ("b.jpg", "b.png"):
        with pytest.raises(NotFound, match="is not in collection"):
            index.spaces_of(COLLECTION, missing)
    with pytest.raises(NotFound, match=r"'b\.png' is not in collection"):
        index.vector(COLLECTION, "b.png", PARTS.name)


def test_a_new_version_removes_all_old_spaces(index: Index) -> None:
    index.write([photo("a.jpg", 1)])
    index.write([photo("a.jpg", 2, vectors={WHOLE.name: unit(1, 1, 32)})])
    assert ids(index, VectorClause(PARTS.name, PARTS.provenance, photo("a.jpg").vectors[PARTS.name][0])) == []
    assert [space.vectors for space in index.stats()[0].spaces] == [1, 0, 0]


def test_unknown_names_are_reported_with_the_known_ones(index: Index) -> None:
    vector = VectorClause("small/fc7", "0" * 64, unit(0, 1, 32)[0])
    with pytest.raises(InvalidArgument, match=r"small/fc7.*small/features"):
        index.search(IndexQuery(COLLECTION, vector))
    with pytest.raises(InvalidArgument, match="small/fc7"):
        index.vector(COLLECTION, "a.jpg", "small/fc7")
    for call in (
        lambda: index.write([photo("a.jpg", collection="nowhere")]),
        lambda: index.search(IndexQuery("nowhere", KeywordClause(("a",)))),
        lambda: index.get("nowhere", "a.jpg"),
        lambda: index.spaces("nowhere"),
        lambda: list(index.origins("nowhere")),
        lambda: index.states("nowhere", ["a.jpg"]),
        lambda: index.same_bytes("nowhere", "0" * 64),
        lambda: index.refresh_origins("nowhere", {}),
        lambda: index.vector("nowhere", "a.jpg", WHOLE.name),
    ):
        with pytest.raises(NotFound, match="nowhere"):
            call()


def test_a_layer_alone_means_its_default_pooling(index: Index) -> None:
    index.write([FULL])
    assert index.vector(COLLECTION, FULL.photo_id, "small/pool1").shape == (1, 8)
    assert tuple(index.spaces(COLLECTION)) == SPACES


def test_states_are_those_written_last(index: Index) -> None:
    index.write([photo("a.jpg", sha256="a" * 64), photo("b.jpg", sha256="b" * 64)])
    index.write([tombstone("a.jpg", 2), photo("b.jpg", 3, sha256="c" * 64)])
    states = {
        state.photo_id: (state.version, state.deleted, state.sha256)
        for state in index.states(COLLECTION, ["b.jpg", "x", "a.jpg"])
    }
    assert states == {"a.jpg": (2, True, ""), "b.jpg": (3, False, "c" * 64)}
    assert index.states(COLLECTION, []) == []


def test_photos_of_the_same_bytes_are_found(index: Index) -> None:
    copies = [photo(f"{number:02}.jpg", sha256="a" * 64) for number in range(MAX_SAME_BYTES + 2)]
    index.write([*copies[:3], photo("other.jpg", sha256="b" * 64)])
    index.write([tombstone("01.jpg", 2)])
    assert {state.photo_id for state in index.same_bytes(COLLECTION, "a" * 64)} == {"00.jpg", "02.jpg"}
    assert index.same_bytes(COLLECTION, "c" * 64) == []
    index.write(copies[3:])
    assert len(index.same_bytes(COLLECTION, "a" * 64)) == MAX_SAME_BYTES


def test_origins_are_in_byte_order_despite_writes(index: Index) -> None:
    names = ["Z.jpg", "a.jpg", "é.jpg", "\uff5e.jpg", "\U0001f600.jpg", *(f"many/{i:04}.jpg" for i in range(1_100))]
    index.write([Document(COLLECTION, name, 1) for name in names])
    states = index.origins(COLLECTION)
    first = next(states)
    index.write([Document(COLLECTION, name, 2, sha256="c" * 64) for name in names])
    rest = list(states)
    assert [first.photo_id, *(state.photo_id for state in rest)] == sorted(names, key=lambda name: name.encode())
    assert first.version == 1
    assert rest[-1].version == 2
    assert rest[-1].sha256 == "c" * 64


@pytest.mark.parametrize("within", ["", "a", "a/", "a/b.jpg", "é/", "nothing/"])
def test_origins_within_a_folder_share_its_prefix(index: Index, within: str) -> None:
    names = ["a.jpg", "a/b.jpg", "a/b.jpg.png", "a/é/c.jpg", "a0.jpg", "é/b.jpg", *(f"a/{i:04}.jpg" for i in range(1_100))]
    index.write([Document(COLLECTION, name, 1) for name in names])
    wanted = sorted((name for name in names if name.startswith(within)), key=str.encode)
    assert [state.photo_id for state in index.origins(COLLECTION, within=within)] == wanted


def test_new_file_states_are_remembered_and_versions_stay(index: Index) -> None:
    index.write([FULL, photo("event.jpg"), tombstone("gone.jpg", 2)])
    new = Origin(11, 12, 13, 14, "", "")
    index.refresh_origins(COLLECTION, {FULL.photo_id: new, "unknown.jpg": new, "gone.jpg": new})
    states = {state.photo_id: state for state in index.origins(COLLECTION)}
    assert {name: state.origin for name, state in states.items()} == {FULL.photo_id: new, "event.jpg": None, "gone.jpg": None}
    assert states[FULL.photo_id].version == 3


def test_collections_share_nothing(index: Index) -> None:
    index.ensure_collection("second", spaces=SPACES)
    index.write([photo("a.jpg", 9, caption="first"), photo("a.jpg", 1, collection="second", caption="second")])
    assert (index.get(COLLECTION, "a.jpg").caption, index.get("second", "a.jpg").caption) == ("first", "second")
    assert ids(index, TextClause(("second",), (), ())) == []
    assert [index.search(IndexQuery(name, like(photo("a.jpg", 9)))).total for name in (COLLECTION, "second")] == [1, 1]
    assert index.vector("second", "a.jpg", WHOLE.name) == pytest.approx(vectors_of(("a.jpg", 1))[WHOLE.name], abs=STORED_ERROR)


def test_a_time_without_a_zone_is_refused(index: Index) -> None:
    naive = TakenAt(datetime(2020, 1, 1), None)  # noqa: DTZ001 - that it is naive is the point
    with pytest.raises(InvalidArgument, match="taken_at"):
        index.write([photo("a.jpg", taken_at=naive)])


def test_text_that_is_no_unicode_is_refused(index: Index) -> None:
    with pytest.raises(InvalidArgument):
        index.write([photo("\udcff.jpg")])
    assert list(index.origins(COLLECTION)) == []


def test_size_counts_the_written_bytes(index: Index) -> None:
    before = index.size_bytes()
    index.write([photo(f"{i}.jpg", taken_at=TakenAt(datetime.now(UTC) + timedelta(days=i), 0)) for i in range(200)])
    assert index.size_bytes() > before
