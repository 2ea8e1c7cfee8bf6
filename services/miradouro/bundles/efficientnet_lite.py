"""Recipe: EfficientNet-Lite0 (Tan & Le, arXiv 1905.11946; the lite variant has ReLU6 and no squeeze-and-excitation)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from miradouro.bundles.constants import Constants
from miradouro.bundles.graph import GraphBuilder
from miradouro.bundles.ingredients import Built, Ingredients
from miradouro.bundles.look import View, add_look
from miradouro.bundles.quantization import Range
from miradouro.bundles.torch_weights import read_state_dict
from miradouro.core.document import Float32
from miradouro.core.errors import BadBundle

_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)  # of the 16 blocks
_EPSILON = 1e-3  # of batch normalisation
_SIZE = 224
_FEATURES = 1280
_CLASSES = 1000

State = Mapping[str, npt.NDArray[Any]]


def build(ingredients: Ingredients) -> Built:
    """The model and its activations' tensors by name. Raises BadBundle when the source isn't the network expected."""
    source = ingredients.source
    state = read_state_dict(source)
    try:
        return _build(state, ingredients.ranges, ingredients.constants)
    except KeyError as exc:
        raise BadBundle(f"{source}: holds no weights called {exc}; it is not the file that the manifest names") from exc


def _build(state: State, ranges: Mapping[str, Range] | None, constants: Constants) -> Built:
    graph = GraphBuilder(ranges)
    centre = _view(graph, state, "centre")
    graph.vector(centre.pooled, "features", _FEATURES)
    graph.output(centre.softmax, [_CLASSES])
    whole = _view(graph, state, "whole")
    graph.end_input()
    add_look(graph, (centre, whole), constants)
    return graph.model("efficientnet-lite0"), graph.activations


def _view(graph: GraphBuilder, state: State, name: str) -> View:
    """The whole network on the input called `name`; both inputs share the weights."""
    x = graph.pixels(name, height=_SIZE, width=_SIZE, mean=(127, 127, 127), scale=1 / 128)
    size = _SIZE
    x, size = _convolution(graph, state, x, "stem", "_conv_stem", "_bn0", size=size, stride=2)
    for number, stride in enumerate(_STRIDES):
        x, size = _block(graph, state, x, number, size=size, stride=stride)
    x, _ = _convolution(graph, state, x, "head", "_conv_head", "_bn1", size=size)
    pooled = graph.node("Flatten", [graph.node("GlobalAveragePool", [x], "pooled")], "pooled.flat")
    weights, bias = graph.constant("classes.weights", state["_fc.weight"]), graph.constant("classes.bias", state["_fc.bias"])
    logits = graph.node("Gemm", [pooled, weights, bias], "logits", transB=1)
    return View(x, pooled, graph.node("Softmax", [logits], "softmax", axis=-1))


def _block(graph: GraphBuilder, state: State, x: str, number: int, *, size: int, stride: int) -> tuple[str, int]:
    """Inverted residual: expand, depthwise, project; added to its input when the shapes are equal."""
    name, prefix = f"block{number}", f"_blocks.{number}"
    start = x
    channels = state[f"{prefix}._depthwise_conv.weight"].shape[0]
    if number:  # the first block does not expand
        x, _ = _convolution(graph, state, x, f"{name}.expand", f"{prefix}._expand_conv", f"{prefix}._bn0", size=size)
    depthwise = (f"{prefix}._depthwise_conv", f"{prefix}._bn1")
    x, size = _convolution(graph, state, x, f"{name}.depthwise", *depthwise, size=size, stride=stride, group=channels)
    project = (f"{prefix}._project_conv", f"{prefix}._bn2")
    x, _ = _convolution(graph, state, x, f"{name}.project", *project, size=size, is_linear=True)
    same_channels = number and state[f"{project[0]}.weight"].shape[0] == state[f"{prefix}._expand_conv.weight"].shape[1]
    if stride == 1 and same_channels:
        x = graph.quantized(graph.node("Add", [x, start], f"{name}.sum"), name)
    return x, size


def _convolution(
    graph: GraphBuilder,
    state: State,
    x: str,
    name: str,
    convolution: str,
    normalisation: str,
    *,
    size: int,
    stride: int = 1,
    group: int = 1,
    is_linear: bool = False,
) -> tuple[str, int]:
    """Convolution and batch normalisation as one, then ReLU6 unless linear; the tensor and its map size in pixels."""
    weights, bias = _folded(state, convolution, normalisation)
    pads, size = _same_padding(size, kernel=weights.shape[2], stride=stride)
    x = graph.conv(x, name, weights, bias, stride=stride, pads=pads, group=group)
    return (graph.quantized(x, name) if is_linear else graph.rectified(x, name, limit=6)), size


def _folded(state: State, convolution: str, normalisation: str) -> tuple[Float32, Float32]:
    """Weights and bias of a convolution without bias followed by batch normalisation (Ioffe & Szegedy, arXiv 1502.03167)."""
    gamma, beta, mean, variance = (
        state[f"{normalisation}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = gamma / np.sqrt(variance + _EPSILON)
    weights = state[f"{convolution}.weight"] * factor.reshape(-1, 1, 1, 1)
    return weights.astype(np.float32), (beta - mean * factor).astype(np.float32)


def _same_padding(size: int, *, kernel: int, stride: int) -> tuple[list[int], int]:
    """TensorFlow's SAME padding, the odd pixel at the bottom right: pads top, left, bottom, right and the output size."""
    output = -(-size // stride)
    total = max((output - 1) * stride + kernel - size, 0)
    before = total // 2
    return [before, before, total - before, total - before], output
