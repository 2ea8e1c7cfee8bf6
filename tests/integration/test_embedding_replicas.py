"""Replicas of the embedding service that differ, or one that is sick: no vector under a wrong name, no good photo given up."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from miradouro.adapters.photo_store import PhotoStores, PhotoStoreSettings
from miradouro.bundles.registry import OpenBundle
from miradouro.bundles.words import load_words
from miradouro.core.embedding import Embedding
from miradouro.core.errors import ProvenanceMismatch, Unavailable
from miradouro.core.event import EventKind
from miradouro.core.event import PhotoEvent as Event
from miradouro.core.pipeline import PhotoInProgress
from miradouro.core.spaces import BundleDescription
from miradouro.embedding.batcher import Batcher
from miradouro.embedding.metrics import EmbeddingMetrics
from miradouro.ingest.pace import Pace
from miradouro.processors.decode import Decode, DecodeOptions
from miradouro.processors.embed import Embed, EmbedOptions
from miradouro.processors.plugin import Context
from miradouro.query.service import SearchService
from miradouro.runtime.call import Call
from miradouro.v1.ingest_service_pb2 import EVENT_STATUS_FAILED, EVENT_STATUS_STORED, EventResult
from miradouro.v1.photo_event_pb2 import PHOTO_EVENT_KIND_UPLOADED, PhotoEvent
from miradouro.v1.search_service_pb2 import ExampleQuery, SearchRequest
from prometheus_client import CollectorRegistry

from tests.ingest_fixture import LABEL_TABLE, IngestFixture, open_ingest
from tests.pictures import jpeg
from tests.reading import READER
from tests.tiny_bundle import SPACES, GatedNetworks, tiny_bundles


@dataclass
class Replicas:
    """Two embedders behind one name: which one answers a call is not the caller's choice."""

    old: Batcher
    new: Batcher
    describes: Batcher
    embeds: Batcher

    def describe(self) -> Sequence[BundleDescription]:
        return self.describes.describe()

    def embed(self, photos: Sequence[dict[str, np.ndarray]], **options: Any) -> list[Embedding]:
        return self.embeds.embed(photos, **options)


def of_another_recipe(bundle: OpenBundle) -> OpenBundle:
    spaces = tuple(replace(space, provenance="e" * 64) for space in bundle.description.spaces)
    return replace(bundle, description=replace(bundle.description, spaces=spaces))


@pytest.fixture
def start() -> Iterator[Any]:
    """Starts a replica with some bundles."""
    with ExitStack() as stack:

        def started(bundles: list[OpenBundle]) -> Batcher:
            batcher = Batcher(GatedNetworks(bundles), metrics=EmbeddingMetrics(CollectorRegistry()))
            stack.callback(batcher.stop)
            return batcher

        yield started


@pytest.fixture
def replicas(start: Any, tmp_path: Path) -> Replicas:
    bundles = tiny_bundles(tmp_path / "replicas")
    old, new = start(bundles), start([of_another_recipe(bundle) for bundle in bundles])
    return Replicas(old, new, describes=old, embeds=old)


@pytest.fixture
def ingest(replicas: Replicas, tmp_path: Path) -> Iterator[IngestFixture]:
    """An ingest service that holds one photo, made by the old replica."""
    with open_ingest(tmp_path / "ingest", embedder=replicas, pace=Pace(retry_s=0)) as opened:
        assert put(opened, "first").status == EVENT_STATUS_STORED
        yield opened


def put(ingest: IngestFixture, photo_id: str) -> EventResult:
    data = jpeg(seed=len(photo_id))
    event = PhotoEvent(event_id=photo_id, kind=PHOTO_EVENT_KIND_UPLOADED, photo_id=photo_id, version=1, data=data)
    [result] = ingest.put(event).results
    return result


def assert_waits(ingest: IngestFixture, photo_id: str, reason: str) -> None:
    result = put(ingest, photo_id)
    assert (result.status, result.reason, result.retriable) == (EVENT_STATUS_FAILED, "unavailable", True)
    assert reason in result.message
    assert (ingest.photos(), ingest.failures()) == ({"first": 1}, {})


def test_vectors_of_an_unexpected_replica_are_not_stored(ingest: IngestFixture, replicas: Replicas) -> None:
    replicas.embeds = replicas.new
    assert_waits(ingest, "second", "replicas of the embedding service differ")
    replicas.embeds = replicas.old
    assert put(ingest, "second").status == EVENT_STATUS_STORED


def test_vectors_matching_the_collection_are_always_stored(ingest: IngestFixture, replicas: Replicas) -> None:
    replicas.describes = replicas.new
    assert put(ingest, "second").status == EVENT_STATUS_STORED
    held = {space.name: space.provenance for space in ingest.index.spaces("photos")}
    assert ingest.index.get_whole("photos", "second").provenances == held


def test_replicas_with_another_recipe_stop_every_photo(replicas: Replicas, tmp_path: Path) -> None:
    with open_ingest(
        tmp_path / "ingest", embedder=replicas, pace=Pace(retry_s=30)
    ) as ingest:  # longer than an answer is remembered
        assert put(ingest, "first").status == EVENT_STATUS_STORED
        replicas.describes = replicas.embeds = replicas.new
        with pytest.raises(ProvenanceMismatch, match="e" * 64):
            put(ingest, "second")


def test_queries_never_compare_vectors_of_different_replicas(ingest: IngestFixture, replicas: Replicas) -> None:
    search = SearchService(
        index=ingest.index, embedder=replicas, reader=READER, lexicon=load_words, default_space="tiny/deep", page_key=b"k" * 32
    )
    question = SearchRequest(photo=ExampleQuery(data=jpeg(seed=5)))
    assert [hit.photo_id for hit in search.Search(question, Call()).hits] == ["first"]
    replicas.embeds = replicas.new
    with pytest.raises(Unavailable, match="replicas of the embedding service differ"):
        search.Search(question, Call())
    replicas.describes = replicas.new
    with pytest.raises(ProvenanceMismatch, match="e" * 64):
        search.Search(question, Call())


def test_replicas_with_other_bundles_make_no_dead_letters(
    ingest: IngestFixture, replicas: Replicas, start: Any, tmp_path: Path
) -> None:
    replicas.embeds = start(tiny_bundles(tmp_path / "fewer")[:1])
    assert_waits(ingest, "second", "'wee/features' is not a known space")


def test_a_failing_forward_pass_makes_no_dead_letters(tmp_path: Path) -> None:
    with open_ingest(tmp_path / "ingest", pace=Pace(retry_s=0)) as ingest:
        assert put(ingest, "first").status == EVENT_STATUS_STORED
        ingest.networks.broken = RuntimeError("CUDA failure 2: out of memory")
        assert_waits(ingest, "second", "CUDA failure 2: out of memory")


def test_a_bundle_loaded_after_decoding_gets_its_tensor(replicas: Replicas) -> None:
    bundles = replicas.describe()
    offered = list(bundles[1:])
    context = Context(replicas, lambda: offered, PhotoStores(PhotoStoreSettings()), LABEL_TABLE, READER)
    spaces = tuple(space for bundle in bundles for space in bundle.spaces)
    event = Event("e", EventKind.UPLOADED, "photos", "a", 1, data=jpeg())
    decoded = Decode(DecodeOptions(), context)(PhotoInProgress(event, spaces, data=event.data))
    offered[:] = bundles

    done = Embed(EmbedOptions(), context)(decoded)
    assert done.embedding is not None
    assert set(done.embedding.vectors) == set(SPACES)
