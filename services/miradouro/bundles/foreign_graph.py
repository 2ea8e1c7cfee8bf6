"""Reads an ONNX file that somebody else made, and refuses what can't be run safely or described.

Nothing in the file is executed here. Its tensors are renamed with a prefix, so that nodes can be added under any name.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import inliner, numpy_helper, shape_inference, version_converter

from miradouro.bundles.free_batch import free_batch, without_weights
from miradouro.bundles.graph import IR_VERSION, OPSET
from miradouro.core.error_text import shown
from miradouro.core.errors import BadBundle

PREFIX = "net/"
_CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})
_ONNX = frozenset({"", "ai.onnx"})
_FLOATS = frozenset({onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16})


def read_graph(path: Path) -> onnx.ModelProto:
    """The model, with a version of ONNX that poolings can be added to, and without initializers among its inputs.

    Raises BadBundle, naming the file, for what is no ONNX model, and for control flow, external data, an unknown operator, more
    than one input, or weights that are not numbers.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except (OSError, DecodeError, ValueError) as exc:
        raise BadBundle(f"{path}: no ONNX file: {exc}; export the network as ONNX with its weights inside") from exc
    if not model.graph.node:
        raise BadBundle(f"{path}: holds no ONNX graph; export the network as ONNX with its weights inside")
    if model.functions:
        model = inliner.inline_local_functions(model)
    _refuse(model, path)
    _drop_constant_inputs(model)
    if len(model.graph.input) != 1:
        names = ", ".join(shown(each.name) for each in list(model.graph.input)[:4]) or "none"
        raise BadBundle(f"{path}: the graph has {len(model.graph.input)} inputs ({names}); only one picture can be given to it")
    return _updated(model, path)


def with_shapes(model: onnx.ModelProto, sizes: tuple[int, int, int]) -> tuple[onnx.ModelProto, Mapping[str, tuple[int, ...]]]:
    """The model for pictures [N, *sizes], and the shapes without N of the float tensors that have one.

    Raises ValueError when the graph does not take pictures of these sizes.
    """
    taken = model.graph.input[0].type.tensor_type
    if taken.elem_type != onnx.TensorProto.FLOAT:
        kind = onnx.TensorProto.DataType.Name(taken.elem_type)
        raise ValueError(f"the input takes {kind}, and only FLOAT can be given to it; export the network with a float input")
    given = [size.dim_value for size in taken.shape.dim]
    if len(given) != 4:
        raise ValueError(f"the input has {len(given)} dimensions; a picture has 4: [N, channels, height, width]")
    if any(size and size != asked for size, asked in zip(given[1:], sizes, strict=True)):
        takes, gets = (" x ".join(str(size or "any") for size in each) for each in (given[1:], sizes))
        raise ValueError(f"the graph takes {takes}, and the manifest gives it {gets}; correct layout, channels or geometry")
    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    free_batch(sized)
    dims = sized.graph.input[0].type.tensor_type.shape.dim
    dims[0].Clear()
    dims[0].dim_param = "N"
    for dim, size in zip(list(dims)[1:], sizes, strict=True):
        dim.Clear()
        dim.dim_value = size
    del sized.graph.value_info[:]
    for output in sized.graph.output:
        output.type.tensor_type.ClearField("shape")  # it may contradict the new sizes
    try:
        two, three = (_shapes_of(sized, pictures) for pictures in (2, 3))
    except shape_inference.InferenceError as exc:
        raise ValueError(f"pictures of {' x '.join(map(str, sizes))} do not fit the graph: {exc}") from exc
    return sized, {
        name: shape[1:]
        for name, shape in two.items()
        if len(shape) >= 2 and all(shape) and shape[0] == 2 and three.get(name) == (3, *shape[1:])
    }


def _shapes_of(model: onnx.ModelProto, pictures: int) -> Mapping[str, tuple[int, ...]]:
    """The shapes of all float tensors for so many pictures; 0 where a size is not known.

    With a number in place of N, sizes that the graph computes from the picture's shape are known, too.
    """
    sketch = without_weights(model)
    sketch.graph.input[0].type.tensor_type.shape.dim[0].dim_value = pictures
    inferred = shape_inference.infer_shapes(sketch, data_prop=True, strict_mode=True)
    return {
        info.name: tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim)
        for info in (*inferred.graph.value_info, *inferred.graph.output)
        if info.type.tensor_type.elem_type == onnx.TensorProto.FLOAT and info.type.tensor_type.HasField("shape")
    }


def _refuse(model: onnx.ModelProto, path: Path) -> None:
    opset = next((each.version for each in model.opset_import if each.domain in _ONNX), 0)
    for node in model.graph.node:
        if node.op_type in _CONTROL_FLOW or any(each.HasField("g") or each.graphs for each in node.attribute):
            raise BadBundle(f"{path}: the graph has control flow ({node.op_type}); export the network without loops and branches")
        if node.domain not in _ONNX or not onnx.defs.has(node.op_type, max_inclusive_version=opset or OPSET):
            operator = ".".join(filter(None, (node.domain, node.op_type)))
            raise BadBundle(f"{path}: {shown(operator)} is no operator of ONNX; export the network with standard operators alone")
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise BadBundle(f"{path}: the weights {shown(tensor.name)} lie in another file; save the model in one file")
        if tensor.data_type in _FLOATS and np.isnan(numpy_helper.to_array(tensor)).any():
            raise BadBundle(f"{path}: the weights {shown(tensor.name)} contain NaN; the file is damaged, take another")


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
    for sparse in model.graph.sparse_initializer:
        yield sparse.values


def _drop_constant_inputs(model: onnx.ModelProto) -> None:
    """Old files list their weights among the inputs."""
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [taken for taken in model.graph.input if taken.name not in stored]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, IR_VERSION)


def _updated(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    opset = next((each.version for each in model.opset_import if each.domain in _ONNX), 0)
    if opset < OPSET:
        try:
            model = version_converter.convert_version(model, OPSET)
        except (RuntimeError, ValueError) as exc:  # of the converter, which is C++
            raise BadBundle(f"{path}: opset {opset} can't be brought to {OPSET}: {exc}; export the network anew") from exc
    return model


def prefixed(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with PREFIX before the names of all its tensors and nodes."""
    renamed = onnx.ModelProto()
    renamed.CopyFrom(model)
    graph = renamed.graph
    for number, node in enumerate(graph.node):
        node.name = f"{PREFIX}{node.name or number}"
        for names in (node.input, node.output):
            for position, name in enumerate(names):
                if name:  # an empty name is an input that is left out
                    names[position] = PREFIX + name
    for tensor in graph.initializer:
        tensor.name = PREFIX + tensor.name
    for info in (*graph.input, *graph.output, *graph.value_info):
        info.name = PREFIX + info.name
    return renamed
