"""The vector `look`: two views of a photo, their pooled features and their classes, projected to 512 numbers.

A network's last feature map describes the parts of a photo, its classes the kind of thing; a query by example needs both.

    k = unit(unit(sum of G * map of the centre) + unit(sum of G * map of the whole photo))
        G = exp(-((x - 3)^2 + (y - 3)^2) / (2 (7/3)^2)) over the 7 x 7 map: the middle has more weight
    p = mean of both softmaxes
    t = unit([sqrt(p), sqrt(IC) * sqrt(sum of p below each parent in WordNet)])
        IC = 1 - ln(classes below the parent) / ln 1000, the information content (Seco, Veale & Hayes, ECAI 2004)
    v = unit([k, t / 2])                                          3,026 numbers
    look = unit((v - mean) @ axes)                                512 numbers

`mean` and `axes` (principal directions divided by the square root of their standard deviation) were learned on 1,000 unlabelled
photos, one of each ImageNet class. Do not learn them on a collection: that would suppress the directions that separate its
classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from miradouro.bundles.constants import Constants
from miradouro.bundles.graph import GraphBuilder

_MAP = 7  # width and height of the last feature map
_TREE_WEIGHT = 0.5


@dataclass(frozen=True)
class View:
    """Tensors of one view of a photo: the last feature map [N, C, 7, 7], its average [N, C], the classes [N, 1000]."""

    feature_map: str
    pooled: str
    softmax: str


def add_look(graph: GraphBuilder, views: Sequence[View], constants: Constants) -> None:
    """Adds the output `look`, float32 [N, 512].

    `constants`: mean [3026] and axes [3026, 512] float16; parents int16 [pairs, 2], each a class and a parent above it.
    """
    mean, axes, pairs = constants["mean"], constants["axes"], constants["parents"]
    pooled = [_pooled_from_the_middle(graph, view.feature_map, f"look.k{number}") for number, view in enumerate(views)]
    k = graph.unit(graph.node("Sum", pooled, "look.k.sum"), "look.k")
    p = graph.node("Mean", [view.softmax for view in views], "look.p")
    joined = graph.node("Concat", [k, _half(graph, _tree(graph, p, pairs))], "look.joined", axis=-1)
    projected = graph.projected(graph.unit(joined, "look.v"), "look", mean, axes)
    graph.vector(projected, "look", axes.shape[1])


def _pooled_from_the_middle(graph: GraphBuilder, feature_map: str, name: str) -> str:
    middle = (_MAP - 1) / 2
    squares = (np.arange(_MAP) - middle) ** 2
    weights = np.exp(-(squares[:, np.newaxis] + squares) / (2 * (_MAP / 3) ** 2)).astype(np.float32)
    weighted = graph.node("Mul", [feature_map, graph.constant("look.weights", weights[np.newaxis, np.newaxis])], f"{name}.map")
    axes = graph.constant("look.map.axes", np.array([2, 3], np.int64))
    return graph.unit(graph.node("ReduceSum", [weighted, axes], f"{name}.sum", keepdims=0), name)


def _tree(graph: GraphBuilder, p: str, pairs: "np.ndarray[tuple[int, int], np.dtype[np.int16]]") -> str:
    """The classes and their parents in WordNet as one unit vector, [N, 1746]."""
    classes, parents = (int(last) + 1 for last in pairs.max(axis=0))
    below = np.zeros((classes, parents), np.float32)
    below[pairs[:, 0], pairs[:, 1]] = 1
    information = 1 - np.log(below.sum(axis=0)) / math.log(classes)
    # sqrt(IC) * sqrt(sum of p) is the square root of p @ (below * IC).
    sums = graph.node("MatMul", [p, graph.constant("look.parents", (below * information).astype(np.float32))], "look.parents.sum")
    # A parent of all classes has IC 0. Rounding may make it negative, and the square root of that is NaN.
    zero = graph.constant("look.zero", np.array(0, np.float32))
    both = graph.node("Concat", [p, graph.node("Max", [sums, zero], "look.parents.positive")], "look.tree.p", axis=-1)
    return graph.unit(graph.node("Sqrt", [both], "look.tree.root"), "look.tree")


def _half(graph: GraphBuilder, tree: str) -> str:
    return graph.node("Mul", [tree, graph.constant("look.tree.weight", np.array(_TREE_WEIGHT, np.float32))], "look.tree.half")
