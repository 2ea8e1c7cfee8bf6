"""Dynamic micro-batching: many callers, few runner threads. It implements the Embedder port within the process.

When a runner is free, it runs the queued photos of one bundle together, up to a limit; it never waits for a batch to fill. On a
CPU a batch is one photo: larger batches gain nothing, and so an interactive request waits for at most one bulk photo. Instead,
the photos of a queue run side by side, one to a runner, where `pass_times` finds that this gives more photos a second.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager

import numpy as np
import structlog

from miradouro.adapters.onnx_embedder import OnnxEmbedder, Outputs
from miradouro.core.document import Float32
from miradouro.core.embedding import Embedding, LabelProbability, Priority, Tensor
from miradouro.core.errors import DeadlineExceeded, Internal, MiradouroError, Unavailable
from miradouro.core.provider import Provider
from miradouro.core.spaces import BundleDescription, Geometry
from miradouro.embedding.metrics import EmbeddingMetrics
from miradouro.embedding.request import ResolvedRequest, check_count, check_tensors, resolve
from miradouro.embedding.work_queue import Job, Room, Ticket, Turn, WorkQueue

GPU_BATCH_PHOTOS = 32
QUEUE_TENSORS = 512  # capacity, one per photo and bundle; bulk requests fill at most half

_log = structlog.get_logger()


class Batcher:
    """Queues requests and runs them on threads of its own, one for each pass that may run at a time."""

    def __init__(
        self,
        networks: OnnxEmbedder,
        *,
        metrics: EmbeddingMetrics,
        queue_tensors: int = QUEUE_TENSORS,
        max_batch_photos: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Runs every bundle once, so that the first call is fast; `max_batch_photos` 0 is 1 on the CPU, else GPU_BATCH_PHOTOS.

        `clock` is the one of the deadlines of `submit`.
        """
        self._networks, self._metrics = networks, metrics
        on_cpu = networks.provider is Provider.CPU
        interactive = max_batch_photos or (1 if on_cpu else GPU_BATCH_PHOTOS)
        max_photos = {Priority.INTERACTIVE: interactive, Priority.BULK: 1 if on_cpu else interactive}
        self._queue: WorkQueue[_Request] = WorkQueue(
            queue_tensors, metrics, max_photos=max_photos, passes=networks.passes, clock=clock
        )
        metrics.watch_queue(self._queue.depth, self._queue.expected_wait_s)
        metrics.loaded(networks.descriptions, provider=networks.provider.value, passes=self._queue.passes_at_a_time)
        self._warm_up(interactive)
        self._runners = [
            threading.Thread(target=self._run_until_closed, name=f"embedding-runner-{number}", daemon=True)
            for number in range(networks.passes)
        ]
        for runner in self._runners:
            runner.start()

    @property
    def provider(self) -> str:
        """Execution provider in use: cpu, cuda or tensorrt."""
        return self._networks.provider.value

    @property
    def ready(self) -> bool:
        """Whether requests are accepted."""
        return all(runner.is_alive() for runner in self._runners) and not self._queue.closed

    def describe(self) -> Sequence[BundleDescription]:
        """The loaded bundles, by name."""
        return self._networks.descriptions

    def embed(
        self,
        photos: Sequence[Mapping[Geometry, Tensor]],
        *,
        spaces: Sequence[str],
        tags: bool = False,
        priority: Priority = Priority.INTERACTIVE,
        timeout_s: float | None = None,
    ) -> list[Embedding]:
        """Embedder.embed; blocks until the photos have run."""
        check_count(len(photos))
        resolved = resolve(spaces, tags=tags, loaded=self.describe())
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        future = self.submit(photos, resolved, priority=priority, deadline=deadline)
        try:
            return future.result(timeout=timeout_s)
        except TimeoutError as exc:
            raise DeadlineExceeded(f"the photos were not embedded within {timeout_s} s; ask again with more time") from exc

    def room(
        self, photos: int, resolved: ResolvedRequest, *, priority: Priority, deadline: float | None
    ) -> AbstractContextManager[Room]:
        """Holds room for `submit` of that many photos until the block ends; raises at once what `submit` would raise without it.

        For photos that are decoded first: a request that has no room or no time costs no decoding.
        """
        return self._queue.room({bundle.name: photos for bundle in resolved.bundles}, priority, deadline)

    def submit(
        self,
        photos: Sequence[Mapping[Geometry, Tensor]],
        resolved: ResolvedRequest,
        *,
        priority: Priority,
        deadline: float | None,
        room: Room | None = None,
    ) -> Future[list[Embedding]]:
        """Queues photos, in `room` if given. The future's result is one Embedding each, in order.

        The future fails with DeadlineExceeded when the photos cannot be embedded in time any more. Cancelling it drops the photos
        that have not run. Raises at once InvalidArgument (tensors), Unavailable (stopping), and without room Overloaded and
        DeadlineExceeded: recent passes suggest that the photos would not be embedded in time.
        """
        check_tensors(photos, resolved, loaded=self.describe())
        request = _Request(priority, deadline, photos=len(photos), resolved=resolved)
        self._queue.put(
            [
                Job(
                    request,
                    position,
                    bundle.name,
                    {geometry: tensors[geometry] for geometry in resolved.geometries_of(bundle)},
                    resolved.spaces_of(bundle.name),
                    bundle.name == resolved.tagger,
                )
                for position, tensors in enumerate(photos)
                for bundle in resolved.bundles
            ],
            room,
        )
        return request.future

    def stop(self, timeout_s: float | None = None) -> None:
        """Refuses new photos and returns when the queued ones have run; those left after `timeout_s` end as Unavailable."""
        self._queue.close()
        until = None if timeout_s is None else time.monotonic() + timeout_s
        for runner in self._runners:
            runner.join(None if until is None else max(0.0, until - time.monotonic()))
        if any(runner.is_alive() for runner in self._runners):
            self._queue.fail_all(Unavailable("the embedding service stopped before the photo's turn; ask again"))
            for runner in self._runners:
                runner.join()

    def _run_until_closed(self) -> None:
        while turn := self._queue.take():
            outputs = self._run(turn)
            self._queue.end(turn, failed=outputs is None)
            if outputs is not None:
                for row, job in enumerate(turn.jobs):
                    self._deliver(job, outputs, row)

    def _run(self, turn: "Turn[_Request]") -> Outputs | None:
        """The outputs of a turn, None when its pass failed, which its requests have learned then."""
        batch = turn.jobs
        bundle = batch[0].bundle
        spaces = tuple(dict.fromkeys(space for job in batch for space in job.spaces))  # the union: one pass computes all
        for job in batch:
            self._metrics.wait_seconds.labels(job.ticket.priority.value).observe(turn.started - job.queued_at)
        started = time.monotonic()
        photos = {geometry: _stacked([job.tensors[geometry] for job in batch]) for geometry in batch[0].tensors}
        try:
            outputs = self._networks.run(
                bundle, photos, spaces=spaces, tags=any(job.tags for job in batch), side_by_side=turn.side_by_side
            )
        except Exception as exc:  # noqa: BLE001 # the callers get every error of a run; the runner thread goes on
            traces = sorted({job.ticket.trace.trace_id for job in batch if job.ticket.trace})
            _log.exception("forward pass failed", bundle=bundle, photos=len(batch), trace_ids=traces)
            error = (
                exc
                if isinstance(exc, MiradouroError)
                else Internal(f"{bundle}: the forward pass failed: {type(exc).__name__}: {exc}")
            )
            for job in batch:
                job.ticket.end(error)
            return None
        self._metrics.run_seconds.labels(bundle).observe(time.monotonic() - started)
        self._metrics.batch_photos.labels(bundle).observe(len(batch))
        return outputs

    def _deliver(self, job: "Job[_Request]", outputs: Outputs, row: int) -> None:
        vectors = {space: outputs.vectors[space][row].copy() for space in job.spaces}
        labels: tuple[LabelProbability, ...] = ()
        if job.tags and outputs.probabilities is not None:
            labels = self._networks.labels(job.bundle, outputs.probabilities[row])
        request = job.ticket
        if request.completed_by(job.photo, vectors, labels):
            self._metrics.photos.labels(request.priority.value).inc(len(request.partial))
            request.end([_embedding(*partial, request.resolved) for partial in request.partial])

    def _warm_up(self, max_photos: int) -> None:
        for bundle in self.describe():
            for photos in {1, max_photos}:
                zeros = {each: np.zeros((photos, each.height, each.width, 3), np.uint8) for each in bundle.geometries}
                self._networks.run(bundle.name, zeros, spaces=[space.name for space in bundle.spaces], tags=bundle.can_tag)


class _Request(Ticket):
    """A request whose embeddings are completed bundle by bundle, by any of the runner threads."""

    def __init__(self, priority: Priority, deadline: float | None, *, photos: int, resolved: ResolvedRequest) -> None:
        super().__init__(priority, deadline)
        self.resolved = resolved
        self.partial: list[tuple[dict[str, Float32], list[LabelProbability]]] = [({}, []) for _ in range(photos)]
        self._missing = photos * len(resolved.bundles)
        self._completing = threading.Lock()

    def completed_by(self, photo: int, vectors: Mapping[str, Float32], labels: Sequence[LabelProbability]) -> bool:
        """Adds the outputs of one bundle for a photo. Whether they were the last ones of the request."""
        with self._completing:
            self.partial[photo][0].update(vectors)
            self.partial[photo][1].extend(labels)
            self._missing -= 1
            return self._missing == 0


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0][np.newaxis] if len(tensors) == 1 else np.stack(tensors)


def _embedding(vectors: Mapping[str, Float32], labels: Sequence[LabelProbability], resolved: ResolvedRequest) -> Embedding:
    in_order = {space.name: vectors[space.name] for space in resolved.spaces}
    provenances = {space.name: space.provenance for space in resolved.spaces}
    return Embedding(in_order, provenances, tuple(sorted(labels, key=lambda label: -label.probability)))
