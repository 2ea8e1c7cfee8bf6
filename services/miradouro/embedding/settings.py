"""Settings of the embedding service."""

from pydantic import Field, field_validator

from miradouro.core.provider import Provider
from miradouro.runtime.settings import CacheSettings


class EmbeddingSettings(CacheSettings):
    """The bundles of the embedding service, and the address at which it listens."""

    embedding_listen: str = Field("127.0.0.1:50051", description="host:port of the embedding service; port 0 takes a free one.")
    bundles: tuple[str, ...] = Field(
        ("efficientnet-lite0", "vgg16-conv"),
        min_length=1,
        description="Bundles that are loaded, separated by commas; on one machine also those that collections need.",
    )
    precision: str = Field(
        "int8",
        description="Precision of the bundles that are loaded, int8 or fp32; a bundle that is not offered in it takes its own. "
        "When it is not set, the one that the data folder was made with.",
    )
    provider: Provider = Field(
        Provider.CPU, description="Where networks run: cpu, cuda or tensorrt; never another than this one."
    )

    @field_validator("bundles", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value
