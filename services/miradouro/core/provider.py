"""Execution providers, which run the networks."""

from enum import StrEnum


class Provider(StrEnum):
    """An execution provider of onnxruntime."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
