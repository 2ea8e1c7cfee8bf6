"""A collection in a cluster, made for one test."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from miradouro.adapters.opensearch import OpenSearchIndex, OpenSearchSettings
from miradouro.adapters.opensearch.client import connect
from miradouro.core.spaces import Space
from opensearchpy import OpenSearch as Client

from tests.photo_documents import COLLECTION, SPACES


@contextmanager
def opened(
    url: str, *, spaces: Sequence[Space] = SPACES, collection: str = COLLECTION, **options: Any
) -> Iterator[tuple[OpenSearchIndex, Client, str]]:
    """An index with the collection, the cluster itself, and the collection's alias; its indices go with the test."""
    options.setdefault("opensearch_refresh", "true")
    settings = OpenSearchSettings(opensearch_url=url, opensearch_prefix=f"t{uuid.uuid4().hex}", **options)
    client = connect(settings)
    try:
        with OpenSearchIndex.open(settings) as index:
            index.ensure_collection(collection, spaces=spaces)
            yield index, client, f"{settings.opensearch_prefix}.{collection}"
    finally:
        client.indices.delete(index=f"{settings.opensearch_prefix}.*")
        client.close()
