"""Builds runs: the pipeline over the photo store, retries and deadline of one caller."""

from pathlib import Path

from miradouro.adapters.described import Describe
from miradouro.adapters.photo_store import FileStore
from miradouro.bundles.keyword_heads import KeywordHeads
from miradouro.bundles.labels import LabelTable
from miradouro.core.photo_limits import DecodeLimits
from miradouro.core.ports import Embedder, PhotoIndex, PhotoReader, PhotoStore
from miradouro.ingest.collection_upkeep import CollectionUpkeep
from miradouro.ingest.metrics import IngestMetrics
from miradouro.ingest.pace import Pace
from miradouro.ingest.retry_policy import RetryPolicy
from miradouro.ingest.run import Run
from miradouro.ingest.stored_copy import StoredCopies
from miradouro.processors.pipeline_file import Pipeline
from miradouro.processors.plugin import Context
from miradouro.runtime.call import Call


class RunFactory:
    """Builds runs over one index. `photo_store` reads the URIs of events; folders are read below their own root.

    `reader` reads photos and their XMP sidecars.
    `thumbnails` is the folder in which the web page looks for thumbnails, None for none.
    """

    def __init__(
        self,
        *,
        index: PhotoIndex,
        collections: CollectionUpkeep,
        embedder: Embedder,
        describe: Describe,
        reader: PhotoReader,
        photo_store: PhotoStore,
        labels: LabelTable,
        pipeline: Pipeline,
        pace: Pace,
        limits: DecodeLimits,
        thumbnails: Path | None,
        keywords: KeywordHeads,
        metrics: IngestMetrics,
    ) -> None:
        self._index, self._collections, self._photo_store = index, collections, photo_store
        self._embedder, self._describe, self.reader, self._labels = embedder, describe, reader, labels
        self._pipeline, self._pace, self._limits = pipeline, pace, limits
        self._thumbnails, self._keywords, self._metrics = thumbnails, keywords, metrics

    def folder_run(self, root: str, call: Call, *, retriable_stops: bool = True) -> Run:
        """A run over the files below `root`."""
        store = FileStore([Path(root)])
        return self._run(store, call, retriable_stops=retriable_stops, retry_s=self._pace.retry_s)

    def event_run(self, call: Call, *, retriable_stops: bool = False, retry_s: float | None = None) -> Run:
        """A run over events; retriable errors are retried for `retry_s` seconds, by default those of the pace."""
        seconds = self._pace.retry_s if retry_s is None else retry_s
        return self._run(self._photo_store, call, retriable_stops=retriable_stops, retry_s=seconds)

    def _run(self, store: PhotoStore, call: Call, *, retriable_stops: bool, retry_s: float) -> Run:
        context = Context(
            embedder=self._embedder,
            describe=self._describe,
            photo_store=store,
            labels=self._labels,
            reader=self.reader,
            limits=self._limits,
            embed_timeout_s=self._pace.embed_timeout_s,
            thumbnails=self._thumbnails,
            stored=StoredCopies(self._index).find,
            keywords=self._keywords.find,
        )
        retry = RetryPolicy(call.cancelled, retry_s, original_retry_s=self._pace.retry_s, metrics=self._metrics)
        return Run(
            processors=self._pipeline.build(context, observe=self._metrics.step, attempt=retry),
            spaces=self._collections.spaces_of,
            retry=retry,
            retriable_stops=retriable_stops,
        )
