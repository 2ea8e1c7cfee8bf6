"""Recipe: VGG16 whole, from the weights that a user has: pool1 … pool5, fc6, fc7 and the classes.

`[input]` of the manifest is that of the weights: (pixel * scale - mean) / std. Those of torchvision and of the ONNX zoo take RGB
from 0 to 1 with ImageNet's mean and deviation; those of Caffe and Keras take BGR minus the means.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from miradouro.bundles.graph import GraphBuilder
from miradouro.bundles.ingredients import Built, Ingredients
from miradouro.bundles.manifest import Manifest
from miradouro.bundles.quantization import Range
from miradouro.bundles.taps import InputPart
from miradouro.bundles.vgg16_layers import SIZE, add_convolutions, add_rmac, unit_regions
from miradouro.bundles.vgg16_weights import Layer, Vgg16Weights, read_weights
from miradouro.core.document import Float32
from miradouro.core.errors import BadBundle


def build(ingredients: Ingredients) -> Built:
    """The model and its activations' tensors by name.

    Raises BadBundle when the source is no VGG16 of the widths that the manifest says.
    """
    manifest, source = ingredients.manifest, ingredients.source
    if manifest.input is None or manifest.input.channels == "L":
        raise ValueError("the manifest has no [input] in RGB or BGR; recipe vgg16 needs the scale, mean and std of the weights")
    weights = read_weights(source)
    if weights.layout not in {"", manifest.input.layout}:
        raise BadBundle(
            f"{source}: the graph takes {weights.layout}, [input] of {manifest.name} says {manifest.input.layout}; the "
            "weights of another framework take other numbers: add a bundle whose [input] is theirs (docs/models.md, VGG16)"
        )
    model, activations = whole_network(weights, ingredients.ranges, manifest.input, name=next(iter(manifest.geometries)))
    _check_outputs(manifest, model, source)
    return model, activations


def whole_network(
    weights: Vgg16Weights, ranges: Mapping[str, Range] | None, taken: InputPart, *, name: str
) -> tuple[onnx.ModelProto, dict[str, str]]:
    """The model and its activations' tensors by name; `taken` is the input of the weights, `name` that of the model."""
    graph = GraphBuilder(ranges)
    first, *others = weights.convolutions
    mean, first = _over_pixels(first, taken)
    x = graph.pixels(name, height=SIZE, width=SIZE, mean=mean, scale=1)
    x = add_convolutions(graph, x, [first, *others])
    channels = len(others[-1].bias)
    add_rmac(graph, unit_regions(graph, x, channels), channels)
    x = graph.flat(x, "pool5.flat")
    *hidden, last = weights.dense
    for layer_name, layer in zip(("fc6", "fc7"), hidden, strict=True):
        x = graph.rectified(graph.dense(x, layer_name, layer.weights, layer.bias), layer_name)
        graph.vector(x, layer_name, len(layer.bias))
    logits = graph.dense(x, "fc8", last.weights, last.bias)
    probabilities = graph.output(graph.node("Softmax", [logits], "probabilities", axis=-1), [len(last.bias)])
    graph.vector(probabilities, "softmax", len(last.bias))
    return graph.model("vgg16"), graph.activations


def _over_pixels(first: Layer, taken: InputPart) -> tuple[list[float], Layer]:
    """The mean of R, G, B in pixels, and the first convolution over pixel - mean.

    The scale is folded into the convolution. The mean can't be: the convolution pads with zeros after it is subtracted.
    """
    mean, deviation = (np.broadcast_to(np.asarray(each) / taken.scale, 3) for each in (taken.mean, taken.std))
    order = slice(None, None, -1 if taken.channels == "BGR" else 1)
    scaled: Float32 = (first.weights / deviation.astype(np.float32)[:, np.newaxis, np.newaxis])[:, order]
    return mean[order].tolist(), replace(first, weights=scaled)


def _check_outputs(manifest: Manifest, model: onnx.ModelProto, source: Path) -> None:
    """Raises BadBundle unless the network has the layers that the manifest names, in their dimensions."""
    sizes = {output.name: output.type.tensor_type.shape.dim[-1].dim_value for output in model.graph.output}
    for space in manifest.spaces:
        if space.output not in sizes:
            raise BadBundle(f"{manifest.name}: recipe vgg16 has no layer {space.output}; it has {', '.join(sorted(sizes))}")
        if sizes[space.output] != space.dimension:
            raise BadBundle(
                f"{source}: {space.output} has {sizes[space.output]:,} numbers, the manifest of {manifest.name} says "
                f"{space.dimension:,}; name the weights of that network"
            )
