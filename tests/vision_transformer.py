"""A vision transformer as PyTorch exports one: patches of 14 pixels, a class token, positions resized to the picture, one block.

Heights, widths and the batch are computed in the graph from the shape of the picture, as in the published files of DINOv2.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEADS, PATCH, GRID = 384, 6, 14, 5  # GRID: positions along a side that the network was trained with


def write_transformer(path: Path, *, seed: int = 6) -> Path:
    """Writes `pixel_values` [batch, 3, height, width] to `last_hidden_state` [batch, 1 + patches, 384]."""
    random = np.random.default_rng(seed)
    constants: dict[str, np.ndarray] = {
        "patch.weights": random.normal(0, 0.05, (WIDTH, 3, PATCH, PATCH)),
        "class": random.normal(0, 1, (1, 1, WIDTH)),
        "class.position": random.normal(0, 1, (1, 1, WIDTH)),
        "positions": random.normal(0, 1, (1, WIDTH, GRID, GRID)),
        "norm.scale": np.ones(WIDTH),
        "norm.bias": np.zeros(WIDTH),
        **{f"{name}.weights": random.normal(0, WIDTH**-0.5, (WIDTH, WIDTH)) for name in ("query", "key", "value", "out")},
        "root": np.array((WIDTH // HEADS) ** -0.5),
    }
    whole = {"zero": 0, "one": 1, "two": 2, "three": 3, "patch": PATCH}
    lists = {
        "width": [WIDTH],
        "rest": [-1],
        "heads": [HEADS, WIDTH // HEADS],
        "first": [1],
        "axis0": [0],
        "one_width": [1, WIDTH],
    }
    nodes = [
        helper.make_node("Shape", ["pixel_values"], ["size"]),
        *(
            helper.make_node("Gather", ["size", place], [side])
            for side, place in (("batch", "zero"), ("high", "two"), ("wide", "three"))
        ),
        *(helper.make_node("Unsqueeze", [each, "axis0"], [f"{each}.list"]) for each in ("batch", "high", "wide")),
        helper.make_node("Conv", ["pixel_values", "patch.weights"], ["maps"], kernel_shape=[PATCH] * 2, strides=[PATCH] * 2),
        helper.make_node("Concat", ["batch.list", "width", "rest"], ["flat.size"], axis=0),
        helper.make_node("Reshape", ["maps", "flat.size"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["patches"], perm=[0, 2, 1]),
        helper.make_node("Concat", ["batch.list", "first", "first"], ["class.size"], axis=0),
        helper.make_node("Expand", ["class", "class.size"], ["classes"]),
        helper.make_node("Concat", ["classes", "patches"], ["tokens"], axis=1),
        *(helper.make_node("Div", [side, "patch"], [f"{side}.patches"]) for side in ("high", "wide")),
        *(helper.make_node("Unsqueeze", [f"{side}.patches", "axis0"], [f"{side}.cells"]) for side in ("high", "wide")),
        helper.make_node("Concat", ["one_width", "high.cells", "wide.cells"], ["grid.size"], axis=0),
        helper.make_node(
            "Resize", ["positions", "", "", "grid.size"], ["resized"], mode="cubic", coordinate_transformation_mode="half_pixel"
        ),
        helper.make_node("Concat", ["first", "width", "rest"], ["rows.size"], axis=0),
        helper.make_node("Reshape", ["resized", "rows.size"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["patch.positions"], perm=[0, 2, 1]),
        helper.make_node("Concat", ["class.position", "patch.positions"], ["all.positions"], axis=1),
        helper.make_node("Add", ["tokens", "all.positions"], ["placed"]),
        helper.make_node("Shape", ["placed"], ["placed.size"]),
        helper.make_node("Gather", ["placed.size", "one"], ["count"]),
        helper.make_node("Unsqueeze", ["count", "axis0"], ["count.list"]),
        helper.make_node("Concat", ["batch.list", "count.list", "heads"], ["heads.size"], axis=0),
        helper.make_node("Concat", ["batch.list", "count.list", "width"], ["joined.size"], axis=0),
    ]
    for name in ("query", "key", "value"):
        nodes += [
            helper.make_node("MatMul", ["placed", f"{name}.weights"], [name]),
            helper.make_node("Reshape", [name, "heads.size"], [f"{name}.heads"]),
            helper.make_node(
                "Transpose", [f"{name}.heads"], [f"{name}.split"], perm=[0, 2, 3, 1] if name == "key" else [0, 2, 1, 3]
            ),
        ]
    nodes += [
        helper.make_node("MatMul", ["query.split", "key.split"], ["scores"]),
        helper.make_node("Mul", ["scores", "root"], ["scaled"]),
        helper.make_node("Softmax", ["scaled"], ["attention"], axis=-1),
        helper.make_node("MatMul", ["attention", "value.split"], ["mixed"]),
        helper.make_node("Transpose", ["mixed"], ["mixed.rows"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["mixed.rows", "joined.size"], ["joined"]),
        helper.make_node("MatMul", ["joined", "out.weights"], ["out"]),
        helper.make_node("Add", ["out", "placed"], ["sum"]),
        helper.make_node("LayerNormalization", ["sum", "norm.scale", "norm.bias"], ["last_hidden_state"], axis=-1),
    ]
    stored = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()]
    stored += [numpy_helper.from_array(np.asarray(value, np.int64), name) for name, value in (whole | lists).items()]
    graph = helper.make_graph(
        nodes,
        "transformer",
        [
            helper.make_tensor_value_info(
                "pixel_values", TensorProto.FLOAT, ["batch", "channels", "height", "width_of_the_picture"]
            )
        ],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "count", WIDTH])],
        stored,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
