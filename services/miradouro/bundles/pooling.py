"""Poolings as graph nodes: from a map or a vector to the vectors of a space. Every recipe may use them.

vector = add_tap(graph, x, tap, shape)      # shape without the batch: (channels, height, width), (tokens, D) or (D,)
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from miradouro.bundles.graph import GraphBuilder
from miradouro.bundles.taps import Box, TapPart, too_long, windows
from miradouro.core.spaces import MAX_DIMENSION

MAP_POOLINGS = ("avg", "max", "gem", "spoc", "rmac", "regions")
TOKEN_POOLINGS = ("token", "patches")
_LEAST = 1e-6  # below the values that gem raises to a power: the root of a negative number is none
Shape = Sequence[int]


def add_tap(graph: GraphBuilder, x: str, tap: TapPart, shape: Shape) -> str:
    """Pools `x`, float32 [N, *shape], as `tap` says, and makes the L2-normalised result an output.

    Raises ValueError when the pooling does not fit the shape, or the result is not of the dimension that `tap` states.
    """
    name = tap.output
    dimension = dimension_of(tap.pooling, shape)
    if dimension > MAX_DIMENSION:
        raise ValueError(too_long(name, dimension))
    if dimension != tap.dimension:
        raise ValueError(f"{name} has {dimension:,} numbers, the manifest says {tap.dimension:,}; correct its dimension")
    if tap.pooling == "regions":
        if tuple(shape[1:]) != (tap.grid, tap.grid):
            raise ValueError(f"{name} is a map of {shape[1]} x {shape[2]} cells, the manifest says grid = {tap.grid}; correct it")
        return graph.vector(_maxima(graph, x, name, tap.boxes), name, dimension, rows=len(tap.boxes))
    if tap.pooling in {"", "flat"}:
        return graph.vector(graph.node("Flatten", [x], f"{name}.flat"), name, dimension)
    if tap.pooling in TOKEN_POOLINGS:
        return graph.vector(_mean_of_tokens(graph, x, tap, shape), name, dimension)
    if tap.pooling == "rmac":
        regions = graph.unit(_maxima(graph, x, name, windows(shape[1], tap.levels)), f"{name}.unit")
        axis = graph.constant("tap.regions", np.array([1], np.int64))
        return graph.vector(graph.node("ReduceSum", [regions, axis], f"{name}.sum", keepdims=0), name, dimension)
    pooled = _OF_A_MAP[tap.pooling](graph, x, tap, shape)
    return graph.vector(graph.node("Flatten", [pooled], f"{name}.flat"), name, dimension)


def dimension_of(pooling: str, shape: Shape) -> int:
    """Numbers of one vector of a tensor [N, *shape]. Raises ValueError when the pooling does not fit the shape."""
    written = " x ".join(map(str, shape))
    if pooling == "flat":
        return math.prod(shape)
    if pooling == "":
        if sum(size > 1 for size in shape) > 1:
            fitting = ", ".join(MAP_POOLINGS if len(shape) == 3 else TOKEN_POOLINGS)
            raise ValueError(f"a tensor of {written} is no vector, as pooling none needs; take flat, {fitting}")
        return math.prod(shape)
    if pooling in TOKEN_POOLINGS:
        if len(shape) != 2 or (pooling == "patches" and shape[0] < 2):
            raise ValueError(f"pooling {pooling} takes [tokens, numbers], not {written}; take another")
        return shape[1]
    if len(shape) != 3:
        raise ValueError(
            f"pooling {pooling} takes a map [channels, height, width], and the tensor is {written}; take none or flat"
        )
    if pooling in {"rmac", "regions"} and shape[1] != shape[2]:
        raise ValueError(f"pooling {pooling} takes a square map, and this one is {written}; take avg, max, gem or spoc")
    return shape[0]


def _mean_of_tokens(graph: GraphBuilder, x: str, tap: TapPart, shape: Shape) -> str:
    """The first of [N, tokens, D], which is the class token, or the mean of the others, which are the patches."""
    first, end = (0, 1) if tap.pooling == "token" else (1, shape[0])
    places = [graph.constant(f"tap.tokens.{place}", np.array([place], np.int64)) for place in (first, end, 1)]
    rows = graph.node("Slice", [x, *places], f"{tap.output}.tokens")
    return graph.node("ReduceMean", [rows], f"{tap.output}.mean", axes=[1], keepdims=0)


def _average(graph: GraphBuilder, x: str, tap: TapPart, _shape: Shape) -> str:
    return graph.node("GlobalAveragePool", [x], f"{tap.output}.map")


def _maximum(graph: GraphBuilder, x: str, tap: TapPart, _shape: Shape) -> str:
    return graph.node("GlobalMaxPool", [x], f"{tap.output}.map")


def _generalised_mean(graph: GraphBuilder, x: str, tap: TapPart, _shape: Shape) -> str:
    """(mean of x^p)^(1/p), over the positive values (Radenovic, Tolias & Chum, arXiv 1711.02512)."""
    name = tap.output
    positive = graph.node("Max", [x, graph.constant("gem.least", np.array(_LEAST, np.float32))], f"{name}.positive")
    powers = graph.node("Pow", [positive, graph.constant(f"{name}.power", np.array(tap.power, np.float32))], f"{name}.powers")
    mean = graph.node("GlobalAveragePool", [powers], f"{name}.mean")
    return graph.node("Pow", [mean, graph.constant(f"{name}.root", np.array(1 / tap.power, np.float32))], f"{name}.map")


def _centre_sum(graph: GraphBuilder, x: str, tap: TapPart, shape: Shape) -> str:
    """The mean with Gaussian weights; sigma is a third of the way from the middle to the edge (Babenko, arXiv 1510.07493)."""
    _, height, width = shape
    rows, columns = (np.arange(size) - (size - 1) / 2 for size in (height, width))
    sigma = max(min(height, width) / 2 / 3, 0.5)
    weights = np.exp(-(rows[:, np.newaxis] ** 2 + columns**2) / (2 * sigma**2)).astype(np.float32)
    constant = graph.constant(f"spoc.{height}x{width}", weights[np.newaxis, np.newaxis])
    weighted = graph.node("Mul", [x, constant], f"{tap.output}.weighted")
    return graph.node("GlobalAveragePool", [weighted], f"{tap.output}.map")


def _maxima(graph: GraphBuilder, x: str, name: str, boxes: Sequence[Box]) -> str:
    """The maxima of a map in each box, float32 [N, boxes, channels]."""
    parts = []
    axes = graph.constant("tap.map.axes", np.array([2, 3], np.int64))
    for number, (left, top, width, height) in enumerate(boxes):
        starts = graph.constant(f"{name}.{number}.starts", np.array([top, left], np.int64))
        ends = graph.constant(f"{name}.{number}.ends", np.array([top + height, left + width], np.int64))
        cells = graph.node("Slice", [x, starts, ends, axes], f"{name}.{number}.cells")
        parts.append(graph.node("GlobalMaxPool", [cells], f"{name}.{number}.max"))
    joined = graph.node("Concat", parts, f"{name}.columns", axis=2)
    columns = graph.node("Squeeze", [joined, graph.constant("tap.last", np.array([3], np.int64))], f"{name}.maxima")
    return graph.node("Transpose", [columns], f"{name}.rows", perm=[0, 2, 1])


_OF_A_MAP: Mapping[str, Callable[[GraphBuilder, str, TapPart, Shape], str]] = {
    "avg": _average,
    "max": _maximum,
    "gem": _generalised_mean,
    "spoc": _centre_sum,
}
