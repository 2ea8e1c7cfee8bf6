"""Networks of their true topology, from the graphs that the package `onnx` carries for its own tests.

Their weights are constants there, with which every picture ends in the same vector. Here they are seeded, of the variance of He
et al. (arXiv 1502.01852), and batch normalisation is the identity. Tensors have the names of the published files.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
_DRAWN = 262_147  # numbers; larger weights repeat them. A prime: the rows of a matrix differ
_LAST = 0.01  # times the deviation of He, for the last layer: softmax stays between 0 and 1
_FIRST_LAYERS, _LAST_LAYERS = ("conv1_1_w", "conv1_w", "gpu_0/conv1_w"), ("fc8", "gpu_0/pred")
_IDENTITY = {"_bn_s_0": 1.0, "_bn_b_0": 0.0, "_bn_rm_0": 0.0, "_bn_riv_0": 1.0}


def write_light(name: str, path: Path, names: dict[str, str], *, narrower: int = 1, seed: int = 5) -> Path:
    """Writes the graph `light_<name>`, its tensors renamed by `names`.

    It has 1 / `narrower` of the channels, except those of the input and the classes.
    """
    model = onnx.load(LIGHT / f"light_{name}.onnx")
    graph = model.graph
    random = np.random.default_rng(seed)
    drawn = random.standard_normal(_DRAWN).astype(np.float32)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    filled = {node.output[0]: tuple(stored[node.input[0]]) for node in graph.node if node.op_type == "ConstantOfShape"}
    kept = [node for node in graph.node if node.op_type != "ConstantOfShape"]
    shapes = {tensor: array.shape for tensor, array in stored.items() if not tensor.endswith("__SHAPE")} | filled
    read = {taken for node in kept for taken in node.input}
    weights = {
        tensor: _weights(tensor, _narrowed(tensor, shape, narrower), drawn, int(random.integers(_DRAWN)))
        for tensor, shape in shapes.items()
        if tensor in read and stored.get(tensor, np.zeros(0, np.float32)).dtype == np.float32
    }
    others = {tensor: array for tensor, array in stored.items() if tensor in read and tensor not in weights}
    for tensor, array in others.items():  # the target of a Reshape: [1, channels * height * width]
        others[tensor] = np.array([array[0], array[1] // narrower], np.int64)
    for node in kept:
        node.input[:] = [names.get(each, each) for each in node.input]
        node.output[:] = [names.get(each, each) for each in node.output]
    inputs = [each for each in graph.input if each.name not in {**weights, **others, **stored}]
    for each in (*inputs, *graph.output):
        each.name = names.get(each.name, each.name)
    constants = [numpy_helper.from_array(array, tensor) for tensor, array in (weights | others).items()]
    body = helper.make_graph(kept, name, inputs, list(graph.output), constants)
    onnx.save(helper.make_model(body, opset_imports=model.opset_import, ir_version=model.ir_version), path)
    return path


def _narrowed(tensor: str, shape: tuple[int, ...], narrower: int) -> tuple[int, ...]:
    is_first, is_last = tensor.startswith(_FIRST_LAYERS), tensor.startswith(_LAST_LAYERS)
    sizes = [size if is_last else size // narrower for size in shape[:1]]
    sizes += [size if is_first else size // narrower for size in shape[1:2]]
    return (*sizes, *shape[2:])


def _weights(tensor: str, shape: tuple[int, ...], drawn: np.ndarray, offset: int) -> np.ndarray:
    for ending, value in _IDENTITY.items():
        if tensor.endswith(ending):
            return np.full(shape, value, np.float32)
    if len(shape) < 2:
        return np.zeros(shape, np.float32)
    deviation = np.sqrt(2 / np.prod(shape[1:])) * (_LAST if tensor.startswith(_LAST_LAYERS) else 1)
    return np.resize(np.roll(drawn, offset), shape) * np.float32(deviation)
