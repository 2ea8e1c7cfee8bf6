"""Dynamic micro-batching: many callers, one runner thread. It implements the Embedder port within the process.

When the runner is free, it runs the queued photos of one bundle together, up to a limit; it never waits for a batch to fill. On
a CPU a batch is one photo: larger batches gain nothing, and so an interactive request waits for at most one bulk photo.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

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
from miradouro.embedding.work_queue import Job, Ticket, WorkQueue

GPU_BATCH_PHOTOS = 32
QUEUE_TENSORS = 512  # capacity, one per photo and bundle; bulk requests fill at most half: seconds of a CPU's work

_log = structlog.get_logger()


class Batcher:
    """Queues requests and runs them on a thread of its own."""

    def __init__(
        self, networks: OnnxEmbedder, *, metrics: EmbeddingMetrics, queue_tensors: int = QUEUE_TENSORS, max_batch_photos: int = 0
    ) -> None:
        """Runs every bundle once, so that the first call is fast; `max_batch_photos` 0 is 1 on the CPU, else GPU_BATCH_PHOTOS."""
        self._networks, self._metrics = networks, metrics
        on_cpu = networks.provider is Provider.CPU
        interactive = max_batch_photos or (1 if on_cpu else GPU_BATCH_PHOTOS)
        self._max_photos = {Priority.INTERACTIVE: interactive, Priority.BULK: 1 if on_cpu else interactive}
        self._queue: WorkQueue[_Request] = WorkQueue(queue_tensors, metrics)
        metrics.watch_queue(self._queue.depth)
        metrics.loaded(networks.descriptions, provider=networks.provider.value)
        self._warm_up()
        self._runner = threading.Thread(target=self._run_until_closed, name="embedding-runner", daemon=True)
        self._runner.start()

    @property
    def provider(self) -> str:
        """Execution provider in use: cpu, cuda or tensorrt."""
        return self._networks.provider.value

    @property
    def ready(self) -> bool:
        """Whether requests are accepted."""
        return self._runner.is_alive() and not self._queue.closed

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

    def check_room(self, photos: int, resolved: ResolvedRequest, priority: Priority) -> None:
        """Raises Overloaded or Unavailable when `submit` of that many photos would raise it now."""
        self._queue.check_room(photos * len(resolved.bundles), priority)

    def submit(
        self,
        photos: Sequence[Mapping[Geometry, Tensor]],
        resolved: ResolvedRequest,
        *,
        priority: Priority,
        deadline: float | None,
    ) -> Future[list[Embedding]]:
        """Queues photos. The future's result is one Embedding each, in order; DeadlineExceeded when they expire in the queue.

        `deadline` is on the clock of time.monotonic. Cancelling the future drops the photos that have not run.
        Raises InvalidArgument (tensors), Overloaded, Unavailable (stopping) at once.
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
            ]
        )
        return request.future

    def stop(self, timeout_s: float | None = None) -> None:
        """Refuses new photos and returns when the queued ones have run; those left after `timeout_s` end as Unavailable."""
        self._queue.close()
        self._runner.join(timeout_s)
        if self._runner.is_alive():
            self._queue.fail_all(Unavailable("the embedding service stopped before the photo's turn; ask again"))
            self._runner.join()

    def _run_until_closed(self) -> None:
        while batch := self._queue.take(self._max_photos.__getitem__):
            self._run(batch)

    def _run(self, batch: Sequence["Job[_Request]"]) -> None:
        bundle = batch[0].bundle
        spaces = tuple(dict.fromkeys(space for job in batch for space in job.spaces))  # the union: one pass computes all
        started = time.monotonic()
        for job in batch:
            self._metrics.wait_seconds.labels(job.ticket.priority.value).observe(started - job.queued_at)
        photos = {geometry: _stacked([job.tensors[geometry] for job in batch]) for geometry in batch[0].tensors}
        try:
            outputs = self._networks.run(bundle, photos, spaces=spaces, tags=any(job.tags for job in batch))
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
            return
        self._metrics.run_seconds.labels(bundle).observe(time.monotonic() - started)
        self._metrics.batch_photos.labels(bundle).observe(len(batch))
        for row, job in enumerate(batch):
            self._deliver(job, outputs, row)

    def _deliver(self, job: "Job[_Request]", outputs: Outputs, row: int) -> None:
        request = job.ticket
        vectors, labels = request.partial[job.photo]
        vectors.update({space: outputs.vectors[space][row].copy() for space in job.spaces})
        if job.tags and outputs.probabilities is not None:
            labels += self._networks.labels(job.bundle, outputs.probabilities[row])
        request.missing -= 1
        if request.missing == 0:
            self._metrics.photos.labels(request.priority.value).inc(len(request.partial))
            request.end([_embedding(*partial, request.resolved) for partial in request.partial])

    def _warm_up(self) -> None:
        for bundle in self.describe():
            for photos in {1, self._max_photos[Priority.INTERACTIVE]}:
                zeros = {each: np.zeros((photos, each.height, each.width, 3), np.uint8) for each in bundle.geometries}
                self._networks.run(bundle.name, zeros, spaces=[space.name for space in bundle.spaces], tags=bundle.can_tag)


class _Request(Ticket):
    """A request whose embeddings are completed bundle by bundle; only the runner thread changes it."""

    def __init__(self, priority: Priority, deadline: float | None, *, photos: int, resolved: ResolvedRequest) -> None:
        super().__init__(priority, deadline)
        self.resolved = resolved
        self.missing = photos * len(resolved.bundles)
        self.partial: list[tuple[dict[str, Float32], list[LabelProbability]]] = [({}, []) for _ in range(photos)]


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0][np.newaxis] if len(tensors) == 1 else np.stack(tensors)


def _embedding(vectors: Mapping[str, Float32], labels: Sequence[LabelProbability], resolved: ResolvedRequest) -> Embedding:
    in_order = {space.name: vectors[space.name] for space in resolved.spaces}
    provenances = {space.name: space.provenance for space in resolved.spaces}
    return Embedding(in_order, provenances, tuple(sorted(labels, key=lambda label: -label.probability)))
