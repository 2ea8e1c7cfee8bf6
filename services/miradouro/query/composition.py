"""Composes the query service of many machines: the index, the embedding service, and the HTTP door."""

import hashlib
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from miradouro.adapters.embedding_peer import EmbeddingPeerSettings
from miradouro.adapters.grpc_embedder import GrpcEmbedder
from miradouro.adapters.index_engines import SHARED_ENGINE, open_index
from miradouro.adapters.photo_reader.reading import open_reading
from miradouro.adapters.photo_reader.settings import ReadingSettings
from miradouro.adapters.photo_store import PhotoStores, PhotoStoreSettings
from miradouro.bundles.words import load_words
from miradouro.core.errors import FailedPrecondition
from miradouro.core.index_engine import Opening
from miradouro.core.thumbnail import FOLDER
from miradouro.query.http_door import Ingest
from miradouro.query.metrics import QueryMetrics
from miradouro.query.originals import Originals
from miradouro.query.pictures import Pictures
from miradouro.query.question_embedder import QuestionEmbedder
from miradouro.query.service import SearchService
from miradouro.query.settings import QuerySettings
from miradouro.query.thumbnail_cache import ThumbnailCache
from miradouro.runtime.call import Call
from miradouro.runtime.grpc_server import Service
from miradouro.runtime.peers import Peer, watched
from miradouro.runtime.security import ServerSecurity
from miradouro.runtime.settings import IndexSettings, load
from miradouro.runtime.tokens import Tokens
from miradouro.v1 import search_service_pb2
from miradouro.v1.ingest_service_pb2 import ListFailuresRequest, ListFailuresResponse, PutEventsRequest, PutEventsResponse

PAGE_KEY_BYTES = 32


@dataclass(frozen=True)
class QueryParts:
    """The service and the other parts of its HTTP door."""

    service: Service
    search: SearchService
    ingest: Ingest
    pictures: Pictures


class IngestElsewhere:
    """Refuses events and lists of failures: on many machines the ingest service is a process of its own."""

    def PutEvents(self, request: PutEventsRequest, call: Call) -> PutEventsResponse:  # noqa: ARG002 # as every handler
        """Raises FailedPrecondition."""
        raise FailedPrecondition("this service takes no events; publish them to Kafka, for the ingest service")

    def ListFailures(self, request: ListFailuresRequest, call: Call) -> ListFailuresResponse:  # noqa: ARG002 # as every handler
        """Raises FailedPrecondition."""
        raise FailedPrecondition("this service reads no dead letters; ask the ingest service (IngestService.ListFailures)")


@contextmanager
def open_query(settings: QuerySettings, *, security: ServerSecurity, registry: CollectorRegistry) -> Iterator[QueryParts]:
    """Opens the search service over the shared index; `security` applies to its doors. Raises ConfigurationError.

    It is ready while the index answers: questions in words work without the embedding service.
    """
    chosen = load(IndexSettings)
    engine = chosen.index or SHARED_ENGINE
    page_key = page_key_of(security.tokens)
    photo_store = PhotoStores(load(PhotoStoreSettings))
    photo_store.open()
    with (
        open_index(engine, Opening(writer=False, exact_vectors=chosen.exact_vectors)) as index,
        open_reading(load(ReadingSettings), warm=True) as reading,
        GrpcEmbedder(load(EmbeddingPeerSettings).embedding_address) as embedder,
        watched(
            [
                Peer(engine, "MIRADOURO_INDEX", index.check),
                Peer("embedding", "MIRADOURO_EMBEDDING_ADDRESS", embedder.check, is_needed=False),
            ],
            registry=registry,
        ) as peers,
    ):
        originals = Originals(index=index, photo_store=photo_store.below, limits=reading.limits)
        handlers = SearchService(
            index=index,
            embedder=QuestionEmbedder(embedder),
            reader=reading.reader,
            limits=reading.limits,
            lexicon=load_words,
            default_space=settings.default_space,
            original=originals.read,
            page_key=page_key,
            metrics=QueryMetrics(registry),
        )
        cache = ThumbnailCache(settings.cache_dir / FOLDER if settings.cache_dir else None)
        descriptor = search_service_pb2.DESCRIPTOR.services_by_name["SearchService"]
        yield QueryParts(
            Service(descriptor, handlers, ready=lambda: peers.answer),
            handlers,
            IngestElsewhere(),
            Pictures(index=index, originals=originals, reader=reading.reader, cache=cache, limits=reading.limits),
        )


def page_key_of(tokens: Tokens | None) -> bytes:
    """The key that signs page tokens: made of the first token, which replicas share; without tokens it is the process's own."""
    if tokens is None:
        return os.urandom(PAGE_KEY_BYTES)
    return hmac.new(tokens.first.encode(), b"miradouro page tokens", hashlib.sha256).digest()
