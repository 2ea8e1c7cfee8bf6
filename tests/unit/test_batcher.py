from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import Any

import numpy as np
import pytest
from miradouro.core.embedding import Priority
from miradouro.core.errors import DeadlineExceeded, Internal, InvalidArgument, Overloaded, Unavailable
from miradouro.embedding.batcher import Batcher
from miradouro.embedding.metrics import EmbeddingMetrics
from miradouro.embedding.request import resolve
from prometheus_client import CollectorRegistry

from tests.tiny_bundle import GatedNetworks, duo_bundle, photo, tiny_bundles
from tests.waiting import WAIT_S

INTERACTIVE, BULK = Priority.INTERACTIVE, Priority.BULK


class Bench:
    """A batcher whose runner can be held, and its metrics."""

    def __init__(self, folder, *, threads: int = 1, **options: Any) -> None:
        self.networks = GatedNetworks(tiny_bundles(folder), threads=threads)
        self.registry = CollectorRegistry()
        self.batcher = Batcher(self.networks, metrics=EmbeddingMetrics(self.registry), **options)
        self.networks.runs.clear()
        self.networks.beside.clear()

    def submit(
        self, *spaces: str, photos: int = 1, priority: Priority = INTERACTIVE, deadline: float | None = None, tags: bool = False
    ) -> Future:
        resolved = resolve(spaces, tags=tags, loaded=self.batcher.describe())
        return self.batcher.submit([photo(seed) for seed in range(photos)], resolved, priority=priority, deadline=deadline)

    def hold(self) -> Future:
        """Occupies the runner: what is submitted next waits until the gate opens."""
        future = self.submit("wee/features")
        assert self.networks.arrived.wait(WAIT_S)
        return future

    def dropped(self, priority: Priority, reason: str) -> float:
        labels = {"priority": priority.value, "reason": reason}
        return self.registry.get_sample_value("miradouro_embedding_dropped_tensors_total", labels) or 0


def submit_for_ever(bench: Bench) -> None:
    while True:
        bench.submit("tiny/deep").cancel()


@pytest.fixture
def make(tmp_path) -> Iterator:
    made: list[Bench] = []

    def make(**options: int) -> Bench:
        made.append(Bench(tmp_path, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.networks.gate.set()
        bench.batcher.stop()


def test_interactive_photos_overtake_waiting_bulk_photos(make):
    bench = make()
    with bench.networks.closed():
        bench.hold()
        bulk = bench.submit("tiny/deep", photos=3, priority=BULK)
        interactive = bench.submit("tiny/shallow/avg")
    wait_for([bulk, interactive], WAIT_S)
    assert [run[2] for run in bench.networks.runs] == [("wee/features",), ("tiny/shallow/avg",), *[("tiny/deep",)] * 3]


def test_on_a_cpu_every_run_is_one_photo(make):
    bench = make()
    with bench.networks.closed():
        bench.hold()
        waiting = [bench.submit("tiny/deep", photos=4, priority=priority) for priority in (INTERACTIVE, BULK)]
    wait_for(waiting, WAIT_S)
    assert {run[1] for run in bench.networks.runs} == {1}


def test_bulk_runs_on_a_cpu_take_one_photo(make):
    bench = make(max_batch_photos=8)
    with bench.networks.closed():
        bench.hold()
        waiting = bench.submit("tiny/deep", photos=4, priority=BULK)
    assert len(waiting.result(WAIT_S)) == 4
    assert [run[1] for run in bench.networks.runs] == [1] * 5


def test_photos_for_one_bundle_share_a_batch(make):
    bench = make(max_batch_photos=4)
    with bench.networks.closed():
        bench.hold()
        waiting = [bench.submit("tiny/deep") for _ in range(6)]
        other = bench.submit("wee/features")
    wait_for([*waiting, other], WAIT_S)
    assert [run[:2] for run in bench.networks.runs] == [("wee", 1), ("tiny", 4), ("tiny", 2), ("wee", 1)]


def test_a_batch_serves_requests_for_different_outputs(make):
    bench = make(max_batch_photos=8)
    with bench.networks.closed():
        bench.hold()
        shallow, deep, tagged = bench.submit("tiny/shallow/avg"), bench.submit("tiny/deep"), bench.submit(tags=True)
    answers = [future.result(WAIT_S)[0] for future in (shallow, deep, tagged)]
    assert bench.networks.runs[1:] == [("tiny", 3, ("tiny/shallow/avg", "tiny/deep"), True)]
    assert [list(answer.vectors) for answer in answers] == [["tiny/shallow/avg"], ["tiny/deep"], []]
    assert [bool(answer.labels) for answer in answers] == [False, False, True]
    alone = bench.submit("tiny/deep").result(WAIT_S)[0]
    np.testing.assert_allclose(answers[1].vectors["tiny/deep"], alone.vectors["tiny/deep"], atol=1e-6)


def test_requests_for_other_geometries_run_apart(tmp_path):
    networks = GatedNetworks([duo_bundle(tmp_path)])
    batcher = Batcher(networks, metrics=EmbeddingMetrics(CollectorRegistry()), max_batch_photos=8)
    networks.runs.clear()
    with networks.closed():
        futures = [
            batcher.submit([photo(seed)], resolve([space], tags=False, loaded=batcher.describe()), priority=BULK, deadline=None)
            for seed, space in enumerate(("duo/one", "duo/one", "duo/both", "duo/both", "duo/one"))
        ]
    wait_for(futures, WAIT_S)
    batcher.stop()
    assert all(future.result() for future in futures)
    assert {run[2] for run in networks.runs} == {("duo/one",), ("duo/both",)}


def test_each_photo_of_a_batch_gets_its_row(make):
    bench = make(max_batch_photos=8)
    with bench.networks.closed():
        bench.hold()
        together = bench.submit("tiny/deep", photos=5, tags=True)
    embeddings = together.result(WAIT_S)
    assert [run[:2] for run in bench.networks.runs] == [("wee", 1), ("tiny", 5)]
    for seed, embedding in enumerate(embeddings):
        (alone,) = bench.batcher.embed([photo(seed)], spaces=["tiny/deep"], tags=True)
        np.testing.assert_allclose(embedding.vectors["tiny/deep"], alone.vectors["tiny/deep"], atol=1e-6)
        assert [label.index for label in embedding.labels] == [label.index for label in alone.labels]


def test_bulk_requests_fill_at_most_half_the_queue(make):
    bench = make(queue_tensors=8)
    with bench.networks.closed():
        bench.hold()
        taken = [bench.submit("tiny/deep", photos=4, priority=BULK)]
        with pytest.raises(Overloaded, match="0 interactive and 4 bulk tensors wait"):
            bench.submit("tiny/deep", priority=BULK)
        taken.append(bench.submit("tiny/deep", photos=4))
        with pytest.raises(Overloaded):
            bench.submit("tiny/deep")
        resolved = resolve(["tiny/deep"], tags=False, loaded=bench.batcher.describe())
        with pytest.raises(Overloaded), bench.batcher.room(1, resolved, priority=INTERACTIVE, deadline=None):
            pass
        assert bench.registry.get_sample_value("miradouro_embedding_queue_tensors", {"priority": "bulk"}) == 4
    assert [len(future.result(WAIT_S)) for future in taken] == [4, 4]
    with bench.batcher.room(8, resolved, priority=INTERACTIVE, deadline=None):
        pass
    assert (bench.dropped(BULK, "overloaded"), bench.dropped(INTERACTIVE, "overloaded")) == (1, 2)


def test_an_oversized_request_is_the_callers_error(make):
    bench = make(queue_tensors=8)
    with pytest.raises(InvalidArgument, match=r"photos: the request needs 6 tensors; a bulk request may have 4"):
        bench.submit("tiny/deep", "wee/features", photos=3, priority=BULK)


def test_cancelled_photos_never_run_and_free_the_queue(make):
    bench = make(queue_tensors=8)
    with bench.networks.closed():
        bench.hold()
        unwanted = bench.submit("tiny/deep", photos=8)
        assert unwanted.cancel()
        wanted = bench.submit("tiny/shallow/max", photos=8)
    assert len(wanted.result(WAIT_S)) == 8
    assert ("tiny/deep",) not in [run[2] for run in bench.networks.runs]
    assert bench.dropped(INTERACTIVE, "cancelled") == 8


def test_expired_photos_end_with_deadline_exceeded(make):
    now = [0.0]
    bench = make(clock=lambda: now[0])
    with bench.networks.closed():
        bench.hold()
        expired = bench.submit("tiny/deep", photos=3, deadline=100.0)
        now[0] = 101.0
    with pytest.raises(DeadlineExceeded, match="while the photo waited"):
        expired.result(WAIT_S)
    bench.submit("wee/features").result(WAIT_S)
    assert {run[0] for run in bench.networks.runs} == {"wee"}
    assert (bench.dropped(INTERACTIVE, "expired"), bench.dropped(INTERACTIVE, "failed")) == (1, 2)


def test_side_by_side_passes_give_each_photo_its_row(make):
    bench = make(threads=2)
    together = bench.submit("tiny/deep", photos=40, tags=True).result(WAIT_S)
    assert len(together) == 40
    assert set(bench.networks.beside) == {False, True}
    for seed, embedding in enumerate(together):
        (alone,) = bench.batcher.embed([photo(seed)], spaces=["tiny/deep"], tags=True)
        np.testing.assert_allclose(embedding.vectors["tiny/deep"], alone.vectors["tiny/deep"], atol=1e-6)
        assert [label.index for label in embedding.labels] == [label.index for label in alone.labels]


def test_passes_end_their_requests_from_two_runners(make):
    bench = make(threads=2)
    answers = [bench.submit("tiny/deep", "wee/features", photos=3) for _ in range(40)]
    assert {tuple(embedding.vectors) for answer in answers for embedding in answer.result(WAIT_S)} == {
        ("tiny/deep", "wee/features")
    }


def test_a_failed_run_fails_only_its_callers(make):
    bench = make()
    bench.networks.broken = MemoryError("no memory left on the device")
    with pytest.raises(Internal, match="tiny: the forward pass failed: MemoryError: no memory left on the device"):
        bench.submit("tiny/deep").result(WAIT_S)
    bench.networks.broken = None
    assert bench.batcher.ready
    assert len(bench.submit("tiny/deep").result(WAIT_S)) == 1


def test_stopping_runs_waiting_requests_and_accepts_no_more(make):
    bench = make()
    assert bench.batcher.ready
    with ThreadPoolExecutor(1) as pool, bench.networks.closed():
        bench.hold()
        waiting = bench.submit("tiny/deep", photos=3)
        stopped = pool.submit(bench.batcher.stop)
        with pytest.raises(Unavailable):
            submit_for_ever(bench)  # the other thread closes the door at some time
        assert not bench.batcher.ready
    stopped.result(WAIT_S)
    assert len(waiting.result(0)) == 3


def test_stopping_with_a_limit_fails_the_queued_photos(make):
    bench = make()
    with ThreadPoolExecutor(1) as pool, bench.networks.closed():
        held = bench.hold()
        waiting = bench.submit("tiny/deep")
        stopped = pool.submit(bench.batcher.stop, 0.05)
        with pytest.raises(Unavailable, match="stopped before"):
            waiting.result(WAIT_S)
    stopped.result(WAIT_S)
    assert len(held.result(0)) == 1


def test_runs_are_counted(make):
    bench = make(max_batch_photos=8)
    bench.submit("tiny/deep", "wee/features", photos=2, priority=BULK).result(WAIT_S)
    value = bench.registry.get_sample_value
    assert value("miradouro_embedding_photos_total", {"priority": "bulk"}) == 2
    assert value("miradouro_embedding_batch_photos_count", {"bundle": "tiny"}) == 2
    assert value("miradouro_embedding_run_seconds_count", {"bundle": "wee"}) == 2
    (tiny, _) = bench.batcher.describe()
    info = {"bundle": "tiny", "precision": "fp32", "sha256": tiny.sha256, "provider": "cpu"}
    assert value("miradouro_embedding_bundle_info", info) == 1
    space = tiny.spaces[0]
    assert value("miradouro_embedding_space_info", {"space": space.name, "provenance": space.provenance}) == 1
