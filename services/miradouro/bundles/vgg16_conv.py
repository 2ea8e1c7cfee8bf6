"""Recipe: the 13 convolution layers of VGG16 and their pooled vectors, with whitened regions."""

from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import numpy_helper

from miradouro.bundles.graph import GraphBuilder
from miradouro.bundles.ingredients import Built, Ingredients
from miradouro.bundles.vgg16_layers import REGIONS, SIZE, add_convolutions, add_rmac, unit_regions
from miradouro.bundles.vgg16_weights import CONVOLUTIONS, Layer
from miradouro.core.errors import BadBundle

MEAN_RGB = (123.68, 116.779, 103.939)


def build(ingredients: Ingredients) -> Built:
    """The model and its activations' tensors by name. Raises BadBundle when the source isn't the network expected."""
    graph = GraphBuilder(ingredients.ranges)
    layers = tuple(read_convolutions(ingredients.source))
    channels = len(layers[-1].bias)
    x = add_convolutions(graph, graph.pixels("whole", height=SIZE, width=SIZE, mean=MEAN_RGB, scale=1), layers)
    regions = unit_regions(graph, x, channels)
    constants = ingredients.constants
    mean, axes = constants["mean"], constants["axes"]  # [512] and [512, 256]: principal directions / sqrt(standard deviation)
    whitened = graph.projected(regions, "whitening", mean, axes)
    graph.vector(whitened, "pool5/regions", axes.shape[1], rows=REGIONS)
    add_rmac(graph, regions, channels)
    return graph.model("vgg16-conv"), graph.activations


def read_convolutions(source: Path) -> Iterator[Layer]:
    """The convolutions, conv1_1 first, whose input channels are RGB minus MEAN_RGB. Raises BadBundle."""
    stored = {tensor.name: tensor for tensor in onnx.load(source).graph.initializer}
    for block, convolutions in enumerate(CONVOLUTIONS, start=1):
        for number in range(1, convolutions + 1):
            name = f"functional_1/block{block}_conv{number}_1"
            try:
                weights = numpy_helper.to_array(stored[f"{name}/convolution/ReadVariableOp:0"])
                bias = numpy_helper.to_array(stored[f"{name}/Squeeze:0"])
            except KeyError as exc:
                raise BadBundle(f"{source}: holds no weights called {exc}; it is not the file that the manifest names") from exc
            if block == number == 1:
                weights = weights[:, ::-1]  # the original network takes BGR
            yield Layer(weights, bias)
