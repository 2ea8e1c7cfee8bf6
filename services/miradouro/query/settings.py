"""Settings of the search service."""

from pydantic import Field

from miradouro.runtime.settings import CacheSettings


class QuerySettings(CacheSettings):
    """Settings of answering questions."""

    default_space: str = Field(
        "efficientnet-lite0/look", description="Space in which example photos are compared when a question names none."
    )
    query_listen: str = Field("127.0.0.1:7362", description="host:port of the query service; port 0 takes a free one.")
