"""LeNet-5 as an ONNX graph: the trained layers, one after the other."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from examples.lenet5.layers import Convolution, Dense, Layer, Squash, Subsampling

SIZE, OPSET, IR_VERSION = 32, 13, 8


class _Graph:
    """Nodes and constants. The tensor behind a layer has the layer's name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, name: str, values: object) -> str:
        array = np.asarray(values, np.int64 if name.endswith("shape") else np.float32)
        self.constants.append(numpy_helper.from_array(array, name))
        return name


def export(layers: dict[str, Layer], path: Path) -> None:
    """Writes the graph: `digits` float32 [N, 1, 32, 32] → … → `F6 squashed` [N, 84] → `output` [N, 10], the logits."""
    graph = _Graph()
    value = "digits"
    for name, layer in layers.items():
        value = _add(graph, value, name, layer)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "lenet5",
            [helper.make_tensor_value_info("digits", TensorProto.FLOAT, ["N", 1, SIZE, SIZE])],
            [helper.make_tensor_value_info(value, TensorProto.FLOAT, ["N", 10])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _add(graph: _Graph, x: str, name: str, layer: Layer) -> str:
    """Adds the nodes of a layer behind the tensor `x`; returns the tensor `name`."""
    if isinstance(layer, Convolution):
        kernels, bias = (graph.constant(f"{name}.{i}", values) for i, values in enumerate(layer.parameters))
        return graph.node("Conv", [x, kernels, bias], name)
    if isinstance(layer, Subsampling):
        factor, bias = (graph.constant(f"{name}.{i}", one[:, None, None]) for i, one in enumerate(layer.parameters))
        means = graph.node("AveragePool", [x], f"{name}.means", kernel_shape=[2, 2], strides=[2, 2])
        return graph.node("Add", [graph.node("Mul", [means, factor], f"{name}.scaled"), bias], name)
    if isinstance(layer, Dense):
        weights, bias = (graph.constant(f"{name}.{i}", values) for i, values in enumerate(layer.parameters))
        return graph.node("Gemm", [graph.node("Flatten", [x], f"{name}.flat"), weights, bias], name)
    if isinstance(layer, Squash):
        slope = graph.constant(f"{name}.slope", Squash.slope)
        amplitude = graph.constant(f"{name}.amplitude", Squash.amplitude)
        bent = graph.node("Tanh", [graph.node("Mul", [x, slope], f"{name}.steep")], f"{name}.bent")
        return graph.node("Mul", [bent, amplitude], name)
    raise TypeError(f"no ONNX node is known for {type(layer).__name__}")
