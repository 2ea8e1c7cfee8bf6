"""What every Embedder promises: the batcher in this process, the same started on demand, and over gRPC."""

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass

import numpy as np
import pytest
from miradouro.adapters.grpc_embedder import GrpcEmbedder
from miradouro.core.embedding import Priority
from miradouro.core.errors import DeadlineExceeded, InvalidArgument, Overloaded, Unavailable
from miradouro.core.ports import Embedder
from miradouro.embedding.composition import run_embedding
from miradouro.runtime.grpc_server import running
from miradouro.runtime.security import OPEN_TO_ALL
from miradouro.standalone.embedder_on_demand import EmbedderOnDemand
from prometheus_client import CollectorRegistry

from tests.reading import READING
from tests.tiny_bundle import LABELS, SPACES, TINY, WEE, GatedNetworks, duo_bundle, photo, tiny_bundles
from tests.waiting import WAIT_S


@dataclass
class Served:
    """An embedder under test, the networks behind it, and a way to take the embedder's work away."""

    embedder: Embedder
    networks: GatedNetworks
    stop: ExitStack


@pytest.fixture(params=["in process", "on demand", "over grpc"])
def served(request, tmp_path) -> Iterator[Served]:
    bundles = [*tiny_bundles(tmp_path), duo_bundle(tmp_path)]
    networks = GatedNetworks(bundles)
    with ExitStack() as stack:
        parts = stack.enter_context(run_embedding(networks, queue_tensors=256, reading=READING, registry=CollectorRegistry()))
        if request.param == "in process":
            yield Served(parts.embedder, networks, stack)
        elif request.param == "on demand":
            with EmbedderOnDemand(open_bundles=lambda: bundles, run=lambda _: nullcontext(parts)) as lazy:
                yield Served(lazy, networks, stack)
        else:
            server = stack.enter_context(running([parts.service], security=OPEN_TO_ALL))
            with GrpcEmbedder(server.target) as client:
                yield Served(client, networks, stack)
        networks.gate.set()


@pytest.fixture
def embedder(served) -> Embedder:
    return served.embedder


def test_it_describes_the_loaded_bundles(served):
    assert tuple(served.embedder.describe()) == served.networks.descriptions


@pytest.mark.parametrize("priority", list(Priority))
def test_unit_vectors_follow_photo_and_space_order(embedder, priority):
    spaces = list(reversed(SPACES))
    embeddings = embedder.embed([photo(1), photo(2), photo(3)], spaces=spaces, priority=priority)
    shapes = {
        "tiny/shallow/avg": (1, 4),
        "tiny/shallow/max": (1, 4),
        "tiny/deep": (1, 8),
        "tiny/deep/regions": (3, 8),
        "wee/features": (1, 6),
    }
    for embedding in embeddings:
        assert list(embedding.vectors) == spaces
        assert {name: vectors.shape for name, vectors in embedding.vectors.items()} == shapes
        for vectors in embedding.vectors.values():
            assert vectors.dtype == np.float32
            np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        assert embedding.labels == ()
    alone = [embedder.embed([photo(seed)], spaces=["tiny/deep"])[0].vectors["tiny/deep"] for seed in (1, 2, 3)]
    for embedding, vectors in zip(embeddings, alone, strict=True):
        np.testing.assert_allclose(embedding.vectors["tiny/deep"], vectors, atol=1e-6)
    assert not np.allclose(alone[0], alone[1], atol=1e-3)


def test_vectors_and_labels_equal_the_networks_outputs(served):
    (embedding,) = served.embedder.embed([photo(4)], spaces=SPACES, tags=True)
    direct = served.networks.run("tiny", {TINY: photo(4)[TINY][np.newaxis]}, spaces=SPACES[:4], tags=True)
    for space in SPACES[:4]:
        np.testing.assert_array_equal(embedding.vectors[space], direct.vectors[space][0])
    assert [label.probability for label in embedding.labels] == pytest.approx(sorted(direct.probabilities[0], reverse=True))
    assert all(LABELS[label.index] == label.label for label in embedding.labels)


def test_vectors_have_the_provenances_of_their_bundles(embedder):
    described = {space.name: space.provenance for bundle in embedder.describe() for space in bundle.spaces}
    for embedding in embedder.embed([photo(1), photo(2)], spaces=["wee/features", "tiny/shallow"]):
        assert embedding.provenances == {name: described[name] for name in ("wee/features", "tiny/shallow/avg")}


def test_labels_below_a_thousandth_are_left_out(served):
    labels = served.networks.labels("tiny", np.array([0.0009, 0.5, 0.001, 0.4, 0.0981], np.float32))
    assert [label.label for label in labels] == ["dog", "teapot", "viaduct", "elkhound"]


def test_tags_alone_may_be_asked_for(embedder):
    (embedding,) = embedder.embed([{TINY: photo(1)[TINY]}], spaces=[], tags=True)
    assert embedding.vectors == {}
    assert {label.label for label in embedding.labels} == set(LABELS)


def test_a_layer_alone_means_its_default_pooling(embedder):
    (embedding,) = embedder.embed([photo(1)], spaces=["tiny/shallow"])
    assert list(embedding.vectors) == ["tiny/shallow/avg"]


def test_only_the_needed_tensors_are_required(embedder):
    (embedding,) = embedder.embed([{WEE: photo(1)[WEE]}], spaces=["wee/features"])
    assert embedding.vectors["wee/features"].shape == (1, 6)


def test_a_space_may_need_several_geometries(embedder):
    both = photo(1)
    [embedding] = embedder.embed([both], spaces=["duo/both", "duo/one"])
    [alone] = embedder.embed([{WEE: both[WEE]}], spaces=["duo/one"])
    [other] = embedder.embed([both | {TINY: photo(2)[TINY]}], spaces=["duo/both"])
    np.testing.assert_allclose(embedding.vectors["duo/one"], alone.vectors["duo/one"], atol=1e-6)
    assert not np.allclose(embedding.vectors["duo/both"], other.vectors["duo/both"], atol=1e-3)
    with pytest.raises(InvalidArgument, match="no tensor in squash to 16 x 16, bilinear, which duo needs"):
        embedder.embed([{WEE: both[WEE]}], spaces=["duo/both"])


def test_64_photos_are_taken(embedder):
    assert len(embedder.embed([photo(1)] * 64, spaces=["tiny/shallow"])) == 64


@pytest.mark.parametrize(
    ("photos", "spaces", "expected"),
    [
        ([photo(1)], ["tiny/deep", "tiny/pool9"], [r"spaces\[1\]: 'tiny/pool9'", *SPACES]),
        ([{TINY: photo(1)[TINY].astype(np.float32)}], ["tiny/deep"], [r"photos\[0\]\.tensors", "float32", "uint8"]),
        ([photo(1), {}], ["tiny/deep"], [r"photos\[1\]\.tensors", "no tensor in squash to 16 x 16, bilinear, which tiny needs"]),
    ],
)
def test_a_wrong_request_names_place_and_alternatives(embedder, photos, spaces, expected):
    """One request for each argument; the table of all of them is in unit/test_embedding_request.py."""
    with pytest.raises(InvalidArgument) as caught:
        embedder.embed(photos, spaces=spaces)
    for part in expected:
        assert re.search(part, caught.value.message)


def test_expired_work_is_dropped_unrun(served):
    with served.networks.closed():
        before = ThreadPoolExecutor(1).submit(served.embedder.embed, [photo(1)], spaces=["wee/features"])
        assert served.networks.arrived.wait(WAIT_S)
        with pytest.raises(DeadlineExceeded):
            served.embedder.embed([photo(2)], spaces=["tiny/deep"], timeout_s=0.3)
    before.result(WAIT_S)
    served.embedder.embed([photo(3)], spaces=["wee/features"])
    assert [run[0] for run in served.networks.runs] == ["wee", "wee"]


def test_no_time_left_is_an_expired_deadline(embedder):
    with pytest.raises(DeadlineExceeded):
        embedder.embed([photo(1)], spaces=["tiny/deep"], timeout_s=0)


def test_a_full_queue_refuses_but_loses_nothing(served):
    with ThreadPoolExecutor(3) as pool, served.networks.closed():
        first = pool.submit(served.embedder.embed, [photo(1)], spaces=["wee/features"])
        assert served.networks.arrived.wait(WAIT_S)
        # Two tensors a photo: the first request fills the bulk half of the queue, whichever of the two comes first.
        rivals = [
            pool.submit(served.embedder.embed, [photo(1)] * 64, spaces=["wee/features", "tiny/deep"], priority=Priority.BULK)
            for _ in range(2)
        ]
        refused = _first_failure(rivals)
        with pytest.raises(Overloaded, match="ask"):
            served.embedder.embed([photo(1)], spaces=["wee/features"], priority=Priority.BULK)
        assert not first.done(), "the gate is still closed, so the refusal did not wait for it"
    assert isinstance(refused.exception(), Overloaded)
    assert len(next(rival for rival in rivals if rival is not refused).result(WAIT_S)) == 64
    assert len(first.result(WAIT_S)) == 1


def _first_failure(futures):
    done = threading.Event()
    for future in futures:
        future.add_done_callback(lambda _: done.set())
    assert done.wait(WAIT_S)
    return next(future for future in futures if future.done())


def test_many_threads_get_their_own_answers(embedder):
    expected = {seed: embedder.embed([photo(seed)], spaces=SPACES)[0] for seed in range(8)}

    def ask(number: int) -> None:
        seed = number % 8
        (embedding,) = embedder.embed([photo(seed)], spaces=SPACES)
        for space in SPACES:
            np.testing.assert_allclose(embedding.vectors[space], expected[seed].vectors[space], atol=1e-6)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(64)))


def test_once_stopped_it_is_unavailable(served):
    served.stop.close()
    with pytest.raises(Unavailable):
        served.embedder.embed([photo(1)], spaces=["tiny/deep"])
