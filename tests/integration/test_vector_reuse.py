"""What changed about a photo but its bytes costs no forward pass, on either index."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.core.document import Document, TagKind
from miradouro.core.errors import Unavailable
from miradouro.ingest.pace import Pace
from miradouro.processors.reuse import has_vectors_of
from miradouro.v1.ingest_service_pb2 import EVENT_STATUS_STALE, EVENT_STATUS_STORED
from miradouro.v1.photo_event_pb2 import PHOTO_EVENT_KIND_DELETED, PHOTO_EVENT_KIND_UPDATED, PHOTO_EVENT_KIND_UPLOADED, PhotoEvent

from tests.conformance.engines import INDICES, Index
from tests.ingest_fixture import IngestFixture, open_ingest
from tests.pictures import jpeg

PICTURE = jpeg(60, 40)


@dataclass
class Home:
    """An ingest service that stores into `index`."""

    ingest: IngestFixture
    index: Index

    def put(self, version: int, *, data: bytes = PICTURE, **fields: object) -> Document:
        """Sends the photo at this version; gives what is stored then, with its vectors."""
        kind = PHOTO_EVENT_KIND_UPDATED if version > 1 else PHOTO_EVENT_KIND_UPLOADED
        values = {"event_id": str(version), "kind": kind, "photo_id": "a.jpg", "data": data, **fields}
        [result] = self.ingest.put(PhotoEvent(version=version, **values)).results
        assert result.status == EVENT_STATUS_STORED, result
        return self.index.get_whole("photos", "a.jpg")

    @property
    def forward_passes(self) -> int:
        return len(self.ingest.networks.runs)


@pytest.fixture(params=["sqlite", pytest.param("opensearch", marks=pytest.mark.engines)])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    with INDICES[request.param](tmp_path / "index") as index, open_ingest(tmp_path / "ingest", index=index) as ingest:
        yield Home(ingest, index)


def given_by_networks(document: Document) -> list[tuple[str, float]]:
    return [(tag.label, tag.score) for tag in document.tags if tag.kind is not TagKind.USER]


def test_new_metadata_reuses_vectors_without_a_network(home: Home) -> None:
    first = home.put(1, title="old", tags=["mine"])
    passes = home.forward_passes
    assert passes > 0
    second = home.put(2, title="new", caption="said by a person", tags=["yours"], owner="ana")
    assert home.forward_passes == passes
    assert (second.version, second.title, second.caption, second.owner) == (2, "new", "said by a person", "ana")
    assert first.vectors.keys() == second.vectors.keys() == {space.name for space in home.index.spaces("photos")}
    for name, vectors in first.vectors.items():
        np.testing.assert_array_equal(vectors, second.vectors[name])
    assert first.provenances == second.provenances
    assert given_by_networks(first) == given_by_networks(second) != []
    assert [tag.label for tag in second.tags if tag.kind is TagKind.USER] == ["yours"]


def test_other_bytes_are_embedded(home: Home) -> None:
    first = home.put(1)
    passes = home.forward_passes
    second = home.put(2, data=jpeg(60, 40, seed=5))
    assert home.forward_passes > passes
    assert any((first.vectors[name] != second.vectors[name]).any() for name in first.vectors)
    passes = home.forward_passes
    assert home.put(3, data=jpeg(60, 40, seed=5)).sha256 == second.sha256
    assert home.forward_passes == passes


def test_an_event_that_comes_again_runs_no_network(home: Home) -> None:
    home.put(7)
    passes = home.forward_passes
    again = PhotoEvent(event_id="7", kind=PHOTO_EVENT_KIND_UPLOADED, photo_id="a.jpg", version=7, data=PICTURE)
    assert home.ingest.put(again).results[0].status == EVENT_STATUS_STALE
    assert home.forward_passes == passes


def test_a_photo_that_was_deleted_is_embedded_again(home: Home) -> None:
    home.put(1)
    gone = PhotoEvent(event_id="2", kind=PHOTO_EVENT_KIND_DELETED, photo_id="a.jpg", version=2)
    assert home.ingest.put(gone).results[0].status == EVENT_STATUS_STORED
    passes = home.forward_passes
    home.put(3)
    assert home.forward_passes > passes


def test_a_hidden_label_returns_after_the_users_tag(home: Home) -> None:
    plain = home.put(1)
    label = next(tag.label for tag in plain.tags if tag.kind is TagKind.LABEL)
    hidden = home.put(2, tags=[label.upper()])
    assert label not in [name for name, _ in given_by_networks(hidden)]
    assert given_by_networks(home.put(3)) == given_by_networks(plain)


def test_differently_made_vectors_are_not_reused(tmp_path: Path) -> None:
    with INDICES["sqlite"](tmp_path / "index") as index, open_ingest(tmp_path / "ingest", index=index) as ingest:
        stored = Home(ingest, index).put(1)
    assert has_vectors_of(stored, stored.provenances)
    assert not has_vectors_of(stored, {**stored.provenances, "tiny/deep": "0" * 64})
    assert not has_vectors_of(stored, {**stored.provenances, "tiny/deeper": "0" * 64})


def test_reuse_can_be_switched_off(tmp_path: Path) -> None:
    steps = tmp_path / "steps.yaml"
    steps.write_text("processors: [fetch, decode, fingerprint, exif, {embed: {reuse: false}}, tag, caption]")
    with (
        INDICES["sqlite"](tmp_path / "index") as index,
        open_ingest(tmp_path / "ingest", index=index, pipeline=str(steps)) as ingest,
    ):
        home = Home(ingest, index)
        home.put(1)
        passes = home.forward_passes
        home.put(2)
        assert home.forward_passes > passes


def test_partial_vectors_are_embedded_again(tmp_path: Path) -> None:
    """Tags can't be known to be the same where the collection has no space of the network that tags."""
    with INDICES["sqlite"](tmp_path / "index") as index, open_ingest(tmp_path / "ingest", index=index) as ingest:
        wee = [space for bundle in ingest.embedder.describe() for space in bundle.spaces if space.bundle == "wee"]
        index.ensure_collection("photos", spaces=wee)
        home = Home(ingest, index)
        home.put(1)
        passes = home.forward_passes
        home.put(2)
        assert home.forward_passes > passes


class UnreadableIndex(SqliteIndex):
    """An index that takes writes and can't give vectors, as a cluster whose segment is closed."""

    def get_whole(self, collection: str, photo_id: str) -> Document:
        raise Unavailable(f"{collection}/{photo_id} can't be read now")


def test_unreadable_stored_vectors_do_not_block_new_versions(tmp_path: Path) -> None:
    with (
        UnreadableIndex.open(tmp_path / "index", writer=True) as index,
        open_ingest(tmp_path / "ingest", index=index, pace=Pace(retry_s=3_600)) as ingest,
    ):
        for version in (1, 2):
            message = PhotoEvent(event_id="x", kind=PHOTO_EVENT_KIND_UPDATED, photo_id="a.jpg", version=version, data=PICTURE)
            assert ingest.put(message).results[0].status == EVENT_STATUS_STORED
        assert index.get("photos", "a.jpg").version == 2
