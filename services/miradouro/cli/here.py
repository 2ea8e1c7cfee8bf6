"""The services in this process: the same handlers that a server would run."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from miradouro.cli.doors import ANSWER_WITHIN_S
from miradouro.core.ports import PhotoReader
from miradouro.core.spaces import with_tagger
from miradouro.query.service import SearchService
from miradouro.runtime.call import Call
from miradouro.standalone.configuration import Configuration
from miradouro.standalone.searching import open_search
from miradouro.standalone.settings import StandaloneSettings
from miradouro.v1.ingest_service_pb2 import (
    IndexFolderRequest,
    IndexFolderResponse,
    LearnKeywordsRequest,
    LearnKeywordsResponse,
    ListFailuresRequest,
    ListFailuresResponse,
    ListKeywordsRequest,
    ListKeywordsResponse,
    RemoveKeywordsRequest,
    RemoveKeywordsResponse,
    RetryFailuresRequest,
    RetryFailuresResponse,
    TestKeywordsRequest,
    TestKeywordsResponse,
)
from miradouro.v1.search_service_pb2 import SearchRequest, SearchResponse, StatsRequest, StatsResponse

if TYPE_CHECKING:
    from miradouro.ingest.service import IngestService


@contextmanager
def search_here(settings: StandaloneSettings, *, space: str, region: bool = False) -> Iterator["_LocalSearch"]:
    """The search service over the data folder, for questions in `space`, or for a `region`."""
    with open_search(Configuration(standalone=settings), space=space, region=region) as handlers:
        yield _LocalSearch(handlers, ANSWER_WITHIN_S)


@contextmanager
def ingest_here(
    settings: StandaloneSettings, *, writer: bool, collection: str = "", preset: str = "", tagger: str = ""
) -> Iterator["_LocalIngest"]:
    """The ingest service over the data folder; without `writer` it can only list.

    `collection` is the one that is made where there is none, with the spaces of `preset` and the bundle `tagger`, where set.
    """
    from miradouro.standalone.composition import open_ingest  # here: a question needs none of it

    configuration = Configuration(standalone=settings)
    names = [preset] if preset else configuration.ingest.space_names
    if tagger:
        names = with_tagger(names, tagger)
    configuration = replace(configuration, ingest=configuration.ingest.model_copy(update={"spaces": ",".join(names)}))
    with open_ingest(configuration, writer=writer, collection=collection) as handlers:
        yield _LocalIngest(handlers)


@contextmanager
def plan_here(settings: StandaloneSettings) -> Iterator["_LocalPlan"]:
    """What answers dry runs where there is no index yet."""
    from miradouro.adapters.photo_reader.reading import open_reading

    with open_reading(Configuration(standalone=settings).reading) as reading:
        yield _LocalPlan(settings.data_folder, reading.reader)


class _LocalPlan:
    def __init__(self, data_folder: Path, reader: PhotoReader) -> None:
        self._data_folder, self._reader = data_folder, reader

    def IndexFolder(self, request: IndexFolderRequest) -> Iterator[IndexFolderResponse]:
        from miradouro.adapters.folder.ignore_rules import rules_of_run
        from miradouro.adapters.folder.source import FolderSource
        from miradouro.adapters.photo_store import file_uri
        from miradouro.core.event import DEFAULT_COLLECTION, check_collection
        from miradouro.ingest import wire
        from miradouro.ingest.folder_plan import plan_folder
        from miradouro.ingest.folder_sync import real_root

        source = FolderSource(
            real_root(request.path),
            collection=check_collection(request.collection or DEFAULT_COLLECTION),
            index=None,
            file_uri=file_uri,
            reader=self._reader,
            excluded=[self._data_folder],
            rules=rules_of_run(request.ignore),
        )
        yield from map(wire.folder_response, plan_folder(source))


class _LocalSearch:
    def __init__(self, handlers: SearchService, timeout_s: float) -> None:
        self._handlers, self._timeout_s = handlers, timeout_s

    def Search(self, request: SearchRequest) -> SearchResponse:
        return self._handlers.Search(request, Call(monotonic() + self._timeout_s))

    def Stats(self, request: StatsRequest) -> StatsResponse:
        return self._handlers.Stats(request, Call(monotonic() + self._timeout_s))


class _LocalIngest:
    def __init__(self, handlers: "IngestService") -> None:
        self._handlers = handlers

    def IndexFolder(self, request: IndexFolderRequest) -> Iterator[IndexFolderResponse]:
        call = Call()
        try:
            yield from self._handlers.IndexFolder(request, call)
        finally:
            call.cancelled.set()

    def ListFailures(self, request: ListFailuresRequest) -> ListFailuresResponse:
        return self._handlers.ListFailures(request, Call())

    def RetryFailures(self, request: RetryFailuresRequest) -> Iterator[RetryFailuresResponse]:
        call = Call()
        try:
            yield from self._handlers.RetryFailures(request, call)
        finally:
            call.cancelled.set()

    def LearnKeywords(self, request: LearnKeywordsRequest) -> Iterator[LearnKeywordsResponse]:
        call = Call()
        try:
            yield from self._handlers.LearnKeywords(request, call)
        finally:
            call.cancelled.set()

    def ListKeywords(self, request: ListKeywordsRequest) -> ListKeywordsResponse:
        return self._handlers.ListKeywords(request, Call())

    def TestKeywords(self, request: TestKeywordsRequest) -> TestKeywordsResponse:
        return self._handlers.TestKeywords(request, Call())

    def RemoveKeywords(self, request: RemoveKeywordsRequest) -> Iterator[RemoveKeywordsResponse]:
        call = Call()
        try:
            yield from self._handlers.RemoveKeywords(request, call)
        finally:
            call.cancelled.set()
