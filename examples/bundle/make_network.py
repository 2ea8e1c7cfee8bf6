"""Writes miradouro_edges/edges.onnx: two kernels that a person chose, and the mean of what they see in 4 x 4 cells."""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

SIZE, CELLS = 64, 4
FILE = Path(__file__).parent / "miradouro_edges" / "edges.onnx"


def main() -> None:
    """Writes the file; the same bytes each time."""
    vertical = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], np.float32) / 8  # Sobel
    kernels = np.stack([vertical, vertical.T])[:, np.newaxis]
    cell = SIZE // CELLS
    nodes = [
        helper.make_node("Conv", ["grey", "kernels"], ["slopes"], pads=[1, 1, 1, 1]),
        helper.make_node("Abs", ["slopes"], ["edges"]),
        helper.make_node("AveragePool", ["edges"], ["cells"], kernel_shape=[cell, cell], strides=[cell, cell]),
    ]
    graph = helper.make_graph(
        nodes,
        "edges",
        [helper.make_tensor_value_info("grey", TensorProto.FLOAT, ["N", 1, SIZE, SIZE])],
        [helper.make_tensor_value_info("cells", TensorProto.FLOAT, ["N", 2, CELLS, CELLS])],
        [numpy_helper.from_array(kernels, "kernels")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    FILE.write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
