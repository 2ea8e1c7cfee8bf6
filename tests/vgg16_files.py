"""VGG16 with seeded weights, of any width, in the files in which people have it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.fuzz.weights_file import legacy_file, zip_file
from tests.plain_vgg16 import BLOCKS

NARROW = (4, 6, 8, 10, 12)  # channels per block
FULL = (64, 128, 256, 512, 512)
State = dict[str, np.ndarray]


def he_weights(channels: tuple[int, ...] = NARROW, *, dense: int = 24, classes: int = 1000, seed: int = 16) -> State:
    """Weights by torchvision's names, normal with deviation sqrt(2 / inputs) (He et al., arXiv 1502.01852); small biases."""
    random = np.random.default_rng(seed)
    state: State = {}

    def add(name: str, *shape: int) -> None:
        weights = random.standard_normal(shape, np.float32)
        weights *= np.float32(np.sqrt(2 / np.prod(shape[1:])))
        state[f"{name}.weight"] = weights
        state[f"{name}.bias"] = random.normal(scale=0.1, size=shape[0]).astype(np.float32)

    inputs = 3
    for block, outputs in zip(BLOCKS, channels, strict=True):
        for index in block:
            add(f"features.{index}", outputs, inputs, 3, 3)
            inputs = outputs
    inputs *= 49
    for index, outputs in ((0, dense), (3, dense), (6, classes)):
        add(f"classifier.{index}", outputs, inputs)
        inputs = outputs
    return state


def pth_legacy(state: State, path: Path) -> None:
    """The legacy format of PyTorch, as of torchvision's published file."""
    path.write_bytes(legacy_file(state))


def pth_zip(state: State, path: Path) -> None:
    """The zip format of PyTorch since 1.6."""
    path.write_bytes(zip_file(state))


def onnx_of_torch(state: State, path: Path) -> None:
    """As torch.onnx exports torchvision's model: Flatten, Gemm with transposed weights, logits as the output."""
    graph = _Graph(state)
    graph.blocks("input")
    graph.add("AveragePool", kernel_shape=[1, 1], strides=[1, 1])
    graph.add("Flatten", axis=1)
    for index in (0, 3, 6):
        graph.add("Gemm", f"classifier.{index}.weight", f"classifier.{index}.bias", transB=1)
        if index != 6:
            graph.add("Relu")
    graph.save(path, ["N", 3, 224, 224])


def onnx_of_zoo(state: State, path: Path) -> None:
    """As the ONNX zoo's file, from MXNet: dropout, and a Flatten before every dense layer."""
    graph = _Graph(state)
    graph.blocks("data")
    for index in (0, 3, 6):
        graph.add("Flatten")
        graph.add("Gemm", f"classifier.{index}.weight", f"classifier.{index}.bias", transB=1)
        if index != 6:
            graph.add("Relu")
            graph.add("Dropout")
    graph.save(path, [1, 3, 224, 224])


def onnx_of_keras(state: State, path: Path) -> None:
    """As tf2onnx writes Keras's model: channels last outside, MatMul and Add, a reshape of channels last, softmax."""
    state = dict(state)
    first = state["classifier.0.weight"]
    state["classifier.0.weight"] = first.reshape(len(first), -1, 7, 7).transpose(0, 2, 3, 1).reshape(len(first), -1)
    for index in (0, 3, 6):
        state[f"classifier.{index}.weight"] = state[f"classifier.{index}.weight"].T
    graph = _Graph({**state, "shape": np.array([-1, state["classifier.0.weight"].shape[0]], np.int64)})
    graph.tensor = "input_1"
    graph.add("Transpose", perm=[0, 3, 1, 2])
    graph.blocks(graph.tensor)
    graph.add("Transpose", perm=[0, 2, 3, 1])
    graph.add("Reshape", "shape")
    for index in (0, 3, 6):
        graph.add("MatMul", f"classifier.{index}.weight")
        graph.add("Add", f"classifier.{index}.bias")
        graph.add("Softmax" if index == 6 else "Relu")
    graph.save(path, ["N", 224, 224, 3], input_name="input_1")


FORMATS: dict[str, Callable[[State, Path], None]] = {
    "vgg16-legacy.pth": pth_legacy,
    "vgg16.pth": pth_zip,
    "torch.onnx": onnx_of_torch,
    "zoo.onnx": onnx_of_zoo,
    "keras.onnx": onnx_of_keras,
}


class _Graph:
    """A chain of nodes over the weights `state`."""

    def __init__(self, state: Mapping[str, np.ndarray]) -> None:
        self._state, self.tensor = state, ""
        self._nodes: list[onnx.NodeProto] = []

    def blocks(self, start: str) -> None:
        """The five blocks, over the tensor `start`."""
        self._input = self.tensor = start
        for block in BLOCKS:
            for index in block:
                self.add("Conv", f"features.{index}.weight", f"features.{index}.bias", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
                self.add("Relu")
            self.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])

    def add(self, op: str, *constants: str, **attributes: object) -> None:
        """A node that takes the last one's output and `constants`."""
        output = f"x{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, [self.tensor, *constants], [output], **attributes))
        self.tensor = output

    def save(self, path: Path, shape: list[int | str], *, input_name: str = "") -> None:
        """Writes the graph, with the last node's output as its own."""
        taken = helper.make_tensor_value_info(input_name or self._input, TensorProto.FLOAT, shape)
        given = helper.make_tensor_value_info(self.tensor, TensorProto.FLOAT, None)
        constants = [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in self._state.items()]
        graph = helper.make_graph(self._nodes, "vgg16", [taken], [given], constants)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
