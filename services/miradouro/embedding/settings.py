"""Settings of the embedding service."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from miradouro.adapters.onnx_embedder import Provider
from miradouro.runtime.settings import Settings


class EmbeddingSettings(Settings):
    """What the embedding service loads, where it listens and how much it takes."""

    embedding_listen: str = Field("127.0.0.1:50051", description="host:port of the embedding service; port 0 takes a free one.")
    bundles: Annotated[tuple[str, ...], NoDecode] = Field(
        ("efficientnet-lite0", "vgg16-conv"), min_length=1, description="Bundles that are loaded, separated by commas."
    )
    precision: str = Field(
        "int8",
        description="Precision of the bundles that are loaded, int8 or fp32; "
        "when it is not set, the one that the data folder was made with.",
    )
    provider: Provider = Field(
        Provider.CPU, description="Where networks run: cpu, cuda or tensorrt; never another than this one."
    )
    tensorrt_cache_dir: Path | None = Field(
        None, description="Folder where TensorRT keeps the engines that it built; empty for `tensorrt` in the folder of models."
    )
    inference_threads: int = Field(0, ge=0, le=256, description="Threads of one forward pass on the CPU; 0 for one per CPU.")
    max_batch_photos: int = Field(
        0, ge=0, le=64, description="Photos in one forward pass; 0 for 1 on the CPU, where more gains nothing, and 32 elsewhere."
    )
    queue_tensors: int = Field(
        512, ge=256, le=65_536, description="Tensors (one per photo and bundle) that may wait; bulk requests fill at most half."
    )
    decode_pending_bytes: int = Field(
        256 * 2**20, ge=32 * 2**20, description="Bytes of encoded photos that may wait to be decoded; more is RESOURCE_EXHAUSTED."
    )

    @field_validator("bundles", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value
