"""The places where networks run."""

from enum import StrEnum


class Provider(StrEnum):
    """An execution provider of onnxruntime."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
