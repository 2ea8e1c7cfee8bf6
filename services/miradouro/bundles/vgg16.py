"""Recipe: VGG16 whole, from the weights that a user has: pool1 … pool5, fc6, fc7 and the classes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx

from miradouro.bundles.graph import GraphBuilder
from miradouro.bundles.quantization import Range
from miradouro.bundles.vgg16_layers import SIZE, add_convolutions, add_rmac, unit_regions
from miradouro.bundles.vgg16_weights import Vgg16Weights


@dataclass(frozen=True)
class Pixels:
    """The numbers that the weights take: (pixel - mean) / deviation, each of R, G, B, in 0 to 255."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float] = (1, 1, 1)


# torchvision and the ONNX zoo scale pixels to 0 to 1 first.
IMAGENET = Pixels((255 * 0.485, 255 * 0.456, 255 * 0.406), (255 * 0.229, 255 * 0.224, 255 * 0.225))


def whole_network(
    weights: Vgg16Weights, ranges: Mapping[str, Range] | None, pixels: Pixels = IMAGENET
) -> tuple[onnx.ModelProto, dict[str, str]]:
    """The model and its activations' tensors by name."""
    graph = GraphBuilder(ranges)
    x = graph.pixels("centre", height=SIZE, width=SIZE, mean=pixels.mean, scale=1)
    first, *others = weights.convolutions
    # The deviation is folded into the first convolution. The mean can't be: that convolution pads with zeros after it.
    deviation = np.array(pixels.deviation, np.float32)[:, np.newaxis, np.newaxis]
    x = add_convolutions(graph, x, [replace(first, weights=first.weights / deviation), *others])
    channels = len(others[-1].bias)
    add_rmac(graph, unit_regions(graph, x, channels), channels)
    x = graph.flat(x, "pool5.flat")
    *hidden, last = weights.dense
    for name, layer in zip(("fc6", "fc7"), hidden, strict=True):
        x = graph.rectified(graph.dense(x, name, layer.weights, layer.bias), name)
        graph.vector(x, name, len(layer.bias))
    logits = graph.dense(x, "fc8", last.weights, last.bias)
    probabilities = graph.output(graph.node("Softmax", [logits], "probabilities", axis=-1), [len(last.bias)])
    graph.vector(probabilities, "softmax", len(last.bias))
    return graph.model("vgg16"), graph.activations
