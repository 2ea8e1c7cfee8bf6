"""Puts the query service of many machines together: OpenSearch, and the embedding service beside it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from miradouro.adapters.embedding_peer import EmbeddingPeerSettings
from miradouro.adapters.grpc_embedder import GrpcEmbedder
from miradouro.adapters.opensearch import OpenSearchIndex, OpenSearchSettings
from miradouro.adapters.photo_store import PhotoStores, PhotoStoreSettings
from miradouro.bundles.labels import load_labels
from miradouro.core.errors import MiradouroError
from miradouro.query.originals import Originals
from miradouro.query.service import SearchService
from miradouro.query.settings import QuerySettings
from miradouro.runtime.grpc_server import Service
from miradouro.runtime.settings import load
from miradouro.v1 import search_service_pb2

PAGE_KEY_BYTES = 32


@contextmanager
def open_query(settings: QuerySettings) -> Iterator[Service]:
    """The search service over the cluster; page tokens are good as long as the process lives. Raises ConfigurationError."""
    photo_store = PhotoStores(load(PhotoStoreSettings))
    photo_store.open()
    with (
        OpenSearchIndex.open(load(OpenSearchSettings)) as index,
        GrpcEmbedder(load(EmbeddingPeerSettings).embedding_address) as embedder,
    ):
        handlers = SearchService(
            store=index,
            embedder=embedder,
            canonical=lambda word: load_labels().canonical(word),
            default_space=settings.default_space,
            original=Originals(store=index, photo_store=photo_store.below).read,
            page_key=os.urandom(PAGE_KEY_BYTES),
        )

        def is_ready() -> bool:
            try:
                index.check()
            except MiradouroError:
                return False
            return True

        yield Service(search_service_pb2.DESCRIPTOR.services_by_name["SearchService"], handlers, ready=is_ready)
