"""Finds the weights of VGG16 in an ONNX graph of any exporter: the graph is read along its one path, and nothing is run.

Exporters name tensors as they like, keep channels first or last, write a dense layer as Gemm or as MatMul and Add, and leave
dropout, softmax and reshapes in or out. The order of the layers is the same in all of them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, numpy_helper

from miradouro.bundles.vgg16_weights import CONVOLUTIONS, MAP, Layer, Vgg16Weights
from miradouro.core.document import Float32
from miradouro.core.error_text import shown
from miradouro.core.errors import BadBundle

_FIRST, _LAST = [0, 3, 1, 2], [0, 2, 3, 1]  # Transpose: to channels first, to channels last
_EXPECTED = "".join("CR" * convolutions + "P" for convolutions in CONVOLUTIONS) + "DRDRD"
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)


def weights_of_graph(path: Path) -> Vgg16Weights:
    """The weights of the graph in an ONNX file; the caller checks their shapes. Raises BadBundle when it isn't VGG16."""
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except (DecodeError, ValueError) as exc:
        raise BadBundle(f"{path}: neither an ONNX graph nor a table of weights of PyTorch") from exc
    try:
        reader = _Reader(graph)
        reader.read()
    except _NotVgg16 as exc:
        raise BadBundle(f"{path}: the graph is not VGG16: {exc}; name a file of that network") from exc
    except (IndexError, ValueError) as exc:
        raise BadBundle(f"{path}: a node of the graph is damaged: {exc!s:.300}") from exc
    return Vgg16Weights(tuple(reader.convolutions), tuple(reader.dense), "NHWC" if reader.takes_channels_last else "NCHW")


class _NotVgg16(ValueError):
    """The graph has another structure; the message says where."""


class _Reader:
    """Walks from the graph's input to its output."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                self._constants.update((node.output[0], each.t) for each in node.attribute if each.name == "value")
        inputs = [one.name for one in graph.input if one.name not in self._constants]
        if len(inputs) != 1:
            raise _NotVgg16(f"it takes {len(inputs)} inputs, not one")
        self._nodes = graph.node
        self._tensor = inputs[0]
        self.takes_channels_last = self._channels_last = False
        self._is_flat = self._flattened_last = False
        self._kinds = ""  # C convolution, R ReLU, P pooling, D dense layer
        self.convolutions: list[Layer] = []
        self.dense: list[Layer] = []

    def read(self) -> None:
        """Fills `convolutions` and `dense`. Raises _NotVgg16."""
        for node in self._path():
            self._step(node)
        if self._kinds != _EXPECTED:
            raise _NotVgg16(f"it has {self._so_far()}; VGG16 has 13 in blocks of 2, 2, 3, 3 and 3, and 3")

    def _step(self, node: onnx.NodeProto) -> None:
        match node.op_type:
            case "Conv":
                self._convolved(node)
            case "Relu":
                self._kinds += "R"
            case "MaxPool":
                self._pooled(node)
            case "AveragePool" if _attributes(node).get("kernel_shape") == [1, 1]:
                pass  # torchvision's average pooling to 7 x 7, which does nothing to a map of that size
            case "Transpose":
                self._transposed(node)
            case "Flatten" | "Reshape":  # to one row for each photo: the size of the next dense layer shows it
                if not self._is_flat:
                    self._is_flat, self._flattened_last = True, self._channels_last
            case "Gemm":
                self._multiplied_and_added(node)
            case "MatMul":
                self._dense(self._constant(node.input[1]).T, np.zeros(0, np.float32))
            case "Add":
                self._added(node)
            case "Dropout" | "Identity":
                pass  # dropout does nothing at inference
            case "Softmax" if self._kinds == _EXPECTED:
                pass
            case other:
                raise _NotVgg16(f"it holds the operator {shown(other)} after {self._so_far()}")

    def _path(self) -> Iterator[onnx.NodeProto]:
        consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in self._nodes:
            for name in {*node.input}:
                consumers.setdefault(name, []).append(node)
        while True:
            # A Shape computes the batch size for a Reshape, beside the path.
            following = [node for node in consumers.get(self._tensor, []) if node.op_type != "Shape"]
            if not following:
                return
            if len(following) > 1:
                raise _NotVgg16(f"it branches after {self._so_far()}")
            consumers.pop(self._tensor)  # a path that returns to itself ends
            yield following[0]
            self._tensor = following[0].output[0]

    def _so_far(self) -> str:
        return f"{self._kinds.count('C')} convolutions and {self._kinds.count('D')} dense layers"

    def _convolved(self, node: onnx.NodeProto) -> None:
        same = {b"SAME_UPPER", b"SAME_LOWER"}
        given = _attributes(node)
        pads = given.get("auto_pad", b"NOTSET") in same or given.get("pads") == [1, 1, 1, 1]
        ones = all(given.get(name, [1, 1]) == [1, 1] for name in ("strides", "dilations"))
        if self._is_flat or self._channels_last or not pads or not ones or given.get("group", 1) != 1:
            raise _NotVgg16(f"a convolution after {self._so_far()} has a stride, padding or groups that VGG16 does not have")
        self._kinds += "C"
        self.convolutions.append(Layer(self._constant(node.input[1]), self._bias(node.input)))

    def _multiplied_and_added(self, node: onnx.NodeProto) -> None:
        given = _attributes(node)
        if given.get("transA", 0) or given.get("alpha", 1.0) != 1 or given.get("beta", 1.0) != 1:
            raise _NotVgg16(f"a dense layer after {self._so_far()} is scaled or transposed")
        weights = self._constant(node.input[1])
        self._dense(weights if given.get("transB", 0) else weights.T, self._bias(node.input))

    def _dense(self, weights: Float32, bias: Float32) -> None:
        if not self._is_flat or weights.ndim != 2:
            raise _NotVgg16(f"a dense layer follows {self._so_far()} without a flat input")
        if not self.dense and self._flattened_last and weights.shape[1] % (MAP * MAP) == 0:
            rows = weights.reshape(len(weights), MAP, MAP, -1)
            weights = rows.transpose(0, 3, 1, 2).reshape(len(weights), -1)
        self._kinds += "D"
        self.dense.append(Layer(np.ascontiguousarray(weights), bias))

    def _added(self, node: onnx.NodeProto) -> None:
        """The bias of the layer before, where that has none."""
        layers = {"C": self.convolutions, "D": self.dense}.get(self._kinds[-1:])
        constants = [name for name in node.input if name != self._tensor]
        if not layers or layers[-1].bias.size or len(constants) != 1:
            raise _NotVgg16(f"it adds something after {self._so_far()}")
        layers[-1] = Layer(layers[-1].weights, self._constant(constants[0]).reshape(-1))

    def _pooled(self, node: onnx.NodeProto) -> None:
        given = _attributes(node)
        halves = given.get("kernel_shape") == given.get("strides") == [2, 2]
        if not halves or any(given.get("pads", [])) or given.get("dilations", [1, 1]) != [1, 1]:
            raise _NotVgg16(f"a pooling after {self._so_far()} does not halve the map")
        self._kinds += "P"

    def _transposed(self, node: onnx.NodeProto) -> None:
        order = _attributes(node).get("perm")
        starts_last = not self._kinds and order == _FIRST  # an input with channels last
        if not starts_last and order != (_FIRST if self._channels_last else _LAST):
            raise _NotVgg16(f"it transposes after {self._so_far()}")
        self._channels_last = order == _LAST
        self.takes_channels_last |= starts_last

    def _bias(self, inputs: Sequence[str]) -> Float32:
        """The third input; empty where a following Add adds the bias."""
        return self._constant(inputs[2]) if len(inputs) > 2 and inputs[2] else np.zeros(0, np.float32)

    def _constant(self, name: str) -> Float32:
        tensor = self._constants.get(name)
        if tensor is None:
            raise _NotVgg16(f"the weights after {self._so_far()} are computed, not stored")
        if tensor.data_location == TensorProto.EXTERNAL:
            raise _NotVgg16(f"{shown(name)} lies in another file; export the graph as one file")
        if tensor.data_type not in _FLOATS:
            raise _NotVgg16(f"{shown(name)} is not stored as floating-point numbers")
        values: npt.NDArray[np.floating] = numpy_helper.to_array(tensor)
        return values.astype(np.float32, copy=False)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
