"""Cuts a graph down to the nodes that some of its outputs need.

onnxruntime computes every output of a session, requested or not, so that a shallow layer would cost as much as the deepest one.
A session of the cut graph costs only what the layer costs, and small cuts have few weights.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import onnx

HEAVY = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"})
WORTHWHILE = 0.9  # a cut with more than this share of the next larger one's heavy operators is not worth a session


@dataclass(frozen=True)
class Cut:
    """A graph with some of the outputs of the whole graph."""

    outputs: frozenset[str]
    model: onnx.ModelProto


def cuts(model: onnx.ModelProto) -> list[Cut]:
    """Worthwhile cuts of `model`, those with the fewest heavy operators first; the whole graph is not among them."""
    nodes = model.graph.node
    needs = {output.name: _needed(model.graph, [output.name]) for output in model.graph.output}
    heavy_nodes = {index for index, node in enumerate(nodes) if node.op_type in HEAVY}
    heavy = {name: frozenset(needed & heavy_nodes) for name, needed in needs.items()}
    found: list[Cut] = []
    larger = len(heavy_nodes)
    for kept in sorted(set(heavy.values()), key=len, reverse=True):
        if len(kept) <= WORTHWHILE * larger:
            larger = len(kept)
            outputs = [name for name in heavy if heavy[name] <= kept]
            found.append(Cut(frozenset(outputs), needed_part(model, outputs)))
    return found[::-1]


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
