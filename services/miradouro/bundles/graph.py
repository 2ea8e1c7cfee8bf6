"""Writes ONNX graphs, in float or in static int8 with given activation ranges.

Recipes call the same methods for both. In int8 `quantized` adds a QuantizeLinear / DequantizeLinear pair to every activation,
and the weights of convolutions are stored as int8; onnxruntime fuses these into QLinearConv.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from miradouro.bundles.quantization import Range, activation_parameters, quantize_bias, quantize_weights
from miradouro.core.document import Float32

OPSET = 13
IR_VERSION = 8
# Added before a vector is normalised, so that a vector of zeros gets length 1 too (all components equal).
_TINY = 1e-6
_LARGE_BYTES = 1 << 20  # of a tensor


class GraphBuilder:
    """Nodes and initializers of one model; methods add nodes and return the name of the resulting tensor.

    `ranges` is None for a float graph. Activations are [N, channels, height, width] float32.
    """

    def __init__(self, ranges: Mapping[str, Range] | None) -> None:
        self._ranges = ranges
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._prefix = ""  # of the names of nodes, so that the same layers can be added again for every input
        self._scales: dict[str, tuple[np.float32, np.uint8]] = {}
        self._opset, self._ir_version = OPSET, IR_VERSION
        self.activations: dict[str, str] = {}  # name in the ranges → float tensor, for calibration

    def adopt(self, model: onnx.ModelProto) -> None:
        """Adds the nodes and weights of a float model of OPSET or later, and takes its version; its outputs are not kept.

        Nodes that compute its input must have been added before.
        """
        self._nodes.extend(model.graph.node)
        self._initializers |= {tensor.name: tensor for tensor in model.graph.initializer}
        self._opset = next(each.version for each in model.opset_import if each.domain in {"", "ai.onnx"})
        self._ir_version = model.ir_version

    def node(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Adds a node with one output, named as its output."""
        output = self._prefix + output
        self._nodes.append(helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        """Adds an initializer."""
        self._initializers[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def pixels(self, name: str, *, height: int, width: int, mean: Sequence[float], scale: float) -> str:
        """Adds the input `name`, uint8 [N, height, width, 3] RGB, and returns (pixel - mean) * scale.

        The following nodes belong to this input. Their names begin with its name, except those of the first input, so that the
        same layers can be added for several inputs. Constants are shared.
        """
        self._prefix = f"{name}." if self._inputs else ""
        self.input(name, height=height, width=width)
        planes = self.node("Transpose", [name], "planes", perm=[0, 3, 1, 2])
        raw = self.node("Cast", [planes], "pixels", to=TensorProto.FLOAT)
        means = self.constant("mean", np.asarray(mean, np.float32).reshape(1, -1, 1, 1))
        x = self.node("Sub", [raw, means], "centred")
        if scale != 1:
            x = self.node("Mul", [x, self.constant("scale", np.float32(scale).reshape(1, 1, 1, 1))], "scaled")
        return self.quantized(x, "input")

    def input(self, name: str, *, height: int, width: int) -> str:
        """Adds the input `name`, uint8 [N, height, width, 3] RGB."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.UINT8, ["N", height, width, 3]))
        return name

    def quantized(self, x: str, name: str) -> str:
        """`x` itself in a float graph; rounded to 256 levels of the range called `name` in an int8 one."""
        self.activations.setdefault(name, x)  # keeps that of the first input
        if self._ranges is None:
            return x
        return self._round(x, name, *activation_parameters(self._ranges[name]))

    def rectified(self, x: str, name: str, *, limit: float | None = None) -> str:
        """ReLU, or with a `limit` a ReLU that clips there (such as ReLU6), then `quantized`.

        An int8 graph needs no node for it: quantizing to a range within 0 to `limit` clips too.
        Raises ValueError when the range reaches further.
        """
        if self._ranges is not None:
            bounds = self._ranges[name]
            if bounds[0] < 0 or (limit is not None and bounds[1] > limit):
                raise ValueError(f"the range of {name} is {bounds}; the activation is within 0 to {limit}")
            return self.quantized(x, name)
        if limit is None:
            return self.quantized(self.node("Relu", [x], f"{name}.rectified"), name)
        low, high = np.array(0, np.float32), np.array(limit, np.float32)
        limits = [self.constant(f"{name}.low", low), self.constant(f"{name}.high", high)]
        return self.quantized(self.node("Clip", [x, *limits], f"{name}.rectified"), name)

    def conv(
        self, x: str, name: str, weights: Float32, bias: Float32, *, stride: int = 1, pads: Sequence[int], group: int = 1
    ) -> str:
        """Convolution; weights [out, in / group, k, k], bias [out], pads top, left, bottom, right. Not rounded."""
        if self._ranges is None:
            w, b = self.constant(f"{name}.weights", weights), self.constant(f"{name}.bias", bias)
        else:
            x_scale, _ = self._scales[x]
            levels, scales = quantize_weights(weights, bias, x_scale)
            w = self._dequantize(f"{name}.weights", levels, scales)
            b = self._dequantize(f"{name}.bias", quantize_bias(bias, x_scale, scales), x_scale * scales)
        size = weights.shape[2]
        return self.node("Conv", [x, w, b], name, kernel_shape=[size, size], strides=[stride] * 2, pads=list(pads), group=group)

    def dense(self, x: str, name: str, weights: Float32, bias: Float32) -> str:
        """Dense layer over x [N, in]; weights [out, in], bias [out]. Not rounded."""
        if self._ranges is None:
            w, b = self.constant(f"{name}.weights", weights), self.constant(f"{name}.bias", bias)
        else:
            x_scale, _ = self._scales[x]
            levels, scales = quantize_weights(weights[:, :, np.newaxis, np.newaxis], bias, x_scale)
            w = self._dequantize(f"{name}.weights", levels[:, :, 0, 0], scales)
            b = self._dequantize(f"{name}.bias", quantize_bias(bias, x_scale, scales), x_scale * scales)
        return self.node("Gemm", [x, w, b], f"{name}.sum", transB=1)

    def flat(self, x: str, name: str) -> str:
        """`x` [N, channels, height, width] as [N, channels * height * width]; keeps the rounding of `x`."""
        flat = self.node("Flatten", [x], name)
        return self._round(flat, name, *self._scales[x]) if x in self._scales else flat

    def max_pool(self, x: str, name: str, *, size: int, stride: int) -> str:
        """Max pooling without padding; keeps the rounding of `x`."""
        pooled = self.node("MaxPool", [x], name, kernel_shape=[size, size], strides=[stride, stride])
        return self._round(pooled, name, *self._scales[x]) if x in self._scales else pooled

    def unit(self, x: str, name: str) -> str:
        """`x` with its last axis L2-normalised."""
        shifted = self.node("Add", [x, self.constant(f"{name}.tiny", np.array(_TINY, np.float32))], f"{name}.shifted")
        return self.node("LpNormalization", [shifted], name, axis=-1, p=2)

    def vector(self, x: str, name: str, dimension: int, *, rows: int = 0) -> str:
        """L2-normalises the last axis of `x` and makes it an output, [N, dimension] or [N, rows, dimension]."""
        return self.output(self.unit(x, name), [rows, dimension] if rows else [dimension])

    def projected(self, x: str, name: str, mean: npt.NDArray[np.float16], axes: npt.NDArray[np.float16]) -> str:
        """(x - mean) @ axes over the last axis of `x`; mean [D], axes [D, E].

        The file stores them as float16; the graph computes in float32.
        """
        halves = [self.constant(f"{name}.mean", mean), self.constant(f"{name}.axes", axes)]
        floats = [self.node("Cast", [half], f"{half}.float", to=TensorProto.FLOAT) for half in halves]
        return self.node("MatMul", [self.node("Sub", [x, floats[0]], f"{name}.centred"), floats[1]], f"{name}.projected")

    def output(self, name: str, shape: Sequence[int]) -> str:
        """Makes `name` an output, float32 [N, *shape]."""
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape]))
        return name

    def end_input(self) -> None:
        """The following nodes belong to no input: they combine the tensors of several inputs."""
        self._prefix = ""

    def model(self, name: str) -> onnx.ModelProto:
        """The finished, checked model. Call it once: it takes the weights out of the builder."""
        shapes = [
            helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            for tensor in self._initializers.values()
            if tensor.ByteSize() > _LARGE_BYTES
        ]
        small = [tensor for tensor in self._initializers.values() if tensor.ByteSize() <= _LARGE_BYTES]
        # The checker copies a model several times: it gets the shapes of large weights in place of the weights.
        graph = helper.make_graph(self._nodes, name, [*self._inputs, *shapes], self._outputs, small)
        opsets = [helper.make_opsetid("", self._opset)]
        onnx.checker.check_model(helper.make_model(graph, opset_imports=opsets, ir_version=self._ir_version), full_check=True)
        model = helper.make_model(
            helper.make_graph(self._nodes, name, self._inputs, self._outputs), opset_imports=opsets, ir_version=self._ir_version
        )
        while self._initializers:  # moved one by one: the weights are in memory once
            model.graph.initializer.append(self._initializers.pop(next(iter(self._initializers))))
        return model

    def _round(self, x: str, name: str, scale: np.float32, zero_point: np.uint8) -> str:
        parameters = [
            self.constant(f"{name}.scale", np.array(scale)),
            self.constant(f"{name}.zero_point", np.array(zero_point)),
        ]
        levels = self.node("QuantizeLinear", [x, *parameters], f"{name}.levels")
        rounded = self.node("DequantizeLinear", [levels, *parameters], f"{name}.rounded")
        self._scales[rounded] = (scale, zero_point)
        return rounded

    def _dequantize(self, name: str, levels: npt.NDArray[Any], scales: Float32) -> str:
        parameters = [
            self.constant(f"{name}.levels", levels),
            self.constant(f"{name}.scales", scales.astype(np.float32)),
            self.constant(f"{name}.zero_points", np.zeros(len(scales), levels.dtype)),
        ]
        return self.node("DequantizeLinear", parameters, name, axis=0)
