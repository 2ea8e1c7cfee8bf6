"""Recipe `onnx`: somebody else's graph as it is. Pixels are prepared in front of it, and its taps are pooled behind it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

from miradouro.bundles.cut import needed_part
from miradouro.bundles.foreign_graph import PREFIX, prefixed, read_graph, with_shapes
from miradouro.bundles.graph import GraphBuilder
from miradouro.bundles.ingredients import Built, Ingredients
from miradouro.bundles.manifest import GeometryPart, Manifest
from miradouro.bundles.pooling import add_tap
from miradouro.bundles.taps import InputPart, TagsPart
from miradouro.core.error_text import shown
from miradouro.core.errors import BadBundle

_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601
_SHOWN_TENSORS = 8

Shapes = Mapping[str, tuple[int, ...]]


def build(ingredients: Ingredients) -> Built:
    """The model; it is not calibrated, so it has no activations.

    Raises BadBundle when the graph is refused, ValueError when the manifest does not fit it.
    """
    manifest = ingredients.manifest
    taken, geometry = _input_of(manifest)
    graph_of_others = read_graph(ingredients.source)
    _check_input_name(graph_of_others, taken)
    model, shapes = with_shapes(graph_of_others, sizes_of(taken, geometry))
    graph = GraphBuilder(None)
    add_pixels(graph, taken, geometry, name=next(iter(manifest.geometries)), target=model.graph.input[0].name)
    graph.adopt(prefixed(model))
    outputs = [tap.output for tap in manifest.taps]
    distribution: dict[str, tuple[int, ...]] = {}
    if manifest.tags:
        distribution = {manifest.tags.output: _add_tags(graph, manifest.tags, shapes, model, ingredients.source)}
        outputs += distribution
    for tap in manifest.taps:
        if tap.tensor in distribution:
            add_tap(graph, tap.tensor, tap, distribution[tap.tensor])
            continue
        x, shape = _tensor(tap.tensor, shapes, model, ingredients.source)
        if taken.layout == "NHWC" and len(shape) == 3:
            x = graph.node("Transpose", [x], f"{tap.output}.nchw", perm=[0, 3, 1, 2])
            shape = (shape[2], *shape[:2])
        add_tap(graph, x, tap, shape)
    return needed_part(graph.model(manifest.name), outputs), {}


def sizes_of(taken: InputPart, geometry: GeometryPart) -> tuple[int, int, int]:
    """The shape of one picture as the graph takes it."""
    channels = len(taken.channels)
    if taken.layout == "NCHW":
        return channels, geometry.height, geometry.width
    return geometry.height, geometry.width, channels


def add_pixels(graph: GraphBuilder, taken: InputPart, geometry: GeometryPart, *, name: str, target: str) -> None:
    """The input `name`, uint8 [N, height, width, 3] RGB, and the nodes that make it the tensor that the graph reads."""
    x = graph.node("Cast", [graph.input(name, height=geometry.height, width=geometry.width)], "pixels", to=onnx.TensorProto.FLOAT)
    if taken.channels == "L":
        weights = graph.constant("luminance", np.array(_LUMINANCE, np.float32).reshape(3, 1))
        x = graph.node("MatMul", [x, weights], "grey")
    elif taken.channels == "BGR":
        x = graph.node("Gather", [x, graph.constant("bgr", np.array([2, 1, 0], np.int64))], "reversed", axis=3)
    # (pixel * scale - mean) / std as one multiplication and one addition
    factor = np.float64(taken.scale) / np.asarray(taken.std, np.float64)
    shift = -np.asarray(taken.mean, np.float64) / np.asarray(taken.std, np.float64)
    x = graph.node("Mul", [x, graph.constant("pixels.factor", factor.astype(np.float32))], "pixels.scaled")
    x = graph.node("Add", [x, graph.constant("pixels.shift", shift.astype(np.float32))], "pixels.centred")
    if taken.layout == "NCHW":
        x = graph.node("Transpose", [x], "pixels.planes", perm=[0, 3, 1, 2])
    graph.node("Identity", [x], PREFIX + target)


def _input_of(manifest: Manifest) -> tuple[InputPart, GeometryPart]:
    if manifest.input is None:
        raise ValueError("the manifest has no [input]; recipe onnx needs the layout, channels, scale, mean and std of the graph")
    if len(manifest.geometries) != 1:
        raise ValueError(f"the manifest has {len(manifest.geometries)} geometries; recipe onnx takes one, for the one input")
    if manifest.constants or any(tap.views for tap in manifest.taps):
        raise ValueError("recipe onnx takes neither constants nor views; remove them")
    return manifest.input, next(iter(manifest.geometries.values()))


def _check_input_name(model: onnx.ModelProto, taken: InputPart) -> None:
    if taken.name and taken.name != model.graph.input[0].name:
        found = shown(model.graph.input[0].name)
        raise ValueError(f"the input is called {found}, the manifest says {shown(taken.name)}; correct it")


def _tensor(name: str, shapes: Shapes, model: onnx.ModelProto, source: Path) -> tuple[str, tuple[int, ...]]:
    """The tensor's name in the renamed graph, and its shape. Raises BadBundle."""
    if name in shapes:
        return PREFIX + name, shapes[name]
    if any(name in node.output for node in model.graph.node):
        raise BadBundle(
            f"{source}: the shape of {shown(name)} depends on the picture, or it holds no float numbers; tap another tensor, "
            "or export the network with fixed sizes"
        )
    last = ", ".join(list(shapes)[-_SHOWN_TENSORS:])
    raise BadBundle(f"{source}: the graph has no tensor {shown(name)}; `miradouro models inspect` lists all; last: {last}")


def _add_tags(graph: GraphBuilder, tags: TagsPart, shapes: Shapes, model: onnx.ModelProto, source: Path) -> tuple[int, ...]:
    """Adds the label distribution; its shape without the batch."""
    if not tags.tensor:
        raise ValueError("[tags] has no tensor; name the tensor that holds the logits or probabilities")
    x, shape = _tensor(tags.tensor, shapes, model, source)
    classes = int(np.prod(shape))
    if sum(size > 1 for size in shape) > 1:
        raise ValueError(f"{tags.tensor} is {' x '.join(map(str, shape))}; a label distribution is a vector")
    flat = graph.node("Flatten", [x], f"{tags.output}.flat")
    graph.node("Softmax" if tags.softmax else "Identity", [flat], tags.output, **({"axis": -1} if tags.softmax else {}))
    graph.output(tags.output, [classes])
    return (classes,)
