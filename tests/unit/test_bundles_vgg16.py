"""VGG16 of the true topology and narrow widths: its graph against a plain forward pass, and the files that it is read from."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from miradouro.bundles.build import serialized
from miradouro.bundles.catalogue import find
from miradouro.bundles.quantization import Range
from miradouro.bundles.taps import InputPart
from miradouro.bundles.vgg16 import whole_network
from miradouro.bundles.vgg16_weights import read_weights
from miradouro.core.errors import BadBundle

from tests.fuzz.weights_file import Named, zip_file
from tests.networks import session_of
from tests.plain_vgg16 import forward
from tests.scenes import scene
from tests.vgg16_files import FORMATS, State, he_weights, onnx_of_torch, pth_zip

PHOTOS = np.stack([scene(seed) for seed in range(2)])
STATE = he_weights()
TAKEN = find("vgg16").input or InputPart()


def normalised(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def outputs(path: Path, ranges: dict[str, Range] | None = None) -> dict[str, np.ndarray]:
    """Every output of the graph from the weights in a file, for PHOTOS."""
    model, _ = whole_network(read_weights(path), ranges, TAKEN, name="centre")
    session = session_of(serialized(model))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"centre": PHOTOS}), strict=True))


@pytest.fixture(scope="module")
def plain() -> dict[str, np.ndarray]:
    return forward(STATE, PHOTOS)


@pytest.mark.parametrize("name", FORMATS)
def test_every_layer_agrees_with_a_plain_pass(tmp_path: Path, plain: dict[str, np.ndarray], name: str) -> None:
    FORMATS[name](STATE, tmp_path / name)
    ours = outputs(tmp_path / name)
    for layer in ("pool1", "pool2", "pool3", "pool4", "pool5"):
        np.testing.assert_allclose(ours.pop(f"{layer}/avg"), normalised(plain[layer].mean(axis=(1, 2))), atol=1e-4)
        np.testing.assert_allclose(ours.pop(f"{layer}/max"), normalised(plain[layer].max(axis=(1, 2))), atol=1e-4)
    maxima = [
        plain["pool5"][:, row : row + cells, column : column + cells].max(axis=(1, 2))
        for cells, starts in ((7, (0,)), (4, (0, 3)), (3, (0, 2, 4)))
        for row in starts
        for column in starts
    ]
    np.testing.assert_allclose(ours.pop("pool5/rmac"), normalised(sum(map(normalised, maxima))), atol=1e-4)
    for layer in ("fc6", "fc7", "softmax"):
        np.testing.assert_allclose(ours.pop(layer), normalised(plain[layer]), atol=1e-4)
    np.testing.assert_allclose(ours.pop("probabilities"), plain["softmax"], atol=1e-5)
    assert not ours


def test_int8_points_where_fp32_does(tmp_path: Path) -> None:
    pth_zip(STATE, tmp_path / "vgg16.pth")
    model, activations = whole_network(read_weights(tmp_path / "vgg16.pth"), None, TAKEN, name="centre")
    outside = set(activations.values()) - {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outside)
    values = session_of(serialized(model)).run(list(activations.values()), {"centre": PHOTOS})
    ranges = {name: (float(each.min()), float(each.max())) for name, each in zip(activations, values, strict=True)}
    exact, rounded = outputs(tmp_path / "vgg16.pth"), outputs(tmp_path / "vgg16.pth", ranges)
    for name, vectors in exact.items():
        cosines = (vectors * rounded[name]).sum(axis=1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(rounded[name], axis=1)
        assert cosines.min() > 0.99, name


def without_bias(layer: str) -> State:
    return {name: value for name, value in STATE.items() if name != f"{layer}.bias"}


def with_weight(layer: str, *shape: int) -> State:
    return {**STATE, f"{layer}.weight": np.ones(shape, np.float32)}


def with_nan(value: np.ndarray) -> np.ndarray:
    damaged = value.copy()
    damaged.flat[-1] = np.nan
    return damaged


BAD_WEIGHTS = [
    pytest.param(without_bias("features.28"), "holds no features.28.bias", id="a bias too few"),
    pytest.param(with_weight("features.1", 4), "holds 'features.1.weight'", id="normalisation"),
    pytest.param(with_weight("features.5", 6, 5, 3, 3), "conv2_1 has weights of", id="inputs"),
    pytest.param(with_weight("features.0", 4, 3, 5, 5), "conv1_1 has weights of", id="kernel"),
    pytest.param({**STATE, "classifier.3.bias": np.ones((24, 1), np.float32)}, "fc7 has weights of", id="bias"),
    pytest.param(
        {**STATE, "classifier.0.weight": with_nan(STATE["classifier.0.weight"])}, "fc6 has .* not finite", id="not a number"
    ),
    pytest.param({"fc.weight": np.ones((2, 2), np.float32)}, "holds no classifier.0.bias", id="another network"),
]


@pytest.mark.parametrize(("state", "reason"), BAD_WEIGHTS)
def test_weights_of_another_network_are_refused(tmp_path: Path, state: State, reason: str) -> None:
    pth_zip(state, tmp_path / "weights.pth")
    with pytest.raises(BadBundle, match=rf"weights\.pth: {reason}"):
        read_weights(tmp_path / "weights.pth")


def test_a_malicious_weights_file_runs_nothing(tmp_path: Path) -> None:
    victim = tmp_path / "called"
    table = OrderedDict(a=Named("os", "system", f"touch {victim}"))
    (tmp_path / "vgg16.pth").write_bytes(zip_file({}, table=table))
    with pytest.raises(BadBundle, match=r"calls 'os.system' .* nothing of it was run"):
        read_weights(tmp_path / "vgg16.pth")
    assert not victim.exists()


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("name", FORMATS)
def test_a_truncated_weights_file_is_refused(tmp_path: Path, name: str, kept: float) -> None:
    path = tmp_path / name
    FORMATS[name](STATE, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(BadBundle, match=name):
        read_weights(path)


def edited(path: Path, edit: Callable[[onnx.GraphProto], None]) -> Path:
    """The graph as torch exports it, with one change."""
    onnx_of_torch(STATE, path)
    model = onnx.load(path)
    edit(model.graph)
    path.write_bytes(model.SerializeToString())
    return path


def renamed(node: int, op: str) -> Callable[[onnx.GraphProto], None]:
    def edit(graph: onnx.GraphProto) -> None:
        graph.node[node].op_type = op

    return edit


def without(*nodes: int) -> Callable[[onnx.GraphProto], None]:
    """Without nodes whose input the following one takes."""

    def edit(graph: onnx.GraphProto) -> None:
        for node in sorted(nodes, reverse=True):
            graph.node[node + 1].input[0] = graph.node[node].input[0]
            del graph.node[node]

    return edit


def second_input(graph: onnx.GraphProto) -> None:
    graph.input.append(onnx.helper.make_tensor_value_info("other", onnx.TensorProto.FLOAT, [1]))


def strided(graph: onnx.GraphProto) -> None:
    graph.node[0].attribute.append(onnx.helper.make_attribute("strides", [2, 2]))


def quantized(graph: onnx.GraphProto) -> None:
    graph.initializer[0].data_type = onnx.TensorProto.INT8


def elsewhere(graph: onnx.GraphProto) -> None:
    graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL


def branching(graph: onnx.GraphProto) -> None:
    graph.node.append(onnx.helper.make_node("Relu", ["x3"], ["aside"]))


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (renamed(1, "LeakyRelu"), "the operator 'LeakyRelu' after 1 convolutions"),
        (renamed(1, "If"), "the operator 'If'"),
        (without(2, 3), "12 convolutions and 3 dense layers; VGG16 has 13"),
        (second_input, "takes 2 inputs"),
        (strided, "has a stride"),
        (quantized, "not stored as floating-point"),
        (elsewhere, "lies in another file"),
        (branching, "branches after"),
    ],
)
def test_graphs_of_other_networks_are_refused(tmp_path: Path, edit: Callable[[onnx.GraphProto], None], reason: str) -> None:
    with pytest.raises(BadBundle, match=rf"graph\.onnx: the graph is not VGG16: .*{reason}"):
        read_weights(edited(tmp_path / "graph.onnx", edit))


def test_vgg19_is_told_from_vgg16() -> None:
    vgg19 = Path(onnx.__file__).parent / "backend/test/data/light/light_vgg19.onnx"
    with pytest.raises(BadBundle, match="not VGG16"):
        read_weights(vgg19)
