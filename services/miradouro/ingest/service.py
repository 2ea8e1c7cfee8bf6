"""The ingest service: what its RPCs do, whichever door they come through."""

import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from prometheus_client import CollectorRegistry

from miradouro.adapters.folder.source import FolderSource
from miradouro.adapters.photo_store import FileStore, file_uri
from miradouro.bundles.labels import LabelTable
from miradouro.core.decode import DEFAULT_LIMITS, DecodeLimits
from miradouro.core.document import Failure
from miradouro.core.error_text import shown
from miradouro.core.errors import BadEvent, FailedPrecondition, InvalidArgument, NotFound, TooManyCollections
from miradouro.core.event import DEFAULT_COLLECTION, check_collection
from miradouro.core.ports import (
    MAX_COLLECTIONS,
    DeadLetters,
    Embedder,
    IndexAdmin,
    NothingYet,
    PhotoIndex,
    PhotoReader,
    PhotoStore,
    SourceItem,
)
from miradouro.core.query import MAX_LIMIT
from miradouro.core.spaces import BundleDescription, Space, resolve_space
from miradouro.ingest import event_wire, wire
from miradouro.ingest.folder_run import FolderProgress, FolderReport, MoreFailed, forget_failures_of_gone_files, index_folder
from miradouro.ingest.metrics import IngestMetrics
from miradouro.ingest.retry_run import Retried, Retry
from miradouro.ingest.runner import Outcome, Run, Runner
from miradouro.ingest.settings import IngestSettings
from miradouro.processors.pipeline_file import Pipeline
from miradouro.processors.plugin import Context
from miradouro.runtime.audit_log import audited
from miradouro.runtime.call import Call
from miradouro.v1 import photo_event_pb2
from miradouro.v1.ingest_service_pb2 import (
    IndexFolderRequest,
    IndexFolderResponse,
    ListFailuresRequest,
    ListFailuresResponse,
    PutEventsRequest,
    PutEventsResponse,
    RetryFailuresRequest,
    RetryFailuresResponse,
)

MAX_EVENTS = 256
MAX_RETRIED_IDS = 1_000
_DEFAULT_PAGE = 100
_POLL_S = 0.1  # how soon a cancelled call is noticed while it waits for another run
_DESCRIBED_FOR_S = 1.0  # an embedder that is restarted with other bundles takes longer than that


class WritableStore(PhotoIndex, IndexAdmin, Protocol):
    """An index that is also its own administration."""


class IngestService:
    """Takes photos into `store`. `close` ends its worker threads.

    `photo_store` reads what events name by URI; folders are read below their own root. `spaces` names those that new
    collections get, the embedder's default ones when empty. `excluded` folders (the data folder) are never indexed. The owner may
    have any other folder indexed, everybody else those below `folders`. `thumbnails` is where the door looks for them.
    """

    def __init__(
        self,
        *,
        store: WritableStore,
        letters: DeadLetters,
        embedder: Embedder,
        reader: PhotoReader,
        photo_store: PhotoStore,
        labels: LabelTable,
        pipeline: Pipeline,
        settings: IngestSettings,
        limits: DecodeLimits = DEFAULT_LIMITS,
        spaces: Sequence[str] = (),
        excluded: Sequence[Path] = (),
        folders: Sequence[Path] = (),
        thumbnails: Path | None = None,
        metrics: IngestMetrics | None = None,
    ) -> None:
        self._store, self._letters = store, letters
        self._embedder, self._reader, self._photo_store, self._labels = embedder, reader, photo_store, labels
        self._pipeline, self._settings, self._limits = pipeline, settings, limits
        self._spaces, self._excluded, self._folders, self._thumbnails = spaces, excluded, folders, thumbnails
        self._describe = _remembered(embedder.describe)
        self._metrics = metrics or IngestMetrics(CollectorRegistry())
        self._runner = Runner(index=store, letters=letters, settings=settings, metrics=self._metrics)
        self._collections = settings.collection_names
        self._run_ended = threading.Condition()
        self._indexing: set[str] = set()
        self._checked: dict[str, tuple[Space, ...]] = {}  # spaces of collections, as they were found to be the embedder's

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
        items = [event_wire.item_of(event) for event in request.events]
        deleted = sum(event.kind == photo_event_pb2.PHOTO_EVENT_KIND_DELETED for event in request.events)
        with audited("delete photos", call, photos=deleted) if deleted else nullcontext():
            outcomes = list(self._runner.run(items, run))
        results = [wire.result_of(outcome, event.event_id) for outcome, event in zip(outcomes, request.events, strict=False)]
        return PutEventsResponse(results=results)

    def consume(self, items: Iterable[SourceItem | NothingYet], call: Call) -> Iterator[Outcome]:
        """Indexes what a log tells, one outcome per item, in order, each after it is stored or a dead letter.

        What fails for a passing reason is tried again until the call is cancelled. Raises what stops every photo.
        """
        return self._runner.run(items, self._run(self._photo_store, call, retriable_stops=True, retry_s=math.inf))

    def IndexFolder(self, request: IndexFolderRequest, call: Call) -> Iterator[IndexFolderResponse]:
        """Brings a collection in line with a folder.

        Raises InvalidArgument (path, collection; a folder that the caller may not name), FailedPrecondition (another root,
        pruning needed, already being indexed), and what stops every photo.
        """
        collection = check_collection(request.collection or DEFAULT_COLLECTION)
        root = _root(request.path)
        with audited("index folder", call, path=root, collection=collection, prune=request.prune):
            self._check_may_index(root, call)
            for told in self.follow(root, collection, call, prune=request.prune):
                yield wire.folder_response(told)

    def _check_may_index(self, root: str, call: Call) -> None:
        """Raises InvalidArgument: the photos of a folder are shown to everybody who may search, and this one is not the owner."""
        if call.caller.is_owner or any(Path(root).is_relative_to(os.path.realpath(folder)) for folder in self._folders):
            return
        raise InvalidArgument(
            "path",
            f"{shown(root)} does not lie below a folder of MIRADOURO_PHOTO_ROOTS; "
            "another folder may be indexed with the token of the data folder alone",
        )

    def claim(self, path: str, collection: str) -> str:
        """Makes the folder `path` the root of the collection, or checks that it is; gives it without links in it.

        Raises as `IndexFolder` does, but takes a missing folder that the collection is known to mirror.
        """
        root = _root(path)
        for kept in self._excluded:
            if Path(root).is_relative_to(os.path.realpath(kept)):
                raise InvalidArgument(
                    "path", f"{shown(root)} is the data folder {str(kept)!r} or lies in it; name the photos' own folder"
                )
        if not os.path.isdir(root):
            self._check_is_known(check_collection(collection), root)
        self._ensure(check_collection(collection), root=root)
        return root

    def follow(
        self, root: str, collection: str, call: Call, *, prune: bool = False, within: str = "", waits: bool = False
    ) -> Iterator[FolderProgress | MoreFailed | FolderReport]:
        """Brings a collection in line with its folder, or with one folder `within` it; see `FolderSource`.

        One run at a time: while there is another one this one `waits`, or raises FailedPrecondition. Raises as `IndexFolder`.
        """
        with self._alone(collection, waits_for=call if waits else None):
            if call.cancelled.is_set():
                return
            self.claim(root, collection)
            run = self._folder_run(root, call)
            source = FolderSource(
                root,
                collection=collection,
                known=lambda: self._store.origins(collection, within=within),
                file_uri=file_uri,
                excluded=self._excluded,
                prune=prune,
                within=within,
            )
            for told in index_folder(source, runner=self._runner, run=run):
                if isinstance(told, FolderReport) and not call.cancelled.is_set():
                    forget_failures_of_gone_files(root, collection, within=within, index=self._store, letters=self._letters)
                yield told

    def ListFailures(self, request: ListFailuresRequest, call: Call) -> ListFailuresResponse:
        """Lists what could not be indexed. Raises InvalidArgument."""
        call.remaining_s()
        if request.page_size > MAX_LIMIT:
            raise InvalidArgument("page_size", f"{request.page_size:,}; allowed: 1 to {MAX_LIMIT:,}, or 0 for {_DEFAULT_PAGE}")
        failures, token = self._letters.list(
            collection=check_collection(request.collection) if request.collection else "",
            limit=request.page_size or _DEFAULT_PAGE,
            after=request.page_token,
        )
        return ListFailuresResponse(failures=[wire.failure_of(failure) for failure in failures], next_page_token=token)

    def RetryFailures(self, request: RetryFailuresRequest, call: Call) -> Iterator[RetryFailuresResponse]:
        """Tries failures again; folders' photos by their files.

        Raises InvalidArgument, NotFound (a photo that did not fail), FailedPrecondition (the collection is being indexed), and
        what stops every photo.
        """
        if len(request.photo_ids) > MAX_RETRIED_IDS:
            raise InvalidArgument("photo_ids", f"{len(request.photo_ids):,} photos; allowed: 0 to {MAX_RETRIED_IDS:,}")
        collection = request.collection or (DEFAULT_COLLECTION if request.photo_ids else "")
        wanted = set(request.photo_ids)
        with audited("retry failures", call, collection=collection, photos=len(wanted)):
            yield from self._retried(collection, wanted, call)

    def _retried(self, collection: str, wanted: set[str], call: Call) -> Iterator[RetryFailuresResponse]:
        if wanted:
            found = {failure.photo_id for page in self._failures(check_collection(collection)) for failure in page}
            if missing := sorted(wanted - found):
                raise NotFound(f"photo {shown(missing[0])} of collection {shown(collection)} is not among the failures")
        for page in self._failures(check_collection(collection) if collection else ""):
            chosen = [failure for failure in page if not wanted or failure.photo_id in wanted]
            for name in sorted({failure.collection for failure in chosen}):
                for retried in self._retry(name, [failure for failure in chosen if failure.collection == name], call):
                    yield wire.retry_response(retried)
                if call.cancelled.is_set():
                    return

    def _failures(self, collection: str) -> Iterator[Sequence[Failure]]:
        """Every failure, by pages."""
        after = ""
        while True:
            failures, after = self._letters.list(collection=collection, limit=MAX_LIMIT, after=after)
            yield failures
            if not after:
                return

    def _retry(self, collection: str, failures: Sequence[Failure], call: Call) -> Iterator[Retried]:
        root = next((one.root for one in self._store.stats() if one.name == collection), "")
        retry_s = self._settings.ingest_retry_s
        retry = Retry(
            collection,
            root,
            index=self._store,
            letters=self._letters,
            runner=self._runner,
            folder_run=lambda: replace(self._folder_run(root, call), retriable_stops=False),
            event_run=lambda: self._run(self._photo_store, call, retriable_stops=False, retry_s=retry_s),
        )
        with self._alone(collection):
            yield from retry.run(failures)

    def _folder_run(self, root: str, call: Call) -> Run:
        return self._run(FileStore([Path(root)]), call, retriable_stops=True, retry_s=self._settings.ingest_retry_s)

    def _run(self, store: PhotoStore, call: Call, *, retriable_stops: bool, retry_s: float) -> Run:
        context = Context(
            embedder=self._embedder,
            describe=self._describe,
            photo_store=store,
            labels=self._labels,
            reader=self._reader,
            limits=self._limits,
            embed_timeout_s=self._settings.embed_timeout_s,
            thumbnails=self._thumbnails,
            stored=self._store.get_whole,
        )
        return Run(
            processors=self._pipeline.build(context, observe=self._metrics.step),
            spaces=self._spaces_of,
            cancelled=call.cancelled,
            retriable_stops=retriable_stops,
            retry_s=retry_s,
            original_retry_s=self._settings.ingest_retry_s,
        )

    def _spaces_of(self, collection: str) -> tuple[Space, ...]:
        """The spaces of a collection, which is made where there is none. Raises BadEvent when it may not be named.

        They are asked of the store each time: a generation with others may take the collection's name at any moment.
        """
        if checked := self._checked.get(collection):
            with suppress(NotFound):  # it is made again
                if tuple(self._store.spaces(collection)) == checked:
                    return checked
        if self._collections and collection not in self._collections:
            allowed = ", ".join(sorted(self._collections))
            raise BadEvent("unknown_collection", "collection", f"{shown(collection)}; MIRADOURO_COLLECTIONS allows {allowed}")
        try:
            return self._ensure(collection, root="")
        except TooManyCollections as exc:
            raise BadEvent("too_many_collections", exc.field, exc.detail) from exc

    def _ensure(self, collection: str, *, root: str) -> tuple[Space, ...]:
        """Makes the collection with the spaces for new ones, or checks that the embedder offers those that it holds."""
        offered = [space for bundle in self._describe() for space in bundle.spaces]
        try:
            names = {space.name for space in self._store.spaces(collection)}
            wanted = [space for space in offered if space.name in names]
        except NotFound:
            wanted = spaces_for_new(self._spaces, offered)
        at_most = max(MAX_COLLECTIONS, len(self._collections))  # names that an operator lists are no flood
        self._store.ensure_collection(collection, spaces=wanted, root=root, at_most=at_most)
        checked = self._checked[collection] = tuple(self._store.spaces(collection))
        return checked

    def _check_is_known(self, collection: str, root: str) -> None:
        """Raises InvalidArgument when a folder that isn't there is not the root of the collection either."""
        if not any(one.name == collection and one.root == root for one in self._store.stats()):
            raise InvalidArgument("path", f"there is no folder {root}")

    @contextmanager
    def _alone(self, collection: str, *, waits_for: Call | None = None) -> Iterator[None]:
        """Two runs over one folder would count its versions twice: the second is refused, or waits until its call is over."""
        with self._run_ended:
            while collection in self._indexing and waits_for and not waits_for.cancelled.is_set():
                self._run_ended.wait(_POLL_S)
            if collection in self._indexing:
                raise FailedPrecondition(f"collection {shown(collection)} is being indexed already; wait until that is done")
            self._indexing.add(collection)
        try:
            yield
        finally:
            with self._run_ended:
                self._indexing.discard(collection)
                self._run_ended.notify_all()


def spaces_for_new(names: Sequence[str], offered: Sequence[Space]) -> list[Space]:
    """The spaces that a new collection gets: those named, all default ones when none is. Raises InvalidArgument."""
    return [resolve_space(name, offered, field="MIRADOURO_SPACES") for name in names] or [
        space for space in offered if space.is_default
    ]


def _root(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise InvalidArgument("path", f"{shown(path)} is not an absolute path")
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
