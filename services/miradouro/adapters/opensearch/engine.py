"""The engine `opensearch`: an index in a cluster, for the services of many machines."""

from miradouro.adapters.opensearch.index import OpenSearchIndex
from miradouro.adapters.opensearch.settings import OpenSearchSettings
from miradouro.adapters.opensearch.tuning import TUNING
from miradouro.core.index_engine import Opening
from miradouro.runtime.settings import load


def open_opensearch(opening: Opening) -> OpenSearchIndex:  # noqa: ARG001 # the signature of IndexEngine
    """An IndexEngine. Raises ConfigurationError."""
    return OpenSearchIndex.open(load(OpenSearchSettings), tuning=TUNING)
