"""A collection in a cluster, made for one test."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from miradouro.adapters.opensearch import OpenSearchIndex, OpenSearchSettings, Tuning
from miradouro.adapters.opensearch.client import connect
from miradouro.core.spaces import Space
from opensearchpy import OpenSearch as Client

from tests.photo_documents import COLLECTION, SPACES

FOUND_AT_ONCE = Tuning(refresh="true", vocabulary_s=0, timeout_s=60)  # for a loaded machine


@contextmanager
def opened(
    url: str, *, spaces: Sequence[Space] = SPACES, collection: str = COLLECTION, tuning: Tuning = FOUND_AT_ONCE, **options: Any
) -> Iterator[tuple[OpenSearchIndex, Client, str]]:
    """An index with the collection, the cluster itself, and the collection's alias; its indices go with the test."""
    settings = OpenSearchSettings(opensearch_url=url, opensearch_prefix=f"t{uuid.uuid4().hex}", **options)
    client = connect(settings)
    try:
        with OpenSearchIndex.open(settings, tuning=tuning) as index:
            index.ensure_collection(collection, spaces=spaces)
            yield index, client, f"{settings.opensearch_prefix}.{collection}"
    finally:
        client.indices.delete(index=f"{settings.opensearch_prefix}.*")
        client.close()
