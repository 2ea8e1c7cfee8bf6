import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from miradouro.core.embedding import Priority
from miradouro.core.errors import DeadlineExceeded, InvalidArgument, Overloaded, Unavailable
from miradouro.core.spaces import Fit, Geometry, Resample
from miradouro.embedding.metrics import EmbeddingMetrics
from miradouro.embedding.pass_times import FRESH_S, RECENT_PASSES, RETRIAL_PASSES
from miradouro.embedding.work_queue import CAUTION, LONGEST_WAIT_S, Job, Ticket, Turn, WorkQueue
from prometheus_client import CollectorRegistry

INTERACTIVE, BULK = Priority.INTERACTIVE, Priority.BULK
TENSORS = {Geometry(Fit.SQUASH, 2, 2, 0, Resample.BILINEAR): np.zeros((2, 2, 3), np.uint8)}
CAPACITY = 12


def request(priority: Priority, bundles: list[str], deadline: float | None = None) -> list[Job]:
    ticket = Ticket(priority, deadline)
    return [Job(ticket, position, bundle, TENSORS, (), False) for position, bundle in enumerate(bundles)]


class Timed:
    """A queue on a clock of its own, whose passes take as long as the test says."""

    def __init__(self, capacity: int = 10_000, *, passes: int = 1) -> None:
        self.now = 0.0
        self.registry = CollectorRegistry()
        self.queue: WorkQueue[Ticket] = WorkQueue(
            capacity,
            EmbeddingMetrics(self.registry),
            max_photos=dict.fromkeys(Priority, 1),
            passes=passes,
            clock=lambda: self.now,
        )

    def put(self, *bundles: str, priority: Priority = INTERACTIVE, deadline: float | None = None) -> Ticket:
        jobs = request(priority, list(bundles), deadline)
        self.queue.put(jobs)
        return jobs[0].ticket

    def take(self) -> Turn[Ticket]:
        turn = self.queue.take()
        assert turn
        return turn

    def end(self, turn: Turn[Ticket], after: float) -> None:
        self.now += after
        self.queue.end(turn, failed=False)

    def run(self, bundle: str, seconds: float) -> None:
        """One pass, alone."""
        self.put(bundle)
        self.end(self.take(), seconds)

    def run_waiting(self, count: int, seconds_each: Callable[[bool], float]) -> list[bool]:
        """So many waiting jobs; whether each ran side by side. All turns that may run beside each other do."""
        ways = []
        while len(ways) < count:
            turns = [self.take()]
            while turns[0].side_by_side and len(turns) < 2:
                turns.append(self.take())
            ways += [turn.side_by_side for turn in turns]
            self.now += seconds_each(turns[0].side_by_side)
            for turn in turns:
                self.queue.end(turn, failed=False)
        return ways

    def dropped(self, reason: str) -> float:
        labels = {"priority": "interactive", "reason": reason}
        return self.registry.get_sample_value("miradouro_embedding_dropped_tensors_total", labels) or 0


puts = st.tuples(
    st.just("put"), st.sampled_from(Priority), st.lists(st.sampled_from("ab"), min_size=1, max_size=5), st.booleans()
)
takes = st.tuples(st.just("take"), st.integers(1, 4))


@given(st.integers(1, 4), st.lists(st.one_of(puts, takes), max_size=60))
def test_any_load_respects_limits_and_order(max_photos, steps):
    queue: WorkQueue[Ticket] = WorkQueue(
        CAPACITY, EmbeddingMetrics(CollectorRegistry()), max_photos=dict.fromkeys(Priority, max_photos), clock=lambda: 0.0
    )
    accepted: list[Job] = []
    taken: list[Job] = []

    def take() -> None:
        turn = queue.take()
        batch = turn.jobs if turn else []
        taken.extend(batch)
        assert len(batch) <= max_photos
        assert len({(job.bundle, job.ticket.priority) for job in batch}) <= 1
        waiting = [job for job in accepted if job not in taken and not job.ticket.future.cancelled()]
        if batch and batch[0].ticket.priority is BULK:
            assert all(job.ticket.priority is BULK for job in waiting)
        if turn:
            queue.end(turn, failed=False)

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
            take()
        assert queue.depth(BULK) <= CAPACITY // 2
        assert queue.depth(BULK) + queue.depth(INTERACTIVE) <= CAPACITY
    queue.close()
    before = -1
    while len(taken) > before:
        before = len(taken)
        take()
    wanted = [job for job in accepted if not job.ticket.future.cancelled()]
    assert {id(job) for job in wanted} <= {id(job) for job in taken}
    assert len({id(job) for job in taken}) == len(taken)
    for priority, bundle in itertools.product(Priority, "ab"):
        line = [job for job in taken if job.ticket.priority is priority and job.bundle == bundle]
        assert line == [job for job in accepted if job in line]


def test_a_request_is_queued_completely_or_not():
    timed = Timed(4)
    timed.put("a", "a", "a")
    with pytest.raises(Overloaded):
        timed.put("a", "a")
    assert timed.queue.depth(INTERACTIVE) == 3


def test_expired_jobs_make_room():
    timed = Timed(4)
    timed.put(*"aaaa", deadline=1.0)
    with pytest.raises(Overloaded):
        timed.put("b")
    timed.now = 1.0
    timed.put("b")
    assert [job.bundle for job in timed.take().jobs] == ["b"]


def test_a_wait_beyond_the_deadline_is_refused():
    timed = Timed()
    timed.run("a", 0.5)
    timed.put("a", "a", "a", deadline=timed.now + CAUTION * 1.5)
    with pytest.raises(Overloaded, match=r"1\.50 s of work wait .* take about 0\.50 s; the deadline is in 2\.00 s"):
        timed.put("a", deadline=timed.now + 2.0)
    timed.put("a", deadline=timed.now + CAUTION * 2.0)
    assert timed.dropped("no_time") == 1


def test_a_running_pass_counts_as_a_wait():
    timed = Timed()
    timed.run("a", 1.0)
    timed.put("a")
    timed.take()
    assert timed.queue.expected_wait_s(INTERACTIVE) == 1.0
    with pytest.raises(Overloaded):
        timed.put("a", deadline=timed.now + 2.0)


def test_a_deadline_within_one_pass_is_refused():
    timed = Timed()
    timed.run("a", 0.5)
    with pytest.raises(DeadlineExceeded, match=r"about 1\.00 s, the deadline is in 0\.90 s; ask again with more time"):
        timed.put("a", "a", deadline=timed.now + 0.9)


def test_a_photo_that_cannot_finish_is_dropped():
    timed = Timed()
    timed.run("a", 0.5)
    timed.put("a", deadline=timed.now + 10)
    late = timed.put("a", deadline=timed.now + 2)
    wanted = timed.put("a")
    timed.end(timed.take(), 1.6)
    assert timed.take().jobs[0].ticket is wanted
    with pytest.raises(DeadlineExceeded, match="could not be embedded in time"):
        late.future.result(0)
    assert timed.dropped("too_late") == 1


def test_a_queue_holds_limited_seconds_of_work():
    timed = Timed()
    timed.run("a", 1.0)
    timed.put(*["a"] * (int(LONGEST_WAIT_S) + 1))
    with pytest.raises(Overloaded, match=r"61 s of work wait before interactive tensors, at most 60 s may"):
        timed.put("a")


def test_bulk_photos_do_not_delay_interactive_ones():
    timed = Timed()
    timed.run("a", 1.0)
    timed.put("a", "a", "a", priority=BULK)
    timed.put("a", deadline=timed.now + CAUTION)
    with pytest.raises(Overloaded):
        timed.put("a", priority=BULK, deadline=timed.now + 4)


def test_old_times_refuse_no_request():
    timed = Timed()
    timed.run("a", 60.0)
    with pytest.raises(DeadlineExceeded):
        timed.put("a", deadline=timed.now + 1)
    timed.now += FRESH_S + 1
    timed.put("a", deadline=timed.now + 1)


def test_one_slow_pass_refuses_no_request():
    timed = Timed()
    for seconds in (0.1, 60.0, 0.1):
        timed.run("a", seconds)
    timed.put("a", deadline=timed.now + 1)


def test_room_is_held_until_it_is_filled():
    timed = Timed(4)
    with timed.queue.room({"a": 3}, INTERACTIVE, None) as room:
        with pytest.raises(Overloaded):
            timed.put("b", "b")
        timed.queue.put(request(INTERACTIVE, ["a", "a"]), room)
        timed.put("b", "b")
    with pytest.raises(Overloaded):
        timed.put("b")


def test_unused_room_is_given_back():
    timed = Timed(4)
    timed.run("a", 1.0)
    with timed.queue.room({"a": 4}, INTERACTIVE, None):
        assert timed.queue.expected_wait_s(INTERACTIVE) == 4.0
    assert timed.queue.expected_wait_s(INTERACTIVE) == 0.0
    timed.put(*"aaaa")


def test_room_is_of_no_use_in_a_closed_queue():
    timed = Timed()
    with timed.queue.room({"a": 1}, INTERACTIVE, None) as room:
        timed.queue.close()
        with pytest.raises(Unavailable):
            timed.queue.put(request(INTERACTIVE, ["a"]), room)


def test_a_room_beyond_the_limit_is_the_callers_error():
    with pytest.raises(InvalidArgument, match="the request needs 13 tensors"), Timed(12).queue.room({"a": 13}, INTERACTIVE, None):
        pass


@pytest.mark.parametrize(("beside_s", "settled"), [(1.5, True), (1.92, False), (2.5, False)])
def test_the_way_with_more_photos_a_second_wins(beside_s, settled):
    timed = Timed(passes=2)
    timed.put(*["a"] * 100)
    ways = timed.run_waiting(60, lambda side_by_side: beside_s if side_by_side else 1.0)
    assert ways[:RECENT_PASSES] == [False] * RECENT_PASSES
    tried = 3 * RECENT_PASSES  # of two passes that end together, the second one does not count
    assert ways[RECENT_PASSES:tried] == [True] * 2 * RECENT_PASSES
    assert set(ways[tried:]) == {settled}
    assert timed.queue.passes_at_a_time("a") == (2 if settled else 1)


@pytest.mark.parametrize(("first_s", "later_s"), [(1.5, 3.0), (3.0, 1.5)])
def test_the_way_changes_with_the_machine(first_s, later_s):
    timed = Timed(passes=2)
    for beside_s in (first_s, later_s):
        timed.put(*["a"] * 2 * RETRIAL_PASSES)
        timed.run_waiting(2 * RETRIAL_PASSES, lambda side_by_side, s=beside_s: s if side_by_side else 1.0)
        assert timed.queue.passes_at_a_time("a") == (2 if beside_s < 2 else 1)


def test_a_lone_photo_runs_on_all_cpus():
    timed = Timed(passes=2)
    timed.put(*["a"] * 50)
    timed.run_waiting(50, lambda _: 1.0)
    timed.put("a")
    assert not timed.take().side_by_side


def test_side_by_side_photos_halve_the_wait():
    timed = Timed(passes=2)
    timed.put(*["a"] * 50)
    timed.run_waiting(50, lambda _: 1.0)
    timed.put(*["a"] * 6)
    assert timed.queue.expected_wait_s(INTERACTIVE) == 3.0
