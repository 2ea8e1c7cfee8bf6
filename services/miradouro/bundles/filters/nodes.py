"""The operations of hand-made features, as nodes of a graph: convolution, rectifiers, pooling, flattening."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from miradouro.bundles.graph import GraphBuilder
from miradouro.core.document import Float32

WHITE = 255  # the largest value of a pixel, and of the maps that `rectified` and `absolute` give


class Pooling(StrEnum):
    """How the values below a window become one."""

    AVERAGE = "avg"
    MAXIMUM = "max"
    MINIMUM = "min"


@dataclass(frozen=True)
class Maps:
    """Feature maps: the tensor's name, float32 [N, channels, height, width], and its size."""

    tensor: str
    channels: int
    height: int
    width: int


def convolved(graph: GraphBuilder, x: Maps, name: str, kernels: Float32, *, padded: bool = True, stride: int = 1) -> Maps:
    """Each map of `x` with each of `kernels` [K, 1, height, width]: K maps for each map, in the order of the maps.

    `padded`: the border pixels are repeated outwards by half a kernel, so that with a stride of 1 the size stays. Otherwise only
    places where the whole kernel fits count. A stride is the distance of two places.
    """
    count, _, *size = kernels.shape
    reach = [side // 2 if padded else 0 for side in size]
    tensor = x.tensor
    if any(reach):
        pads = graph.constant(f"{name}.pads", np.array([0, 0, *reach] * 2, np.int64))
        tensor = graph.node("Pad", [tensor, pads], f"{name}.padded", mode="edge")
    weights = graph.constant(f"{name}.kernels", np.tile(kernels, (x.channels, 1, 1, 1)))
    tensor = graph.node("Conv", [tensor, weights], name, kernel_shape=size, strides=[stride] * 2, group=x.channels)
    height, width = (
        (length + 2 * more - side) // stride + 1 for length, more, side in zip((x.height, x.width), reach, size, strict=True)
    )
    return Maps(tensor, count * x.channels, height, width)


def rectified(graph: GraphBuilder, x: Maps, name: str) -> Maps:
    """ReLU: what is below 0 becomes 0, and what is above 255 becomes 255."""
    return Maps(graph.rectified(x.tensor, name, limit=WHITE), x.channels, x.height, x.width)


def absolute(graph: GraphBuilder, x: Maps, name: str) -> Maps:
    """The absolute value; what is above 255 becomes 255."""
    magnitude = graph.node("Abs", [x.tensor], f"{name}.magnitude")
    return rectified(graph, Maps(magnitude, x.channels, x.height, x.width), name)


def pooled(graph: GraphBuilder, x: Maps, name: str, pooling: Pooling, *, size: int, stride: int) -> Maps:
    """The average, maximum or minimum of each window of size x size values; places where a whole window fits."""
    window = {"kernel_shape": [size, size], "strides": [stride, stride]}
    height, width = ((length - size) // stride + 1 for length in (x.height, x.width))
    if pooling is Pooling.AVERAGE:
        tensor = graph.node("AveragePool", [x.tensor], name, **window)
    elif pooling is Pooling.MAXIMUM:
        tensor = graph.node("MaxPool", [x.tensor], name, **window)
    else:  # ONNX has no minimum
        negative = graph.node("MaxPool", [graph.node("Neg", [x.tensor], f"{name}.negative")], f"{name}.maximum", **window)
        tensor = graph.node("Neg", [negative], name)
    return Maps(tensor, x.channels, height, width)


def greedily_pooled(graph: GraphBuilder, x: Maps, name: str, pooling: Pooling, *, cells: int) -> Maps:
    """Pools square maps to cells x cells values at once, by the largest windows that do not overlap.

    Repeating a small pooling gives the same values. Raises ValueError when the windows would leave a rest.
    """
    if x.height != x.width or x.width % cells:
        raise ValueError(f"{name}: maps of {x.width} x {x.height} have no {cells} x {cells} equal cells")
    size = x.width // cells
    return pooled(graph, x, name, pooling, size=size, stride=size)


def flattened(graph: GraphBuilder, groups: Sequence[Maps], name: str) -> tuple[str, int]:
    """All values of `groups` as one row, [N, D], and D."""
    rows = [graph.node("Flatten", [maps.tensor], f"{name}.rows{number}") for number, maps in enumerate(groups)]
    row = graph.node("Concat", rows, f"{name}.row", axis=1) if len(rows) > 1 else rows[0]
    return row, sum(maps.channels * maps.height * maps.width for maps in groups)
