"""The address of the embedding service, for services in other processes."""

from pydantic import Field

from miradouro.runtime.settings import Settings


class EmbeddingPeerSettings(Settings):
    """How the embedding service is reached."""

    embedding_address: str = Field("127.0.0.1:50051", description="host:port of the embedding service, for ingest and query.")
