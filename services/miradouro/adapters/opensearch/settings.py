"""Settings of the OpenSearch index."""

from typing import Literal

from pydantic import Field

from miradouro.runtime.settings import Settings


class OpenSearchSettings(Settings):
    """Which cluster, and how collections are laid out in it."""

    opensearch_url: str = Field(
        "http://127.0.0.1:9200",
        pattern=r"^\s*https?://[^\s,/]+[^\s,]*(\s*,\s*https?://[^\s,/]+[^\s,]*)*\s*$",
        description="URL of the cluster; several separated by commas.",
    )
    opensearch_username: str = Field("", description="User of the cluster; empty for none.")
    opensearch_password_file: str = Field("", description="File that holds the user's password.")
    opensearch_ca_file: str = Field("", description="PEM file of the authority that signed the cluster's certificate.")
    opensearch_prefix: str = Field(
        "miradouro", pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="First part of the names of all indices."
    )
    opensearch_shards: int = Field(1, ge=1, le=1_024, description="Primary shards of a new collection.")
    opensearch_replicas: int = Field(0, ge=0, le=16, description="Copies of each shard of a new collection.")
    opensearch_refresh_interval: str = Field(
        "1s", pattern=r"^(-1|\d+(ms|s|m))$", description="How soon what was written is found, as 1s, in new collections."
    )
    opensearch_refresh: Literal["false", "wait_for", "true"] = Field(
        "false", description="Whether a write waits until it is found (wait_for), or forces it (true: slow)."
    )
    opensearch_engine: Literal["lucene", "faiss"] = Field(
        "lucene", description="k-NN engine of new collections; faiss was never run by its makers."
    )
    opensearch_pipeline: str = Field("", description="Ingest pipeline of the cluster that documents go through too; empty: none.")
    opensearch_bulk_bytes: int = Field(
        8 * 1024 * 1024,
        ge=64 * 1024,
        le=100 * 1024 * 1024,
        description="Bytes of one bulk request; a larger document goes alone.",
    )
    opensearch_bulk_requests: int = Field(
        4, ge=1, le=32, description="Bulk requests at a time, of one commit; the cluster indexes each on one thread."
    )
    opensearch_exact_vectors: int = Field(
        20_000,
        ge=0,
        le=10_000_000,
        description="Up to so many vectors of a collection in a space are compared one by one, exactly; more by graphs.",
    )
    opensearch_timeout_s: float = Field(
        10.0, gt=0, le=600, description="Seconds that one request may take, and for which refused documents are sent again."
    )
