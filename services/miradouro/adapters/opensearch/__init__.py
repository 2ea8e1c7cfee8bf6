"""OpenSearch k-NN as an index: one physical index a collection and generation, behind an alias."""

from miradouro.adapters.opensearch.index import OpenSearchIndex
from miradouro.adapters.opensearch.settings import OpenSearchSettings
from miradouro.adapters.opensearch.tuning import TUNING, Tuning

__all__ = ["TUNING", "OpenSearchIndex", "OpenSearchSettings", "Tuning"]
