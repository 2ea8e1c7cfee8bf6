"""The weights of VGG16 from a file of the user: PyTorch's table of weights with torchvision's names, or any ONNX graph of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from miradouro.bundles.torch_weights import is_torch_file, read_state_dict
from miradouro.core.document import Float32
from miradouro.core.error_text import shown
from miradouro.core.errors import BadBundle

CONVOLUTIONS = (2, 2, 3, 3, 3)  # per block
MAP = 7  # width and height of pool5
# torchvision numbers every layer of its two lists; those without weights are ReLU, pooling and dropout.
_FEATURES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
_CLASSIFIER = (0, 3, 6)


@dataclass(frozen=True)
class Layer:
    """`weights` of a convolution [out, in, 3, 3], of a dense layer [out, in]; `bias` [out]; float32."""

    weights: Float32
    bias: Float32


@dataclass(frozen=True)
class Vgg16Weights:
    """13 convolutions and 3 dense layers. The first dense layer takes pool5 in the order channel, row, column.

    `layout` is that of the graph's input; empty for a table of weights.
    """

    convolutions: tuple[Layer, ...]
    dense: tuple[Layer, ...]
    layout: Literal["", "NCHW", "NHWC"] = ""


def layer_names() -> Iterator[str]:
    """conv1_1 … conv5_3, fc6, fc7, fc8."""
    for block, convolutions in enumerate(CONVOLUTIONS, start=1):
        yield from (f"conv{block}_{number}" for number in range(1, convolutions + 1))
    yield from ("fc6", "fc7", "fc8")


def read_weights(path: Path) -> Vgg16Weights:
    """The checked weights in a file.

    Raises BadBundle, which names the layer, when the file holds another network, wrong shapes, or numbers that are not finite.
    """
    if is_torch_file(path):
        weights = _from_torchvision(path)
    else:
        from miradouro.bundles.vgg16_onnx import weights_of_graph  # here: a graph is the rarer case

        weights = weights_of_graph(path)
    _check(weights, path)
    return weights


def _from_torchvision(path: Path) -> Vgg16Weights:
    state = read_state_dict(path)
    prefixes = [f"features.{number}" for number in _FEATURES] + [f"classifier.{number}" for number in _CLASSIFIER]
    names = {f"{prefix}.{part}" for prefix in prefixes for part in ("weight", "bias")}
    if missing := sorted(names - state.keys()):
        raise BadBundle(f"{path}: holds no {missing[0]}, which torchvision's VGG16 has; name the weights of that network")
    if foreign := sorted(state.keys() - names):
        raise BadBundle(
            f"{path}: holds {shown(foreign[0])}, which torchvision's VGG16 does not have; name the weights of that network"
        )
    layers = tuple(
        Layer(state[f"{prefix}.weight"].astype(np.float32, copy=False), state[f"{prefix}.bias"].astype(np.float32, copy=False))
        for prefix in prefixes
    )
    return Vgg16Weights(layers[: len(_FEATURES)], layers[len(_FEATURES) :])


def _check(weights: Vgg16Weights, path: Path) -> None:
    """Raises BadBundle unless the layers fit each other and all numbers are finite."""
    inputs = 3
    for name, layer in zip(layer_names(), (*weights.convolutions, *weights.dense), strict=True):
        if name == "fc6":
            inputs *= MAP * MAP
        kernel = () if name.startswith("fc") else (3, 3)
        outputs = layer.bias.size
        expected = (outputs, inputs, *kernel)
        if layer.bias.ndim != 1 or layer.weights.shape != expected:
            raise BadBundle(
                f"{path}: {name} has weights of shape {list(layer.weights.shape)} and a bias of shape {list(layer.bias.shape)}; "
                f"VGG16 has [outputs, {', '.join(map(str, expected[1:]))}] and [outputs] there"
            )
        if not (np.isfinite(layer.weights).all() and np.isfinite(layer.bias).all()):
            raise BadBundle(f"{path}: {name} has weights that are not finite; the file is damaged, fetch it again")
        inputs = outputs
