"""Recipe: the 13 convolution layers of VGG16 (Simonyan & Zisserman, arXiv 1409.1556) and their pooled vectors."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from miradouro.bundles.constants import Constants
from miradouro.bundles.graph import GraphBuilder
from miradouro.bundles.quantization import Range
from miradouro.core.document import Float32
from miradouro.core.errors import BadBundle

_CONVOLUTIONS = (2, 2, 3, 3, 3)  # per block
_CHANNELS = (64, 128, 256, 512, 512)
_MEAN_RGB = (123.68, 116.779, 103.939)
_SIZE = 224
# R-MAC (Tolias, Sicre & Jégou, arXiv 1511.05879) on the 7 x 7 map: square windows of 7, 4 and 3 cells that overlap
# by about 40 %, as (cells, stride): 1, 4 and 9 of them, row by row.
_WINDOWS = ((7, 1), (4, 3), (3, 2))
_REGIONS = 14


def build(source: Path, ranges: Mapping[str, Range] | None, constants: Constants) -> tuple[onnx.ModelProto, dict[str, str]]:
    """The model and its activations' tensors by name. Raises BadBundle when `source` isn't the network expected."""
    graph = GraphBuilder(ranges)
    x = graph.pixels("whole", height=_SIZE, width=_SIZE, mean=_MEAN_RGB, scale=1)
    weights = _weights(source)
    for block, (convolutions, channels) in enumerate(zip(_CONVOLUTIONS, _CHANNELS, strict=True), start=1):
        for number in range(1, convolutions + 1):
            name = f"conv{block}_{number}"
            x = graph.conv(x, name, *next(weights), pads=[1, 1, 1, 1])
            x = graph.rectified(x, name)
        x = graph.max_pool(x, f"pool{block}", size=2, stride=2)
        _pooled_vectors(graph, x, f"pool{block}", channels)
    _region_vectors(graph, x, constants)
    return graph.model("vgg16-conv"), graph.activations


def _pooled_vectors(graph: GraphBuilder, x: str, layer: str, channels: int) -> None:
    for pooling, op in (("avg", "GlobalAveragePool"), ("max", "GlobalMaxPool")):
        name = f"{layer}/{pooling}"
        pooled = graph.node(op, [x], f"{name}.map")
        graph.vector(graph.node("Flatten", [pooled], f"{name}.flat"), name, channels)


def _region_vectors(graph: GraphBuilder, x: str, constants: Constants) -> None:
    """R-MAC over unit regions; and the regions whitened, which keeps their differences at half the size."""
    channels = _CHANNELS[-1]
    columns = graph.constant("regions.shape", np.array([0, channels, -1], np.int64))
    levels = []
    for cells, stride in _WINDOWS:
        name = f"regions{cells}"
        # Not max_pool: these maps end in float vectors and are not rounded again.
        maxima = graph.node("MaxPool", [x], name, kernel_shape=[cells, cells], strides=[stride, stride])
        levels.append(graph.node("Reshape", [maxima, columns], f"{name}.columns"))
    joined = graph.node("Concat", levels, "regions.columns", axis=2)
    rows = graph.node("Transpose", [joined], "regions.rows", perm=[0, 2, 1])
    regions = graph.unit(rows, "regions.unit")
    mean, axes = constants["mean"], constants["axes"]  # [512] and [512, 256]: principal directions / sqrt(standard deviation)
    whitened = graph.projected(regions, "whitening", mean, axes)
    graph.vector(whitened, "pool5/regions", axes.shape[1], rows=_REGIONS)
    axis = graph.constant("regions.axis", np.array([1], np.int64))
    graph.vector(graph.node("ReduceSum", [regions, axis], "rmac.sum", keepdims=0), "pool5/rmac", channels)


def _weights(source: Path) -> Iterator[tuple[Float32, Float32]]:
    """Weights [out, in, 3, 3] and bias [out] of each convolution, conv1_1 first, its input channels in RGB order."""
    stored = {tensor.name: tensor for tensor in onnx.load(source).graph.initializer}
    for block, convolutions in enumerate(_CONVOLUTIONS, start=1):
        for number in range(1, convolutions + 1):
            name = f"functional_1/block{block}_conv{number}_1"
            try:
                weights = numpy_helper.to_array(stored[f"{name}/convolution/ReadVariableOp:0"])
                bias = numpy_helper.to_array(stored[f"{name}/Squeeze:0"])
            except KeyError as exc:
                raise BadBundle(f"{source}: holds no weights called {exc}; it is not the file that the manifest names") from exc
            if block == number == 1:
                weights = weights[:, ::-1]  # the original network takes BGR
            yield weights, bias
