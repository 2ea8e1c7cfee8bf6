"""Settings of the OpenSearch index."""

from pydantic import Field

from miradouro.runtime.settings import IndexSettings


class OpenSearchSettings(IndexSettings):
    """The connection to the cluster and the layout of new collections."""

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
    opensearch_pipeline: str = Field("", description="Ingest pipeline of the cluster that documents go through too; empty: none.")
