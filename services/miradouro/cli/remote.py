"""The services of a server, over gRPC. The server of a data folder gets the token of that folder, others that of the settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from miradouro.runtime.grpc_client import open_channel, typed_error
from miradouro.runtime.security import client_security
from miradouro.standalone.owner_token import owner_token
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
from miradouro.v1.ingest_service_pb2_grpc import IngestServiceStub
from miradouro.v1.search_service_pb2 import SearchRequest, SearchResponse, StatsRequest, StatsResponse
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub


@contextmanager
def search_at(target: str, *, timeout_s: float, folder: Path | None) -> Iterator["_RemoteSearch"]:
    """The search service at `target` (host:port), the server of the data `folder` if any; a call may take `timeout_s` seconds."""
    with _channel(target, folder) as channel:
        yield _RemoteSearch(SearchServiceStub(channel), target, timeout_s)


@contextmanager
def ingest_at(target: str, *, timeout_s: float, folder: Path | None) -> Iterator["_RemoteIngest"]:
    """The ingest service at `target` (host:port), the server of the data `folder` if any.

    Calls that aren't streams may take `timeout_s` seconds.
    """
    with _channel(target, folder) as channel:
        yield _RemoteIngest(IngestServiceStub(channel), target, timeout_s)


def _channel(target: str, folder: Path | None) -> grpc.Channel:
    tokens = None if folder is None else owner_token(folder)
    return open_channel(target, security=client_security(tokens=tokens))


class _RemoteSearch:
    def __init__(self, stub: SearchServiceStub, target: str, timeout_s: float) -> None:
        self._stub, self._target, self._timeout_s = stub, target, timeout_s

    def Search(self, request: SearchRequest) -> SearchResponse:
        with _typed(self._target):
            return self._stub.Search(request, timeout=self._timeout_s)

    def Stats(self, request: StatsRequest) -> StatsResponse:
        with _typed(self._target):
            return self._stub.Stats(request, timeout=self._timeout_s)


class _RemoteIngest:
    def __init__(self, stub: IngestServiceStub, target: str, timeout_s: float) -> None:
        self._stub, self._target, self._timeout_s = stub, target, timeout_s

    def IndexFolder(self, request: IndexFolderRequest) -> Iterator[IndexFolderResponse]:
        responses = self._stub.IndexFolder(request)
        try:
            with _typed(self._target):
                yield from responses
        finally:
            responses.cancel()

    def ListFailures(self, request: ListFailuresRequest) -> ListFailuresResponse:
        with _typed(self._target):
            return self._stub.ListFailures(request, timeout=self._timeout_s)

    def RetryFailures(self, request: RetryFailuresRequest) -> Iterator[RetryFailuresResponse]:
        responses = self._stub.RetryFailures(request)
        try:
            with _typed(self._target):
                yield from responses
        finally:
            responses.cancel()

    def LearnKeywords(self, request: LearnKeywordsRequest) -> Iterator[LearnKeywordsResponse]:
        responses = self._stub.LearnKeywords(request)
        try:
            with _typed(self._target):
                yield from responses
        finally:
            responses.cancel()

    def ListKeywords(self, request: ListKeywordsRequest) -> ListKeywordsResponse:
        with _typed(self._target):
            return self._stub.ListKeywords(request, timeout=self._timeout_s)

    def TestKeywords(self, request: TestKeywordsRequest) -> TestKeywordsResponse:
        with _typed(self._target):
            return self._stub.TestKeywords(request, timeout=self._timeout_s)

    def RemoveKeywords(self, request: RemoveKeywordsRequest) -> Iterator[RemoveKeywordsResponse]:
        responses = self._stub.RemoveKeywords(request)
        try:
            with _typed(self._target):
                yield from responses
        finally:
            responses.cancel()


@contextmanager
def _typed(target: str) -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as exc:
        raise typed_error(exc, peer=target) from exc
