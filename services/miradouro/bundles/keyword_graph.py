"""The ONNX file of learned keywords: the layers as a graph, their description as metadata."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper
from pydantic import BaseModel, ConfigDict, ValidationError

from miradouro.bundles.graph import IR_VERSION, OPSET
from miradouro.core.document import Float32
from miradouro.core.errors import Corrupt
from miradouro.core.keywords import Keyword, KeywordHead

_FACTS, _PROVENANCE = "miradouro.keywords", "miradouro.provenance"
_INPUT, _OUTPUT = "vectors", "keywords"

# Weights float32 [inputs, outputs] and bias float32 [outputs] of each layer.
Layers = Sequence[tuple[Float32, Float32]]


class HeadFacts(BaseModel):
    """The description of learned keywords in their file; see `KeywordHead`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    collection: str
    space: str
    space_provenance: str
    hidden: int
    wanted_precision: float
    photos: int
    top1: float
    keywords: tuple[Keyword, ...]


def file_of(facts: HeadFacts, layers: Layers) -> bytes:
    """The bytes of the file."""
    model = graph_of(layers)
    text = facts.model_dump_json()
    helper.set_model_props(model, {_FACTS: text, _PROVENANCE: _provenance(model, text)})
    return bytes(model.SerializeToString(deterministic=True))


def head_of(data: bytes, *, name: str) -> KeywordHead:
    """The learned keywords in a file; `name` names it in errors. Raises Corrupt unless `file_of` returned these bytes."""
    again = "learn the keywords again with `miradouro keywords learn`, or remove them with `miradouro keywords remove`"
    try:
        model = onnx.load_model_from_string(data)
        properties = {one.key: one.value for one in model.metadata_props}
        facts = HeadFacts.model_validate_json(properties[_FACTS])
    except (DecodeError, KeyError, ValidationError) as exc:
        raise Corrupt(f"{name}: the file of learned keywords is damaged; {again}") from exc
    provenance = _provenance(model, properties[_FACTS])
    if provenance != properties.get(_PROVENANCE):
        raise Corrupt(f"{name}: the learned keywords were changed: they do not match their provenance; {again}")
    session = _session(data)
    return KeywordHead(
        **{field: getattr(facts, field) for field in HeadFacts.model_fields},
        provenance=provenance,
        run=lambda vectors: session.run([_OUTPUT], {_INPUT: vectors})[0],
    )


def graph_of(layers: Layers) -> onnx.ModelProto:
    """The layers as a graph: `vectors` float32 [N, dimension] → ReLU between layers → softmax `keywords` float32 [N, K]."""
    nodes, constants = [], []
    value = _INPUT
    for i, (weights, bias) in enumerate(layers):
        names = (f"layer{i}.weights", f"layer{i}.bias")
        constants += [
            numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name)
            for array, name in zip((weights, bias), names, strict=True)
        ]
        is_last = i == len(layers) - 1
        nodes.append(helper.make_node("Gemm", [value, *names], [f"layer{i}"]))
        value = f"layer{i}"
        if not is_last:
            nodes.append(helper.make_node("Relu", [value], [f"layer{i}.relu"]))
            value = f"layer{i}.relu"
    nodes.append(helper.make_node("Softmax", [value], [_OUTPUT], axis=1))
    graph = helper.make_graph(
        nodes,
        _OUTPUT,
        [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, ["N", layers[0][0].shape[0]])],
        [helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, ["N", layers[-1][0].shape[1]])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def _provenance(model: onnx.ModelProto, facts: str) -> str:
    graph = hashlib.sha256(model.graph.SerializeToString(deterministic=True)).hexdigest()
    return hashlib.sha256(f"{graph}\n{facts}".encode()).hexdigest()


def _session(data: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # it runs in threads that decode and embed several photos
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
