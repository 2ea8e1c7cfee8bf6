"""Tags alone: reading them with vectors, and replacing them at the same version."""

from dataclasses import replace

import numpy as np
import pytest
from miradouro.core.codes import unit_vectors
from miradouro.core.document import Document
from miradouro.core.errors import NotFound
from miradouro.core.ports import TagChange, WriteStatus
from miradouro.core.query import IndexQuery, KeywordClause, TagIs, TextClause, VectorClause

from tests.conformance.engines import Index
from tests.photo_documents import COLLECTION, PARTS, SPACES, WHOLE, label, learned, parent, photo, tombstone, user_tag

FULL = photo(
    "trips/Graça 1.jpg",
    3,
    title="Miradouro da Graça",
    caption="Sunset over the city\nwith a tram",
    tags=(parent("vehicle", 0.5), label("streetcar", 0.25), label("trolleybus", 0.25), user_tag("Lisboa"), label("bus", 0.5)),
    owner="ana",
    attributes={"camera": "X100"},
)


@pytest.fixture(autouse=True)
def collection(index: Index) -> None:
    index.ensure_collection(COLLECTION, spaces=SPACES)


def ids(index: Index, clause: KeywordClause | TextClause | VectorClause) -> list[str]:
    return [match.photo_id for match in index.search(IndexQuery(COLLECTION, clause, limit=1_000)).matches]


def like(vector_of: Document) -> VectorClause:
    return VectorClause(WHOLE.name, WHOLE.provenance, vector_of.vectors[WHOLE.name][0])


def test_tagged_photos_come_with_their_vectors(index: Index) -> None:
    index.write([FULL, Document(COLLECTION, "bare.jpg", 1), photo("gone.jpg"), photo("part.jpg", spaces=(WHOLE,))])
    index.write([tombstone("gone.jpg", 2)])
    found = {one.photo_id: one for one in index.tagged(COLLECTION, PARTS.name)}
    assert list(found) == ["bare.jpg", "part.jpg", FULL.photo_id]
    assert (found[FULL.photo_id].version, set(found[FULL.photo_id].tags)) == (FULL.version, set(FULL.tags))
    assert found["bare.jpg"].vector is None
    assert found["part.jpg"].vector is None
    expected = unit_vectors(index.vector(COLLECTION, FULL.photo_id, PARTS.name), PARTS)[0]
    np.testing.assert_allclose(found[FULL.photo_id].vector, expected, atol=1e-6)


def test_replaced_tags_are_found_and_the_rest_stays(index: Index) -> None:
    index.write([FULL, photo("other.jpg", tags=(label("streetcar", 0.1),))])
    before = index.get_whole(COLLECTION, FULL.photo_id)
    bus = IndexQuery(COLLECTION, KeywordClause(("bus",)))
    trams = IndexQuery(COLLECTION, like(FULL), conditions=(TagIs("my tram"),))
    assert index.search(trams).total == 0, "and the answer may be cached"
    assert index.search(bus).matches[0].score == pytest.approx(0.5, rel=0.01)
    tags = (user_tag("Lisboa"), learned("bus", 0.875), learned("My Tram", 0.75), label("bus", 0.5), label("streetcar", 0.25))
    assert index.replace_tags(COLLECTION, [TagChange(FULL.photo_id, FULL.version, tags)]) == 1
    after = index.get_whole(COLLECTION, FULL.photo_id)
    assert after.tags == tags
    assert repr(replace(after, tags=(), vectors={})) == repr(replace(before, tags=(), vectors={}))
    for name, vectors in after.vectors.items():
        np.testing.assert_array_equal(vectors, before.vectors[name])
    assert index.search(bus).matches[0].score == pytest.approx(0.875, rel=0.01)
    assert ids(index, KeywordClause(("my tram",))) == ids(index, TextClause(("tram",), ("my",), ())) == [FULL.photo_id]
    assert ids(index, KeywordClause(("trolleybus",))) == ids(index, KeywordClause(("vehicle",))) == []
    assert [match.photo_id for match in index.search(trams).matches] == [FULL.photo_id]
    assert index.write([FULL]) == [WriteStatus.STALE]


def test_tags_of_another_version_are_not_replaced(index: Index) -> None:
    index.write([FULL, photo("gone.jpg")])
    index.write([tombstone("gone.jpg", 2)])
    changes = [TagChange(FULL.photo_id, 2, ()), TagChange("gone.jpg", 1, ()), TagChange("never.jpg", 1, ())]
    assert index.replace_tags(COLLECTION, changes) == 0
    assert set(index.get(COLLECTION, FULL.photo_id).tags) == set(FULL.tags)


def test_tags_of_an_unknown_collection_are_not_found(index: Index) -> None:
    for call in (lambda: list(index.tagged("nowhere", WHOLE.name)), lambda: index.replace_tags("nowhere", [])):
        with pytest.raises(NotFound, match="nowhere"):
            call()
