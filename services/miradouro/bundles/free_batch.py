"""Lets a graph that was exported for a batch of one take any number of pictures."""

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

_LARGE = 4_096  # numbers; fewer may be sizes, which inference reads
_COPIED = 0  # in the target of a Reshape: the size of the input at this place


def free_batch(model: onnx.ModelProto) -> None:
    """Lets the nodes that reshape one picture, to [1, ...], take any number of pictures, in place.

    Only tensors that depend on the picture and have 1 row are meant, so that one picture gives the same as before.
    """
    graph = model.graph
    one = without_weights(model)
    one.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    inferred = shape_inference.infer_shapes(one, data_prop=True)
    rows = {
        info.name: info.type.tensor_type.shape.dim[0].dim_value
        for info in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output)
        if info.type.tensor_type.shape.dim
    }
    targets = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.data_type == tensor.INT64}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            targets[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    pictures = {graph.input[0].name}
    for node in graph.node:
        if pictures.isdisjoint(node.input):
            continue
        pictures.update(node.output)
        if node.op_type != "Reshape" or any(each.name == "allowzero" and each.i for each in node.attribute):
            continue
        target = targets.get(node.input[1], np.zeros(0))
        if target.ndim == 1 and target.size > 1 and target[0] == 1 and rows.get(node.input[0]) == 1:
            name = f"{node.output[0]}/any_batch"
            graph.initializer.append(numpy_helper.from_array(np.array([_COPIED, *target[1:]], np.int64), name))
            node.input[1] = name


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with its large weights as inputs of the same shape: inference copies the model, and they may be 500 MB."""
    sketch = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = sketch.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:
        if np.prod(tensor.dims) > _LARGE:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
        else:
            graph.initializer.append(tensor)
    return sketch
