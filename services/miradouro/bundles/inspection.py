"""Lists the tensors of an ONNX file that a bundle could tap, and drafts a manifest to edit."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
from jinja2 import Environment, PackageLoader, StrictUndefined

from miradouro.bundles.foreign_graph import read_graph, with_shapes
from miradouro.bundles.pooling import dimension_of
from miradouro.bundles.sources import FileSource, UrlSource
from miradouro.core.errors import BadBundle
from miradouro.core.spaces import MAX_DIMENSION

DEFAULT_SIZE = 224
_CHANNELS = frozenset({1, 3})
_ENDS_A_LAYER = frozenset({"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Gemm", "MatMul", "Softmax"})
_SUMS = frozenset({"Add", "Sum"})
_AFTER_DENSE = frozenset({"Gemm", "MatMul", "Add"})
_ACTIVATIONS = frozenset({"Relu", "Clip", "Sigmoid", "Tanh", "Gelu", "LeakyRelu"})


@dataclass(frozen=True)
class Candidate:
    """A float tensor [N, *shape], a map with its channels first; `op` computes it.

    `poolings` are those that fit, the best first, and `dimension` is that of the first. `is_layer`: a layer ends there.
    """

    tensor: str
    op: str
    shape: tuple[int, ...]
    poolings: tuple[str, ...]
    is_layer: bool

    @property
    def dimension(self) -> int:
        """Numbers of one vector with the first pooling."""
        return dimension_of("" if self.poolings[0] == "none" else self.poolings[0], self.shape)

    @property
    def layer(self) -> str:
        """A name of a layer made of the tensor's name."""
        return re.sub(r"[^A-Za-z0-9_.-]+", "_", self.tensor).strip("_.-") or "layer"


@dataclass(frozen=True)
class Inspection:
    """A graph: its only input, the layout and channels that its shape suggests, and its candidates in their order."""

    input: str
    layout: str
    channels: str
    height: int
    width: int
    candidates: tuple[Candidate, ...]
    last: str


def inspect_graph(path: Path, *, size: int | None = None) -> Inspection:
    """The candidates of an ONNX file; `size` is the side of the picture where the graph leaves it open.

    Raises BadBundle for a file that recipe onnx refuses, or that does not take pictures.
    """
    model = read_graph(path)
    given = [each.dim_value for each in model.graph.input[0].type.tensor_type.shape.dim]
    if len(given) != 4 or not _CHANNELS & {given[1], given[3]}:
        shape = " x ".join(str(each or "any") for each in given) or "of any rank"
        raise BadBundle(
            f"{path}: the input is {shape}; recipe onnx needs [N, channels, height, width] or [N, height, width, channels] with "
            "1 or 3 channels: export the network with such an input"
        )
    is_nchw = given[1] in _CHANNELS
    channels, height, width = (given[1], given[2], given[3]) if is_nchw else (given[3], given[1], given[2])
    height, width = height or size or DEFAULT_SIZE, width or size or DEFAULT_SIZE
    sizes = (channels, height, width) if is_nchw else (height, width, channels)
    try:
        model, shapes = with_shapes(model, sizes)
    except ValueError as exc:
        raise BadBundle(f"{path}: {exc}") from exc
    seen = _of_the_picture(model)
    shapes = {name: shape for name, shape in shapes.items() if name in seen}
    candidates = tuple(_candidates(model, shapes, is_nchw=is_nchw))
    if not candidates:
        raise BadBundle(f"{path}: no tensor of the graph has a fixed shape; export it with fixed sizes, or give another --size")
    layout, order = "NCHW" if is_nchw else "NHWC", "RGB" if channels == 3 else "L"
    outputs = [output.name for output in model.graph.output if output.name in shapes]
    last = outputs[0] if outputs else candidates[-1].tensor
    return Inspection(model.graph.input[0].name, layout, order, height, width, candidates, last)


def _of_the_picture(model: onnx.ModelProto) -> set[str]:
    """The tensors that are computed from the picture; the others are constants."""
    found = {model.graph.input[0].name}
    for node in model.graph.node:
        if found.intersection(node.input):
            found.update(node.output)
    return found


def _candidates(model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]], *, is_nchw: bool) -> Iterator[Candidate]:
    outputs = {output.name for output in model.graph.output}
    producers = {name: node.op_type for node in model.graph.node for name in node.output}
    stages = set(_ends_of_stages(model, shapes, is_nchw=is_nchw))
    for node in model.graph.node:
        for name in node.output:
            if name not in shapes:
                continue
            shape = shapes[name]
            mapped = (shape[2], *shape[:2]) if len(shape) == 3 and not is_nchw else shape
            fitting = tuple(_fitting(mapped))
            if fitting:
                after_dense = node.op_type in _ACTIVATIONS and producers.get(node.input[0]) in _AFTER_DENSE and len(shape) == 1
                yield Candidate(
                    name, node.op_type, mapped, fitting, name in outputs | stages or node.op_type in _ENDS_A_LAYER or after_dense
                )


def _ends_of_stages(model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]], *, is_nchw: bool) -> Iterator[str]:
    """The last sum of each size of map: the ends of the stages of a residual network."""
    last: dict[tuple[int, ...], str] = {}
    producers = {name: node.op_type for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        for name in node.output:
            shape = shapes.get(name, ())
            cells = shape[1:] if is_nchw else shape[:2]
            is_sum = node.op_type in _SUMS or (node.op_type in _ACTIVATIONS and producers.get(node.input[0]) in _SUMS)
            if is_sum and len(shape) == 3 and math.prod(cells) > 1:
                last[cells] = name
    yield from last.values()


def _fitting(shape: tuple[int, ...]) -> Iterator[str]:
    for pooling in ("", "avg", "max", "gem", "spoc", "rmac", "regions", "token", "patches", "flat"):
        if pooling == "flat" and len(shape) == 1:
            continue
        try:
            if dimension_of(pooling, shape) <= MAX_DIMENSION:
                yield pooling or "none"
        except ValueError:
            continue


def named_after(file_or_url: str) -> str:
    """A bundle's name made of a file's name."""
    stem = file_or_url.rpartition("/")[2].partition("?")[0].removesuffix(".onnx").lower()
    return re.sub(r"[^a-z0-9._-]+", "-", stem).strip("-._")[:64] or "network"


def draft_manifest(found: Inspection, source: FileSource | UrlSource, *, name: str) -> str:
    """A manifest to edit: the end of every layer is a tap, and the last tensor the label distribution where it is a vector."""
    last = next((each for each in found.candidates if each.tensor == found.last), None)
    environment = Environment(
        loader=PackageLoader("miradouro.bundles", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 # TOML; every text goes through the filter
    )
    environment.filters["toml"] = _text
    return environment.get_template("draft.toml.j2").render(
        found=found,
        source=source,
        name=name,
        taps=[each for each in found.candidates if each.is_layer],
        classes=last.dimension if last and last.poolings[0] == "none" else 0,
        last_op=last.op if last else "",
    )


def _text(value: str) -> str:
    """A TOML string."""
    escaped = "".join(each if each.isprintable() and each not in '"\\' else f"\\U{ord(each):08X}" for each in value)
    return f'"{escaped}"'
