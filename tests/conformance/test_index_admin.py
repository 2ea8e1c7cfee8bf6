"""Making and counting collections: what `IndexAdmin` promises whichever engine is behind it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.core.document import Failure
from miradouro.core.errors import FailedPrecondition, InvalidArgument, NotFound, ProvenanceMismatch, TooManyCollections
from miradouro.core.ports import CollectionStats, DeadLetters, SpaceStats, WriteStatus
from miradouro.core.spaces import Storage

from tests.conformance.engines import EMBEDDED, Index
from tests.photo_documents import PARTS, POOLED, SPACES, WHOLE, photo, tombstone


def test_a_new_index_has_no_collections(index: Index) -> None:
    assert list(index.stats()) == []
    with pytest.raises(NotFound, match="'photos'"):
        index.spaces("photos")


def test_a_collection_counts_photos_tombstones_and_vectors(index: Index) -> None:
    index.ensure_collection("photos", spaces=SPACES, root="/home/ana/photos")
    index.ensure_collection("events", spaces=[WHOLE])
    index.write([photo("a.jpg"), photo("b.jpg", vectors={}), photo("c.jpg"), tombstone("c.jpg", 2), tombstone("d.jpg", 1)])
    index.write([photo("a.jpg", 2), photo("d.jpg", 2)])

    def stats(space_photos: tuple[int, ...]) -> tuple[SpaceStats, ...]:
        return tuple(
            SpaceStats(space.name, space.dimension, space.provenance, photos * space.vectors_per_photo, space.preset)
            for space, photos in zip(SPACES, space_photos, strict=False)
        )

    assert list(index.stats()) == [
        CollectionStats("events", "", 0, 0, 0, stats((0,))),
        CollectionStats("photos", "/home/ana/photos", 3, 1, 0, stats((2, 2, 2))),
    ]


@pytest.mark.parametrize("index", EMBEDDED, indirect=True)  # OpenSearch's failures are in Kafka
def test_failures_count_where_the_index_keeps_them(index: Index) -> None:
    assert isinstance(index, SqliteIndex)
    dead_letters: DeadLetters = index
    index.ensure_collection("photos", spaces=SPACES)
    dead_letters.put([Failure("photos", name, 1, "truncated", "", "", datetime.now(UTC)) for name in ("a", "b")])
    dead_letters.put([Failure("other", "a", 1, "truncated", "", "", datetime.now(UTC))])
    index.write([photo("a")])
    assert [stats.failed for stats in index.stats()] == [1]


def test_the_same_collection_may_be_asked_for_again(index: Index) -> None:
    index.ensure_collection("photos", spaces=SPACES, root="/photos")
    index.write([photo("a.jpg")])
    index.ensure_collection("photos", spaces=tuple(reversed(SPACES)), root="/photos")
    index.ensure_collection("photos", spaces=SPACES)
    assert tuple(index.spaces("photos")) == SPACES
    assert (index.stats()[0].photos, index.stats()[0].root) == (1, "/photos")


def test_differently_made_spaces_are_refused_with_both_hashes(index: Index) -> None:
    index.ensure_collection("photos", spaces=SPACES)
    with pytest.raises(ProvenanceMismatch, match=rf"small/pool1/avg.*{POOLED.provenance}.*{'e' * 64}"):
        index.ensure_collection("photos", spaces=[WHOLE, replace(POOLED, provenance="e" * 64), PARTS])


def test_spaces_of_another_storage_are_refused(index: Index) -> None:
    index.ensure_collection("photos", spaces=SPACES)
    floats = replace(POOLED, storage=Storage.FLOAT16, clip=0.0, provenance="e" * 64)
    for other, words in ((floats, "offers float16"), (replace(POOLED, clip=0.3), "offers int8 codes with clip 0.3")):
        with pytest.raises(FailedPrecondition, match=f"small/pool1/avg.*stores int8 codes with clip 0.7.*{words}.*--collection"):
            index.ensure_collection("photos", spaces=[WHOLE, other, PARTS])


@pytest.mark.parametrize(
    "spaces", [(WHOLE,), (*SPACES, replace(WHOLE, layer="fc6")), (WHOLE, PARTS, replace(POOLED, pooling="max"))]
)
def test_other_spaces_are_another_collection(index: Index, spaces: tuple[object, ...]) -> None:
    index.ensure_collection("photos", spaces=SPACES)
    with pytest.raises(FailedPrecondition, match="--collection"):
        index.ensure_collection("photos", spaces=spaces)  # type: ignore[arg-type] # spaces they are
    assert tuple(index.spaces("photos")) == SPACES


@pytest.mark.parametrize(
    ("root", "relation"),
    [
        ("/home/ana/photos/trips", "lies below"),
        ("/home/ana", "lies above"),
        ("/home/ana/photos2", "another folder"),
        ("/", "lies above"),
    ],
)
def test_a_collection_mirrors_one_folder(index: Index, root: str, relation: str) -> None:
    index.ensure_collection("photos", spaces=SPACES, root="/home/ana/photos")
    with pytest.raises(FailedPrecondition, match=rf"/home/ana/photos.*{relation}.*--collection"):
        index.ensure_collection("photos", spaces=SPACES, root=root)
    index.ensure_collection("second", spaces=SPACES, root=root)
    assert [stats.root for stats in index.stats()] == ["/home/ana/photos", root]


def test_a_collection_fed_by_events_takes_no_folder(index: Index) -> None:
    index.ensure_collection("photos", spaces=SPACES)
    index.ensure_collection("photos", spaces=SPACES, root="/photos")
    assert index.stats()[0].root == "/photos"
    index.ensure_collection("fed", spaces=SPACES)
    index.write([photo("a.jpg", collection="fed")])
    with pytest.raises(FailedPrecondition, match=r"events.*--collection"):
        index.ensure_collection("fed", spaces=SPACES, root="/photos")


def test_more_collections_than_allowed_are_refused_alone(index: Index) -> None:
    for name in ("first", "second"):
        index.ensure_collection(name, spaces=SPACES, at_most=2)
    with pytest.raises(TooManyCollections, match=r"'third'.*2 already.*MIRADOURO_COLLECTIONS"):
        index.ensure_collection("third", spaces=SPACES, at_most=2)
    index.ensure_collection("second", spaces=SPACES, at_most=2)
    assert [stats.name for stats in index.stats()] == ["first", "second"]
    assert list(index.write([photo("a.jpg", collection="second")])) == [WriteStatus.STORED]
    index.ensure_collection("third", spaces=SPACES, at_most=3)


@pytest.mark.parametrize("name", ["", "Photos", "a b", "-a", "a" * 64, "photos;--", "fotos_é"])
def test_a_collection_has_a_plain_name(index: Index, name: str) -> None:
    with pytest.raises(InvalidArgument, match="collection"):
        index.ensure_collection(name, spaces=SPACES)
