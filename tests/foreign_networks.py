"""ONNX files as other people export them, of a few kilobytes, and manifests for them."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE, CHANNELS, CLASSES = 14, 6, 5
LABELS = ("cat", "dog", "elk", "teapot", "viaduct")
MANIFEST = """
name = "NAME"
recipe = "onnx"
summary = "A small network"
license = "CC0-1.0"
attribution = "made for tests"

[[sources]]
kind = "file"
file = "network.onnx"

[input]
scale = 0.00392156862745098
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]

[geometries.photo]
fit = "squash"
width = 14
height = 14
resample = "bilinear"

[tags]
tensor = "logits"
softmax = true
labels = ["cat", "dog", "elk", "teapot", "viaduct"]

[[taps]]
tensor = "map"
layer = "map"
pooling = "avg"
dimension = 6
default_pooling = true

[[taps]]
tensor = "logits"
layer = "logits"
dimension = 5

[[taps]]
tensor = "probabilities"
layer = "softmax"
dimension = 5
"""


def network(
    path: Path,
    *,
    layout: str = "NCHW",
    channels: int = 3,
    opset: int = 17,
    fixed_batch: bool = False,
    nodes: tuple[onnx.NodeProto, ...] = (),
    inputs: tuple[str, ...] = ("data",),
    weights: dict[str, np.ndarray] | None = None,
    seed: int = 3,
) -> Path:
    """Writes a graph: `data` [1, channels, 14, 14] → `map` [1, 6, 7, 7] → `logits` [1, 5], then `nodes`.

    With `fixed_batch` the map is reshaped to one row, as exporters do that were given one picture.
    """
    random = np.random.default_rng(seed)
    constants = {
        "kernels": random.normal(size=(CHANNELS, channels, 3, 3)),
        "dense": random.normal(size=(CHANNELS * 49, CLASSES)) / 7,
    } | (weights or {})
    start = [] if layout == "NCHW" else [helper.make_node("Transpose", ["data"], ["planes"], perm=[0, 3, 1, 2])]
    end = [] if layout == "NCHW" else [helper.make_node("Transpose", ["map"], ["cells"], perm=[0, 2, 3, 1])]
    body = [
        helper.make_node("Conv", ["planes" if start else "data", "kernels"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["map"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Reshape", ["map", "one_row"], ["f"]) if fixed_batch else helper.make_node("Flatten", ["map"], ["f"]),
        helper.make_node("MatMul", ["f", "dense"], ["logits"]),
    ]
    shape = [1, channels, SIZE, SIZE] if layout == "NCHW" else [1, SIZE, SIZE, channels]
    graph = helper.make_graph(
        [*start, *body, *end, *nodes],
        "network",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in inputs],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, CLASSES])],
        [
            *(numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()),
            numpy_helper.from_array(np.array([1, CHANNELS * 49]), "one_row"),
        ],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def bundle_folder(folder: Path, name: str = "small", *, manifest: str = MANIFEST) -> Path:
    """Writes a network and its manifest into `folder`; returns the manifest's path."""
    network(folder / "network.onnx")
    path = folder / "bundle.toml"
    path.write_text(manifest.replace("NAME", name), encoding="utf-8")
    return path


def named_as_in_a_vgg(path: Path) -> None:
    """Calls the layers of a network pool5 and fc7."""
    model = onnx.load(path)
    names = {"map": "pool5", "logits": "fc7"}
    for node in model.graph.node:
        for field in (node.input, node.output):
            field[:] = [names.get(name, name) for name in field]
    model.graph.output[0].name = "fc7"
    onnx.save(model, path)
