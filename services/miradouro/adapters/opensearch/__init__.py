"""The index in OpenSearch with its k-NN plug-in: one physical index per collection and generation, behind an alias."""

from miradouro.adapters.opensearch.index import OpenSearchIndex
from miradouro.adapters.opensearch.settings import OpenSearchSettings
from miradouro.adapters.opensearch.tuning import TUNING, Tuning

__all__ = ["TUNING", "OpenSearchIndex", "OpenSearchSettings", "Tuning"]
