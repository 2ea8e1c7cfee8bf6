"""The ingest service: what its RPCs do, whichever door they come through."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from miradouro.adapters.file_store import FileStore, file_uri
from miradouro.adapters.folder.source import FolderSource
from miradouro.bundles.labels import LabelTable
from miradouro.core.decode import DEFAULT_LIMITS, DecodeLimits
from miradouro.core.errors import FailedPrecondition, InvalidArgument, NotFound
from miradouro.core.event import DEFAULT_COLLECTION, check_collection
from miradouro.core.ports import DeadLetters, Embedder, IndexAdmin, PhotoIndex, PhotoStore
from miradouro.core.query import MAX_LIMIT
from miradouro.core.spaces import BundleDescription, Space, resolve_space
from miradouro.ingest import wire
from miradouro.ingest.folder_run import FolderProgress, forget_failures_of_gone_files, index_folder
from miradouro.ingest.runner import Run, Runner
from miradouro.ingest.settings import IngestSettings
from miradouro.processors.pipeline_file import Pipeline
from miradouro.processors.plugin import Context
from miradouro.runtime.call import Call
from miradouro.v1.ingest_service_pb2 import (
    IndexFolderRequest,
    IndexFolderResponse,
    ListFailuresRequest,
    ListFailuresResponse,
    PutEventsRequest,
    PutEventsResponse,
)

MAX_EVENTS = 256
_DEFAULT_PAGE = 100
_DESCRIBED_FOR_S = 1.0  # an embedder that is restarted with other bundles takes longer than that


class WritableStore(PhotoIndex, IndexAdmin, DeadLetters, Protocol):
    """An index that is also its own administration and dead letters."""


class IngestService:
    """Takes photos into `store`. `close` ends its worker threads.

    `photo_store` reads what events name by URI; folders are read below their own root. `spaces` names those that new
    collections get, the embedder's default ones when empty. `excluded` folders (the data folder) are never indexed.
    """

    def __init__(
        self,
        *,
        store: WritableStore,
        embedder: Embedder,
        photo_store: PhotoStore,
        labels: LabelTable,
        pipeline: Pipeline,
        settings: IngestSettings,
        limits: DecodeLimits = DEFAULT_LIMITS,
        spaces: Sequence[str] = (),
        excluded: Sequence[Path] = (),
    ) -> None:
        self._store, self._embedder, self._photo_store, self._labels = store, embedder, photo_store, labels
        self._pipeline, self._settings, self._limits = pipeline, settings, limits
        self._spaces, self._excluded = spaces, excluded
        self._describe = _remembered(embedder.describe)
        self._runner = Runner(index=store, letters=store, settings=settings)
        self._folders_lock = threading.Lock()
        self._indexing: set[str] = set()
        self._held: dict[str, tuple[Space, ...]] = {}  # a collection's spaces never change

    def close(self) -> None:
        """Ends the worker threads."""
        self._runner.close()

    def PutEvents(self, request: PutEventsRequest, call: Call) -> PutEventsResponse:
        """Indexes a batch of events. Raises InvalidArgument (the batch's size) and what stops every photo."""
        if not 1 <= len(request.events) <= MAX_EVENTS:
            raise InvalidArgument("events", f"{len(request.events)} events; allowed: 1 to {MAX_EVENTS}")
        remaining_s = call.remaining_s()
        retry_s = self._settings.ingest_retry_s if remaining_s is None else min(self._settings.ingest_retry_s, remaining_s)
        run = self._run(self._photo_store, call, retriable_stops=False, retry_s=retry_s)
        items = [wire.item_of(event) for event in request.events]
        outcomes = list(self._runner.run(items, run))
        results = [wire.result_of(outcome, event.event_id) for outcome, event in zip(outcomes, request.events, strict=False)]
        return PutEventsResponse(results=results)

    def IndexFolder(self, request: IndexFolderRequest, call: Call) -> Iterator[IndexFolderResponse]:
        """Brings a collection in line with a folder.

        Raises InvalidArgument (path, collection), FailedPrecondition (another root, pruning needed, already being indexed),
        and what stops every photo.
        """
        collection = check_collection(request.collection or DEFAULT_COLLECTION)
        root = _root(request.path)
        with self._alone(collection):
            if not os.path.isdir(root):
                self._check_is_known(collection, root)
            self._ensure(collection, root=root)
            run = self._run(FileStore([Path(root)]), call, retriable_stops=True, retry_s=self._settings.ingest_retry_s)
            source = FolderSource(
                root,
                collection=collection,
                known=lambda: self._store.origins(collection),
                file_uri=file_uri,
                excluded=self._excluded,
                prune=request.prune,
            )
            for told in index_folder(source, runner=self._runner, run=run):
                if isinstance(told, FolderProgress):
                    yield wire.progress_of(told)
                    continue
                if not call.cancelled.is_set():
                    forget_failures_of_gone_files(root, collection, index=self._store, letters=self._store)
                yield wire.report_of(told)

    def ListFailures(self, request: ListFailuresRequest, call: Call) -> ListFailuresResponse:
        """Lists what could not be indexed. Raises InvalidArgument."""
        call.remaining_s()
        if request.page_size > MAX_LIMIT:
            raise InvalidArgument("page_size", f"{request.page_size:,}; allowed: 1 to {MAX_LIMIT:,}, or 0 for {_DEFAULT_PAGE}")
        failures, token = self._store.list(
            collection=check_collection(request.collection) if request.collection else "",
            limit=request.page_size or _DEFAULT_PAGE,
            after=request.page_token,
        )
        return ListFailuresResponse(failures=[wire.failure_of(failure) for failure in failures], next_page_token=token)

    def _run(self, store: PhotoStore, call: Call, *, retriable_stops: bool, retry_s: float) -> Run:
        context = Context(
            embedder=self._embedder,
            describe=self._describe,
            photo_store=store,
            labels=self._labels,
            limits=self._limits,
            embed_timeout_s=self._settings.embed_timeout_s,
        )
        return Run(
            processors=self._pipeline.build(context),
            spaces=self._spaces_of,
            cancelled=call.cancelled,
            retriable_stops=retriable_stops,
            retry_s=retry_s,
        )

    def _spaces_of(self, collection: str) -> tuple[Space, ...]:
        """The spaces of a collection, which is made where there is none."""
        return self._held.get(collection) or self._ensure(collection, root="")

    def _ensure(self, collection: str, *, root: str) -> tuple[Space, ...]:
        """Makes the collection with the spaces for new ones, or checks that the embedder offers those that it holds."""
        offered = [space for bundle in self._describe() for space in bundle.spaces]
        try:
            names = {space.name for space in self._store.spaces(collection)}
            wanted = [space for space in offered if space.name in names]
        except NotFound:
            wanted = [resolve_space(name, offered, field="spaces") for name in self._spaces]
            wanted = wanted or [space for space in offered if space.is_default]
        self._store.ensure_collection(collection, spaces=wanted, root=root)
        held = self._held[collection] = tuple(self._store.spaces(collection))
        return held

    def _check_is_known(self, collection: str, root: str) -> None:
        """Raises InvalidArgument when a folder that isn't there is not the root of the collection either."""
        if not any(one.name == collection and one.root == root for one in self._store.stats()):
            raise InvalidArgument("path", f"there is no folder {root}")

    @contextmanager
    def _alone(self, collection: str) -> Iterator[None]:
        """Two runs over one folder would count its versions twice."""
        with self._folders_lock:
            if collection in self._indexing:
                raise FailedPrecondition(f"collection {collection!r} is being indexed already; wait until that is done")
            self._indexing.add(collection)
        try:
            yield
        finally:
            with self._folders_lock:
                self._indexing.discard(collection)


def _root(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise InvalidArgument("path", f"{path!r} is not an absolute path")
    return os.path.realpath(path)


def _remembered(describe: Callable[[], Sequence[BundleDescription]]) -> Callable[[], Sequence[BundleDescription]]:
    """`describe`, asked at most once in _DESCRIBED_FOR_S: every photo needs the answer twice."""
    lock = threading.Lock()
    told: Sequence[BundleDescription] = ()
    told_at = float("-inf")

    def remembered() -> Sequence[BundleDescription]:
        nonlocal told, told_at
        with lock:
            if time.monotonic() - told_at >= _DESCRIBED_FOR_S:
                told = describe()
                told_at = time.monotonic()
            return told

    return remembered
