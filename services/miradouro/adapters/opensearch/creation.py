"""Creates a collection: the physical index of its first generation and the alias."""

from collections.abc import Sequence

from opensearchpy import OpenSearch
from opensearchpy.exceptions import RequestError

from miradouro.adapters.opensearch.client import is_out_of_shards, reason_text, translated
from miradouro.adapters.opensearch.mapping import alias_of, index_body, index_of
from miradouro.adapters.opensearch.settings import OpenSearchSettings
from miradouro.adapters.opensearch.tuning import Tuning
from miradouro.core.errors import TooManyCollections
from miradouro.core.spaces import Space


def create(
    client: OpenSearch, settings: OpenSearchSettings, tuning: Tuning, *, collection: str, spaces: Sequence[Space], root: str
) -> None:
    """Creates the collection if it does not exist. Raises TooManyCollections when the cluster takes no more shards."""
    body = index_body(spaces, root=root, settings=settings, tuning=tuning)
    body["aliases"] = {alias_of(settings.opensearch_prefix, collection): {}}
    with translated():
        try:
            client.indices.create(index=index_of(settings.opensearch_prefix, collection, 1), body=body)
        except RequestError as exc:
            if is_out_of_shards(exc):
                raise TooManyCollections(collection, f"OpenSearch has no room for its shards: {reason_text(exc)}") from exc
            if exc.error != "resource_already_exists_exception":
                raise
