import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.embedding import Priority
from miradouro.core.errors import Overloaded
from miradouro.core.spaces import Fit, Geometry, Resample
from miradouro.embedding.metrics import EmbeddingMetrics
from miradouro.embedding.work_queue import Job, Ticket, WorkQueue
from prometheus_client import CollectorRegistry

TENSORS = {Geometry(Fit.SQUASH, 2, 2, 0, Resample.BILINEAR): np.zeros((2, 2, 3), np.uint8)}
CAPACITY = 12


def request(priority: Priority, bundles: list[str], deadline: float | None = None) -> list[Job]:
    ticket = Ticket(priority, deadline)
    return [Job(ticket, position, bundle, TENSORS, (), False) for position, bundle in enumerate(bundles)]


puts = st.tuples(
    st.just("put"), st.sampled_from(Priority), st.lists(st.sampled_from("ab"), min_size=1, max_size=5), st.booleans()
)
takes = st.tuples(st.just("take"), st.integers(1, 4))


@given(st.lists(st.one_of(puts, takes), max_size=60))
def test_any_load_respects_limits_and_order(steps):
    queue: WorkQueue[Ticket] = WorkQueue(CAPACITY, EmbeddingMetrics(CollectorRegistry()), clock=lambda: 0.0)
    accepted: list[Job] = []
    taken: list[Job] = []

    def take(max_photos: int) -> None:
        batch = queue.take(lambda _: max_photos)
        taken.extend(batch)
        assert len(batch) <= max_photos
        assert len({(job.bundle, job.ticket.priority) for job in batch}) <= 1
        waiting = [job for job in accepted if job not in taken and not job.ticket.future.cancelled()]
        if batch and batch[0].ticket.priority is Priority.BULK:
            assert all(job.ticket.priority is Priority.BULK for job in waiting)

    for step in steps:
        if step[0] == "put":
            jobs = request(step[1], step[2])
            try:
                queue.put(jobs)
            except Overloaded:
                continue
            accepted += jobs
            if step[3]:
                jobs[0].ticket.future.cancel()
        elif any(job not in taken and not job.ticket.future.cancelled() for job in accepted):
            take(step[1])
        assert queue.depth(Priority.BULK) <= CAPACITY // 2
        assert queue.depth(Priority.BULK) + queue.depth(Priority.INTERACTIVE) <= CAPACITY
    queue.close()
    before = -1
    while len(taken) > before:
        before = len(taken)
        take(3)
    wanted = [job for job in accepted if not job.ticket.future.cancelled()]
    assert {id(job) for job in wanted} <= {id(job) for job in taken}
    assert len({id(job) for job in taken}) == len(taken)
    for priority, bundle in itertools.product(Priority, "ab"):
        line = [job for job in taken if job.ticket.priority is priority and job.bundle == bundle]
        assert line == [job for job in accepted if job in line]


def test_a_request_is_queued_completely_or_not():
    queue: WorkQueue[Ticket] = WorkQueue(4, EmbeddingMetrics(CollectorRegistry()))
    queue.put(request(Priority.INTERACTIVE, ["a", "a", "a"]))
    with pytest.raises(Overloaded):
        queue.put(request(Priority.INTERACTIVE, ["a", "a"]))
    assert queue.depth(Priority.INTERACTIVE) == 3


def test_expired_jobs_make_room():
    now = [0.0]
    queue: WorkQueue[Ticket] = WorkQueue(4, EmbeddingMetrics(CollectorRegistry()), clock=lambda: now[0])
    queue.put(request(Priority.INTERACTIVE, ["a"] * 4, deadline=1.0))
    with pytest.raises(Overloaded):
        queue.put(request(Priority.INTERACTIVE, ["b"]))
    now[0] = 1.0
    queue.put(request(Priority.INTERACTIVE, ["b"]))
    assert [job.bundle for job in queue.take(lambda _: 8)] == ["b"]
