"""The part of a manifest that describes somebody else's graph: its input, its taps, and its label distribution."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from miradouro.bundles.sources import Part, inside
from miradouro.core.embedding import IMAGENET
from miradouro.core.error_text import shown
from miradouro.core.spaces import MAX_DIMENSION, Preset, Storage

# Part of the provenance of taps. Increase it with every change of bundles.pooling or onnx_graph that changes a vector.
TAPS_VERSION = 1

POOLINGS = ("avg", "max", "gem", "spoc", "rmac", "regions", "token", "patches", "flat", "none")
Box = tuple[int, int, int, int]


class InputPart(Part):
    """The input of a graph. The network gets (pixel * scale - mean) / std, in its own layout and order of channels.

    `name` may be empty for the only input of the graph. Channels `L` are one channel of luminance (ITU-R BT.601). `mean` and
    `std` have one number, or one for each channel in the order of the graph.
    """

    name: str = ""
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    channels: Literal["RGB", "BGR", "L"] = "RGB"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @model_validator(mode="after")
    def _one_number_a_channel(self) -> Self:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in {1, len(self.channels)}:
                raise ValueError(f"{name} has {len(values)} numbers; write one, or one for each of {self.channels}")
        if 0 in self.std:
            raise ValueError("std contains 0, and the pixels are divided by it")
        return self


class SpacePart(Part):
    """A space and the graph output of the same name, without the bundle. `boxes` are x, y, width, height in `grid` cells.

    `preset` is the smallest one that holds the space. `views` names the geometries that the space is computed from; the first
    geometry of the manifest when empty. `clip` belongs to int8 codes: see core.spaces.Space.
    """

    layer: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    pooling: str = Field("", pattern=r"^[A-Za-z0-9_.-]*$")
    dimension: int = Field(gt=0)
    preset: Preset = Preset.LABORATORY
    default_pooling: bool = False
    grid: int = Field(0, ge=0)
    boxes: tuple[Box, ...] = ()
    views: tuple[str, ...] = ()
    storage: Storage = Storage.FLOAT16
    clip: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _clip_belongs_to_codes(self) -> Self:
        if (self.storage is Storage.INT8) != (self.clip > 0):
            raise ValueError(
                f"storage {self.storage} with clip {self.clip:g}; int8 needs a clip above 0, up to 1, others have none"
            )
        return self

    @property
    def output(self) -> str:
        """Name of the graph's output."""
        return f"{self.layer}/{self.pooling}" if self.pooling else self.layer


class TapPart(SpacePart):
    """A space computed from the tensor called `tensor` of a graph, by one of the poolings.

    avg, max, gem (generalised mean with the exponent `power`), spoc (sum with a Gaussian centre prior) and rmac (sum of unit
    maxima of `levels` sizes of windows) make a map [N, C, H, W] a vector of C numbers. regions keeps one vector for each window,
    of a square map of `grid` cells a side. token takes the first of [N, tokens, D] and patches the mean of the others, flat takes
    every number, and none takes a tensor that is a vector already.
    """

    tensor: str = Field(min_length=1)
    power: float = Field(3.0, gt=0, le=100)
    levels: int = Field(3, ge=1, le=6)

    @model_validator(mode="before")
    @classmethod
    def _named_pooling(cls, given: object) -> object:
        if isinstance(given, dict):
            if given.get("pooling", "none") == "none":
                return {**given, "pooling": ""}
            if given["pooling"] not in POOLINGS:
                raise ValueError(f"pooling {shown(given['pooling'])} is not known; allowed: {', '.join(POOLINGS)}")
        return given

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.dimension > MAX_DIMENSION:
            raise ValueError(too_long(f"{self.layer}/{self.pooling or 'none'}", self.dimension))
        if self.pooling == "regions" and not self.grid:
            raise ValueError("pooling regions needs grid, the cells along a side of the map")
        if self.boxes:
            raise ValueError("boxes follow from grid and levels; leave them out")
        if self.pooling == "regions":
            return self.model_copy(update={"boxes": windows(self.grid, self.levels)})
        return self


class TagsPart(Part):
    """The label distribution: the graph output called `output`, computed for an ONNX graph from the tensor `tensor`.

    `softmax`: the tensor holds logits, and a softmax is added. `labels` is imagenet-1k, a text file with one label a line beside
    the manifest, or the labels themselves. A tap may have the distribution itself as its tensor.
    """

    output: str = "probabilities"
    tensor: str = ""
    softmax: bool = False
    labels: str | tuple[str, ...] = IMAGENET

    @field_validator("labels")
    @classmethod
    def _labels(cls, labels: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if isinstance(labels, str):
            return inside(labels)
        if not labels or not all(label.strip() for label in labels):
            raise ValueError("is empty or has an empty label")
        return labels


def windows(grid: int, levels: int) -> tuple[Box, ...]:
    """The windows of R-MAC (Tolias, Sicre & Jégou, arXiv 1511.05879) on a square map of `grid` cells a side: x, y, width, height.

    Level l has l x l square windows of 2 grid / (l + 1) cells, row by row, evenly spaced; they overlap by about 40 %.
    """
    boxes = []
    for level in range(1, levels + 1):
        cells = max(1, 2 * grid // (level + 1))
        starts = [(grid - cells) * step // (level - 1) if level > 1 else 0 for step in range(level)]
        boxes += [(x, y, cells, cells) for y in starts for x in starts]
    return tuple(dict.fromkeys(boxes))


def too_long(name: str, dimension: int) -> str:
    """The sentence for a vector that no index holds."""
    return (
        f"{name} has {dimension:,} numbers, and an index holds at most {MAX_DIMENSION:,}; "
        "of a map [channels, height, width] the poolings avg, max, gem, spoc and rmac give one number a channel"
    )
