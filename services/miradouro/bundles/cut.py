"""Cuts a graph down to the nodes that some of its outputs need.

onnxruntime computes every output of a session, requested or not, so that a shallow layer would cost as much as the deepest one.
A session of the cut graph costs only what the layer costs, and small cuts have few weights.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import onnx
import onnx.shape_inference

HEAVY = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"})
WORTHWHILE = 0.93  # a cut that takes more than this share of the next larger one's time is not worth a session
_READ = 20  # multiplications in the time in which a CPU reads one weight from memory
_LARGE_BYTES = 1 << 16  # of a tensor whose numbers no shape depends on


@dataclass(frozen=True)
class Cut:
    """A graph with some of the outputs of the whole graph."""

    outputs: frozenset[str]
    model: onnx.ModelProto


def cuts(model: onnx.ModelProto) -> list[Cut]:
    """Worthwhile cuts of `model`, the cheapest first; the whole graph is not among them."""
    nodes = model.graph.node
    cost = _costs(model)
    needs = {output.name: _needed(model.graph, [output.name]) for output in model.graph.output}
    heavy_nodes = {index for index, node in enumerate(nodes) if node.op_type in HEAVY}
    heavy = {name: frozenset(needed & heavy_nodes) for name, needed in needs.items()}
    found: list[Cut] = []
    larger = sum(cost[index] for index in heavy_nodes)
    for kept in sorted(set(heavy.values()), key=len, reverse=True):
        if (own := sum(cost[index] for index in kept)) <= WORTHWHILE * larger:
            larger = own
            outputs = [name for name in heavy if heavy[name] <= kept]
            found.append(Cut(frozenset(outputs), needed_part(model, outputs)))
    return found[::-1]


def _costs(model: onnx.ModelProto) -> dict[int, float]:
    """About the time of each heavy node for one photo, in multiplications.

    A convolution applies its weights at every position of the map. A dense layer applies each once, and takes as long as it takes
    to read them: the 103 million weights of VGG16's first one cost as much as a convolution of a block.
    """
    weights = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]]
    sizes = _sizes(model)
    costs = {}
    for index, node in enumerate(model.graph.node):
        if node.op_type in HEAVY:
            size = sizes.get(node.output[0], [])
            positions = math.prod(size[2:] if "Conv" in node.op_type else size[1:-1])
            costs[index] = float(max((weights.get(name, 1) for name in node.input), default=1) * max(positions, _READ))
    return costs


def _sizes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """The sizes of the tensors that nodes compute, 1 where a size is not fixed."""
    outline = onnx.ModelProto()
    outline.ir_version = model.ir_version
    outline.opset_import.extend(model.opset_import)
    outline.functions.extend(model.functions)
    graph = outline.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:  # of large weights the shape is enough
        if tensor.ByteSize() > _LARGE_BYTES:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        else:
            graph.initializer.append(tensor)
    known = onnx.shape_inference.infer_shapes(outline).graph
    return {
        each.name: [max(size.dim_value, 1) for size in each.type.tensor_type.shape.dim]
        for each in (*known.value_info, *known.output)
    }


def _needed(graph: onnx.GraphProto, outputs: Iterable[str]) -> set[int]:
    """Positions of the nodes that the outputs are computed from."""
    producer = {name: index for index, node in enumerate(graph.node) for name in node.output}
    needed: set[int] = set()
    open_names = list(outputs)
    while open_names:
        index = producer.get(open_names.pop())
        if index is not None and index not in needed:
            needed.add(index)
            open_names.extend(_inputs(graph.node[index]))
    return needed


def _inputs(node: onnx.NodeProto) -> Iterator[str]:
    """Names that a node reads, including those that its inner graphs read from outside."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from _inputs(inner)


def needed_part(model: onnx.ModelProto, outputs: Sequence[str]) -> onnx.ModelProto:
    """The part of a model that its outputs called `outputs` are computed from, with these outputs alone."""
    graph = model.graph
    nodes = [graph.node[index] for index in sorted(_needed(graph, outputs))]
    read = {name for node in nodes for name in _inputs(node)}
    cut = onnx.ModelProto()
    cut.ir_version = model.ir_version
    cut.opset_import.extend(model.opset_import)
    cut.functions.extend(model.functions)
    cut.graph.name = graph.name
    cut.graph.node.extend(nodes)
    cut.graph.input.extend(taken for taken in graph.input if taken.name in read)
    cut.graph.initializer.extend(tensor for tensor in graph.initializer if tensor.name in read)
    cut.graph.output.extend(output for output in graph.output if output.name in outputs)
    return cut
