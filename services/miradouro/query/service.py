"""The search service: its RPCs, behind the gRPC and the HTTP door."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from miradouro.core.document import Document
from miradouro.core.error_text import shown
from miradouro.core.errors import FailedPrecondition
from miradouro.core.index_engine import Index
from miradouro.core.page import Page, read_page, sign_page
from miradouro.core.photo_limits import DEFAULT_LIMITS, DecodeLimits
from miradouro.core.photo_names import stored_photo_id
from miradouro.core.pipeline import answer
from miradouro.core.ports import Embedder, PhotoReader
from miradouro.core.spaces import Preset
from miradouro.core.understood import Lexicon
from miradouro.query import wire
from miradouro.runtime.call import Call
from miradouro.v1.search_service_pb2 import (
    GetPhotoRequest,
    GetPhotoResponse,
    SearchRequest,
    SearchResponse,
    StatsRequest,
    StatsResponse,
)

if TYPE_CHECKING:
    from miradouro.query.metrics import QueryMetrics


def no_originals(document: Document) -> bytes:
    """The originals of a service without access to them. Raises FailedPrecondition."""
    raise FailedPrecondition(f"this service can't read {shown(document.photo_id)} again; send the photo itself (--photo)")


def _preset_of(space: str) -> Preset | None:
    from miradouro.bundles.catalogue import preset_of  # here: words need no manifest

    return preset_of(space)


class SearchService:
    """Answers questions about the photos of `index`.

    `lexicon` returns the lexicon, when a question needs it; `page_key` signs page tokens, at least 16 secret bytes: tokens are
    good for every service with the same key. `limits` are those of example photos; `original` reads an indexed photo again.
    Without `metrics` nothing is counted.
    """

    def __init__(
        self,
        *,
        index: Index,
        embedder: Embedder,
        reader: PhotoReader,
        lexicon: Callable[[], Lexicon],
        default_space: str,
        page_key: bytes,
        original: Callable[[Document], bytes] = no_originals,
        limits: DecodeLimits = DEFAULT_LIMITS,
        metrics: "QueryMetrics | None" = None,
    ) -> None:
        self._index, self._embedder, self._reader, self._lexicon = index, embedder, reader, lexicon
        self._default_space, self._page_key, self._limits = default_space, page_key, limits
        self._original, self._metrics = original, metrics

    def Search(self, request: SearchRequest, call: Call) -> SearchResponse:
        """Finds photos. Raises InvalidArgument, NotFound, FailedPrecondition, and what the embedder raises."""
        started = time.perf_counter()
        with self._stage("read"):
            question = wire.question_from(request, read_page=lambda token: self._page(token, request))
        found = answer(
            question,
            embedder=self._embedder,
            reader=self._reader,
            index=self._index,
            original=self._original,
            lexicon=self._lexicon,
            default_space=self._default_space,
            preset_of=_preset_of,
            limits=self._limits,
            remaining_s=call.remaining_s,
            stage=self._stage,
        )
        with self._stage("answer"):
            token = ""
            if found.next_page is not None:
                token = sign_page(found.next_page, question=wire.question_bytes(request), key=self._page_key)
            took_s = time.perf_counter() - started
            response = wire.response_of(found, took_ms=took_s * 1_000, next_page_token=token)
        if self._metrics is not None:
            self._metrics.question_seconds.labels(request.WhichOneof("query") or "list").observe(took_s)
        return response

    def _stage(self, name: str) -> AbstractContextManager[object]:
        return nullcontext() if self._metrics is None else self._metrics.stage(name)

    def _page(self, token: str, request: SearchRequest) -> Page:
        return read_page(token, question=wire.question_bytes(request), key=self._page_key) if token else 0

    def GetPhoto(self, request: GetPhotoRequest, call: Call) -> GetPhotoResponse:
        """Returns the stored document of one photo. Raises InvalidArgument, NotFound."""
        call.remaining_s()
        collection = wire.collection_from(request.collection)
        photo_id = wire.photo_id_from(request.photo_id, field="photo_id")
        document = self._index.get(collection, stored_photo_id(self._index, collection, photo_id))
        spaces = self._index.spaces_of(collection, document.photo_id)
        return GetPhotoResponse(photo=wire.photo_of(document, spaces=spaces))

    def Stats(self, request: StatsRequest, call: Call) -> StatsResponse:  # noqa: ARG002 # every handler takes both
        """Returns the size of every collection."""
        call.remaining_s()
        return wire.stats_of(self._index.stats(), size_bytes=self._index.size_bytes())
