"""Connects the command with the services: handlers in this process, or the same methods of the server of the data folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Protocol

from miradouro.adapters.sqlite_index import holds_index, read_holder
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

ANSWER_WITHIN_S = 60.0  # for queries; indexing has no limit
_PATIENCE_S = 30.0  # a starting server loads its networks first
_LOOKED_EVERY_S = 0.05


class SearchDoor(Protocol):
    """Answers questions. Every method raises MiradouroError."""

    def Search(self, request: SearchRequest) -> SearchResponse:
        """Finds photos."""
        ...

    def Stats(self, request: StatsRequest) -> StatsResponse:
        """Counts photos."""
        ...


class IngestDoor(Protocol):
    """Indexes photos."""

    def IndexFolder(self, request: IndexFolderRequest) -> Iterator[IndexFolderResponse]:
        """Progress, and finally the report. Closing the iterator stops the work. Raises MiradouroError."""
        ...

    def ListFailures(self, request: ListFailuresRequest) -> ListFailuresResponse:
        """A page of failed photos. Raises MiradouroError."""
        ...

    def RetryFailures(self, request: RetryFailuresRequest) -> Iterator[RetryFailuresResponse]:
        """The result of each photo. Closing the iterator stops the work. Raises MiradouroError."""
        ...

    def LearnKeywords(self, request: LearnKeywordsRequest) -> Iterator[LearnKeywordsResponse]:
        """Progress, and finally the report. Closing the iterator stops the work. Raises MiradouroError."""
        ...

    def ListKeywords(self, request: ListKeywordsRequest) -> ListKeywordsResponse:
        """The learned keywords of every collection. Raises MiradouroError."""
        ...

    def TestKeywords(self, request: TestKeywordsRequest) -> TestKeywordsResponse:
        """The quality of learned keywords. Raises MiradouroError."""
        ...

    def RemoveKeywords(self, request: RemoveKeywordsRequest) -> Iterator[RemoveKeywordsResponse]:
        """Progress, and finally the report. Closing the iterator stops the work. Raises MiradouroError."""
        ...


class PlanDoor(Protocol):
    """Answers dry runs."""

    def IndexFolder(self, request: IndexFolderRequest) -> Iterator[IndexFolderResponse]:
        """The plan, and finally the report. Raises MiradouroError."""
        ...


@contextmanager
def open_search(
    settings: StandaloneSettings, *, server: str | None = None, space: str = "", region: bool = False
) -> Iterator[SearchDoor]:
    """The search service at `server`, otherwise of the folder's server with the folder's token, otherwise in this process.

    In this process only the bundle of `space` (empty: the default one, or that of regions for a `region`) is loaded, and only to
    embed a photo.
    """
    target = server or _server_of(settings.data_folder)
    if target is None:
        from miradouro.cli.here import search_here

        with search_here(settings, space=space, region=region) as door:
            yield door
    else:
        from miradouro.cli.remote import search_at

        folder = None if server else settings.data_folder
        with search_at(target, timeout_s=ANSWER_WITHIN_S, folder=folder) as door:
            yield door


@contextmanager
def open_ingest(
    settings: StandaloneSettings,
    *,
    server: str | None = None,
    writer: bool = True,
    collection: str = "",
    preset: str = "",
    tagger: str = "",
) -> Iterator[IngestDoor]:
    """The ingest service at `server`, otherwise of the folder's server, otherwise one in this process.

    Without `writer` the last one can only list and measure.

    In this process only the bundles of existing collections are loaded, and those of the `preset` and the `tagger` (empty: of the
    setting) when `collection` is new.

    Raises StoreLocked when another process writes, and NotFound when there is no index to list from.
    """
    target = server or _server_of(settings.data_folder, patience_s=_PATIENCE_S if writer else 0.0)
    if target is None:
        from miradouro.cli.here import ingest_here

        with ingest_here(settings, writer=writer, collection=collection, preset=preset, tagger=tagger) as door:
            yield door
    else:
        from miradouro.cli.remote import ingest_at

        folder = None if server else settings.data_folder
        with ingest_at(target, timeout_s=ANSWER_WITHIN_S, folder=folder) as door:
            yield door


@contextmanager
def open_plan(settings: StandaloneSettings) -> Iterator[PlanDoor]:
    """The service of dry runs, which creates no index: the folder's server, otherwise this process."""
    target = _server_of(settings.data_folder)
    if target is not None or holds_index(settings.data_folder):
        with open_ingest(settings, writer=False) as door:
            yield door
    else:
        from miradouro.cli.here import plan_here

        with plan_here(settings) as door:
            yield door


def _server_of(folder: Path, *, patience_s: float = 0.0) -> str | None:
    """The address of the folder's server. Waits up to `patience_s` seconds for a starting server."""
    give_up = monotonic() + patience_s
    holder = read_holder(folder)
    while holder and holder.will_serve and not holder.address and monotonic() < give_up:
        sleep(_LOOKED_EVERY_S)
        holder = read_holder(folder)
    return holder.address if holder and holder.address else None
