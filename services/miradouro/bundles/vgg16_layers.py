"""The layers of VGG16 (Simonyan & Zisserman, arXiv 1409.1556) and their pooled vectors, as nodes of a graph."""

from collections.abc import Iterable

import numpy as np

from miradouro.bundles.graph import GraphBuilder
from miradouro.bundles.vgg16_weights import CONVOLUTIONS, Layer

SIZE = 224
# R-MAC (Tolias, Sicre & Jégou, arXiv 1511.05879) on the 7 x 7 map: square windows of 7, 4 and 3 cells that overlap
# by about 40 %, as (cells, stride): 1, 4 and 9 of them, row by row.
_WINDOWS = ((7, 1), (4, 3), (3, 2))
REGIONS = 14


def add_convolutions(graph: GraphBuilder, x: str, layers: Iterable[Layer]) -> str:
    """Adds the five blocks and the outputs `pool1/avg`, `pool1/max` … `pool5/max`; returns pool5, [N, channels, 7, 7]."""
    remaining = iter(layers)
    for block, convolutions in enumerate(CONVOLUTIONS, start=1):
        for number in range(1, convolutions + 1):
            name, layer = f"conv{block}_{number}", next(remaining)
            x = graph.conv(x, name, layer.weights, layer.bias, pads=[1, 1, 1, 1])
            x = graph.rectified(x, name)
        x = graph.max_pool(x, f"pool{block}", size=2, stride=2)
        _add_pooled(graph, x, f"pool{block}", len(layer.bias))
    return x


def unit_regions(graph: GraphBuilder, x: str, channels: int) -> str:
    """The maxima of the 14 windows of pool5, each of length 1: [N, 14, channels]."""
    columns = graph.constant("regions.shape", np.array([0, channels, -1], np.int64))
    levels = []
    for cells, stride in _WINDOWS:
        name = f"regions{cells}"
        # Not max_pool: these maps end in float vectors and are not rounded again.
        maxima = graph.node("MaxPool", [x], name, kernel_shape=[cells, cells], strides=[stride, stride])
        levels.append(graph.node("Reshape", [maxima, columns], f"{name}.columns"))
    joined = graph.node("Concat", levels, "regions.columns", axis=2)
    rows = graph.node("Transpose", [joined], "regions.rows", perm=[0, 2, 1])
    return graph.unit(rows, "regions.unit")


def add_rmac(graph: GraphBuilder, regions: str, channels: int) -> None:
    """Adds the output `pool5/rmac`: the sum of the unit regions, of length 1."""
    axis = graph.constant("regions.axis", np.array([1], np.int64))
    graph.vector(graph.node("ReduceSum", [regions, axis], "rmac.sum", keepdims=0), "pool5/rmac", channels)


def _add_pooled(graph: GraphBuilder, x: str, layer: str, channels: int) -> None:
    for pooling, op in (("avg", "GlobalAveragePool"), ("max", "GlobalMaxPool")):
        name = f"{layer}/{pooling}"
        pooled = graph.node(op, [x], f"{name}.map")
        graph.vector(graph.node("Flatten", [pooled], f"{name}.flat"), name, channels)
