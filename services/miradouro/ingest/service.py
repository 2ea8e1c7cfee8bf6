"""The RPCs of the ingest service, for gRPC and HTTP."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path

from prometheus_client import CollectorRegistry

from miradouro.adapters.described import cached_describe
from miradouro.adapters.folder.ignore_rules import rules_of_run
from miradouro.bundles.keyword_heads import KeywordHeads
from miradouro.bundles.labels import LabelTable
from miradouro.core.errors import InvalidArgument
from miradouro.core.event import DEFAULT_COLLECTION, check_collection
from miradouro.core.index_engine import Index
from miradouro.core.photo_limits import DEFAULT_LIMITS, DecodeLimits
from miradouro.core.ports import DeadLetters, Embedder, PhotoReader, PhotoStore
from miradouro.core.query import MAX_LIMIT
from miradouro.ingest import event_wire, keyword_wire, wire
from miradouro.ingest.collection_upkeep import CollectionUpkeep
from miradouro.ingest.folder_sync import FolderSync, real_root
from miradouro.ingest.keywords.learner import DEFAULT_PRECISION, KeywordLearner
from miradouro.ingest.metrics import IngestMetrics
from miradouro.ingest.pace import PACE, Pace
from miradouro.ingest.retries import Retries
from miradouro.ingest.run_factory import RunFactory
from miradouro.ingest.runner import Runner
from miradouro.ingest.settings import IngestSettings
from miradouro.processors.pipeline_file import Pipeline
from miradouro.runtime.audit_log import audited
from miradouro.runtime.call import Call
from miradouro.v1 import photo_event_pb2
from miradouro.v1.ingest_service_pb2 import (
    IndexFolderRequest,
    IndexFolderResponse,
    LearnKeywordsRequest,
    LearnKeywordsResponse,
    ListFailuresRequest,
    ListFailuresResponse,
    ListKeywordsRequest,
    ListKeywordsResponse,
    PutEventsRequest,
    PutEventsResponse,
    RemoveKeywordsRequest,
    RemoveKeywordsResponse,
    RetryFailuresRequest,
    RetryFailuresResponse,
    TestKeywordsRequest,
    TestKeywordsResponse,
)

MAX_EVENTS = 256
MAX_RETRIED_IDS = 1_000
_DEFAULT_PAGE = 100


class IngestService:
    """Indexes photos into `index`. `close` ends the worker threads of `runner`, which a consumer may share.

    `spaces` are the names of the spaces of new collections, the embedder's defaults when empty. `folders` is the sync of
    collections with folders; see `FolderSync` for `excluded` and `folders`, `RunFactory` for `photo_store` and `thumbnails`.
    `keywords` holds the learned keywords.
    """

    def __init__(
        self,
        *,
        index: Index,
        dead_letters: DeadLetters,
        embedder: Embedder,
        reader: PhotoReader,
        photo_store: PhotoStore,
        labels: LabelTable,
        pipeline: Pipeline,
        settings: IngestSettings,
        keywords: KeywordHeads,
        pace: Pace = PACE,
        limits: DecodeLimits = DEFAULT_LIMITS,
        spaces: Sequence[str] = (),
        unloaded: Callable[[], Sequence[str]] = tuple,
        excluded: Sequence[Path] = (),
        folders: Sequence[Path] = (),
        thumbnails: Path | None = None,
        metrics: IngestMetrics | None = None,
    ) -> None:
        metrics = metrics or IngestMetrics(CollectorRegistry())
        describe = cached_describe(embedder.describe)
        collections = CollectionUpkeep(
            index, describe=describe, spaces=spaces, allowed=settings.collection_names, unloaded=unloaded
        )
        self._dead_letters, self._pace = dead_letters, pace
        self.runner = Runner(index=index, dead_letters=dead_letters, workers=settings.ingest_workers, pace=pace, metrics=metrics)
        self.runs = RunFactory(
            index=index,
            collections=collections,
            embedder=embedder,
            describe=describe,
            reader=reader,
            photo_store=photo_store,
            labels=labels,
            pipeline=pipeline,
            pace=pace,
            limits=limits,
            thumbnails=thumbnails,
            keywords=keywords,
            metrics=metrics,
        )
        self._learner = KeywordLearner(index=index, heads=keywords)
        self.folders = FolderSync(
            index=index,
            dead_letters=dead_letters,
            collections=collections,
            runner=self.runner,
            runs=self.runs,
            excluded=excluded,
            folders=folders,
        )
        self._retries = Retries(
            index=index, dead_letters=dead_letters, collections=collections, runner=self.runner, runs=self.runs
        )

    def close(self) -> None:
        """Ends the worker threads."""
        self.runner.close()

    def PutEvents(self, request: PutEventsRequest, call: Call) -> PutEventsResponse:
        """Indexes a batch of events. Raises InvalidArgument (the batch's size) and what stops every photo."""
        if not 1 <= len(request.events) <= MAX_EVENTS:
            raise InvalidArgument("events", f"{len(request.events)} events; allowed: 1 to {MAX_EVENTS}")
        remaining_s = call.remaining_s()
        retry_s = self._pace.retry_s if remaining_s is None else min(self._pace.retry_s, remaining_s)
        run = self.runs.event_run(call, retry_s=retry_s)
        items = [event_wire.item_of(event) for event in request.events]
        deleted = sum(event.kind == photo_event_pb2.PHOTO_EVENT_KIND_DELETED for event in request.events)
        with audited("delete photos", call, photos=deleted) if deleted else nullcontext():
            outcomes = list(self.runner.run(items, run))
        results = [wire.result_of(outcome, event.event_id) for outcome, event in zip(outcomes, request.events, strict=False)]
        return PutEventsResponse(results=results)

    def IndexFolder(self, request: IndexFolderRequest, call: Call) -> Iterator[IndexFolderResponse]:
        """Brings a collection in line with a folder.

        Raises InvalidArgument (path, collection; a folder that the caller may not name), FailedPrecondition (another root,
        pruning needed, already being indexed), and what stops every photo.
        """
        collection = check_collection(request.collection or DEFAULT_COLLECTION)
        root = real_root(request.path)
        rules = rules_of_run(request.ignore)
        if request.dry_run:
            self.folders.check_may_index(root, call)
            plan = self.folders.plan(root, collection, prune=request.prune, rules=rules, verify=request.verify)
            yield from map(wire.folder_response, plan)
            return
        with audited("index folder", call, path=root, collection=collection, prune=request.prune):
            self.folders.check_may_index(root, call)
            run = self.folders.follow(
                root,
                collection,
                call,
                prune=request.prune,
                rules=rules,
                verify=request.verify,
                preset=request.preset,
                tagger=request.tagger,
            )
            yield from map(wire.folder_response, run)

    def ListFailures(self, request: ListFailuresRequest, call: Call) -> ListFailuresResponse:
        """Lists what could not be indexed. Raises InvalidArgument."""
        call.remaining_s()
        if request.page_size > MAX_LIMIT:
            raise InvalidArgument("page_size", f"{request.page_size:,}; allowed: 1 to {MAX_LIMIT:,}, or 0 for {_DEFAULT_PAGE}")
        failures, token = self._dead_letters.list(
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
        photo_ids = set(request.photo_ids)
        with audited("retry failures", call, collection=collection, photos=len(photo_ids)):
            for retried in self._retries.run(collection, photo_ids, call):
                yield wire.retry_response(retried)

    def LearnKeywords(self, request: LearnKeywordsRequest, call: Call) -> Iterator[LearnKeywordsResponse]:
        """Learns keywords and tags the collection with them.

        Raises InvalidArgument, NotFound (collection), FailedPrecondition (nothing to learn from; learning already),
        ConfigurationError (no scikit-learn), and what the index raises.
        """
        collection = check_collection(request.collection or DEFAULT_COLLECTION)
        with audited("learn keywords", call, collection=collection):
            work = self._learner.learn(
                collection,
                space=request.space,
                hidden=request.hidden,
                precision=request.precision if request.HasField("precision") else DEFAULT_PRECISION,
                only=request.only,
                check_cancelled=call.check_cancelled,
            )
            yield from (keyword_wire.learn_response(message, collection) for message in work)

    def ListKeywords(self, request: ListKeywordsRequest, call: Call) -> ListKeywordsResponse:  # noqa: ARG002 # it has no fields
        """Lists the learned keywords. Raises Corrupt, Unavailable."""
        call.remaining_s()
        return ListKeywordsResponse(collections=[keyword_wire.described(head) for head in self._learner.all()])

    def TestKeywords(self, request: TestKeywordsRequest, call: Call) -> TestKeywordsResponse:
        """Measures learned keywords. Raises InvalidArgument, NotFound (collection, keywords), FailedPrecondition."""
        collection = check_collection(request.collection or DEFAULT_COLLECTION)
        on = check_collection(request.on, field="on") if request.on else ""
        report = self._learner.test(collection, on=on, check_cancelled=call.check_cancelled)
        return TestKeywordsResponse(report=keyword_wire.report_of(report, collection))

    def RemoveKeywords(self, request: RemoveKeywordsRequest, call: Call) -> Iterator[RemoveKeywordsResponse]:
        """Removes learned keywords and tags. Raises InvalidArgument, NotFound (collection), and what the index raises."""
        collection = check_collection(request.collection or DEFAULT_COLLECTION)
        with audited("remove keywords", call, collection=collection):
            work = self._learner.remove(collection, check_cancelled=call.check_cancelled)
            yield from (keyword_wire.remove_response(message, collection) for message in work)
