import dataclasses

import numpy as np
import onnx
import pytest
from miradouro.adapters.onnx_embedder import OnnxEmbedder, check_wheels, installed_wheels
from miradouro.bundles.cut import cuts
from miradouro.core.errors import BadBundle, ConfigurationError
from miradouro.core.provider import Provider

from tests.tiny_bundle import TINY, TINY_SPACES, pixels, tiny_bundles


@pytest.fixture
def bundles(tmp_path):
    return tiny_bundles(tmp_path)


def test_each_space_alone_equals_all_spaces_together(bundles):
    networks = OnnxEmbedder(bundles, threads=1)
    photos = {TINY: np.stack([pixels(1), pixels(2), pixels(3)])}
    together = networks.run("tiny", photos, spaces=TINY_SPACES, tags=True)
    for space in TINY_SPACES:
        alone = networks.run("tiny", photos, spaces=[space], tags=False)
        assert list(alone.vectors) == [space]
        assert alone.probabilities is None
        np.testing.assert_allclose(alone.vectors[space], together.vectors[space], atol=1e-6)
    np.testing.assert_allclose(together.probabilities.sum(axis=1), 1, atol=1e-5)


def test_a_shallow_layer_leaves_out_the_deep_weights(bundles):
    whole = onnx.load(bundles[0].path)
    (first,) = cuts(whole)  # the small dense layer of the tags is not worth another
    assert first.outputs == {"tiny/shallow/avg", "tiny/shallow/max"}
    assert [node.op_type for node in first.model.graph.node].count("Conv") == 1
    assert {tensor.name for tensor in first.model.graph.initializer} == {"w1", "grey"}
    onnx.checker.check_model(first.model)


def test_large_dense_layers_are_cut_off_together():
    """As in VGG16: a question about the map need not read the weights of dense layers, and a cut between these saves nothing."""
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["map"], pads=[1, 1, 1, 1]),
        helper.make_node("Flatten", ["map"], ["flat"]),
        helper.make_node("Gemm", ["flat", "first"], ["fc6"]),
        helper.make_node("Gemm", ["fc6", "second"], ["fc7"]),
    ]
    shapes = {"w": (16, 3, 3, 3), "first": (16 * 64, 512), "second": (512, 8)}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", floats, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info(name, floats, None) for name in ("map", "fc6", "fc7")],
        [onnx.numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in shapes.items()],
    )
    (cut,) = cuts(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]))
    assert cut.outputs == {"map"}


def test_a_cut_keeps_the_inputs_of_inner_graphs():
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    inner = helper.make_graph(
        [helper.make_node("Identity", ["early"], ["inner"])], "inner", [], [helper.make_tensor_value_info("inner", floats, None)]
    )
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["early"]),
        helper.make_node("If", ["yes"], ["shallow"], then_branch=inner, else_branch=inner),
        helper.make_node("MatMul", ["shallow", "w"], ["middle"]),
        helper.make_node("MatMul", ["middle", "w"], ["deep"]),
    ]
    constants = {"w": np.eye(2, dtype=np.float32), "yes": np.array(True)}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", floats, [1, 2])],
        [helper.make_tensor_value_info(name, floats, None) for name in ("shallow", "deep")],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    (cut,) = cuts(helper.make_model(graph))
    assert cut.outputs == {"shallow"}
    assert [node.op_type for node in cut.model.graph.node] == ["MatMul", "If"]


@pytest.mark.parametrize("provider", [Provider.CUDA, Provider.TENSORRT])
def test_a_missing_provider_is_an_error_without_fallback(bundles, provider):
    import onnxruntime

    if {"CUDAExecutionProvider", "TensorrtExecutionProvider"} & set(onnxruntime.get_available_providers()):
        pytest.skip("this onnxruntime offers a GPU")
    with pytest.raises(ConfigurationError, match=rf"MIRADOURO_PROVIDER={provider.value}.*CPUExecutionProvider.*miradouro\[gpu\]"):
        OnnxEmbedder(bundles, provider=provider)


def test_exactly_one_wheel_of_onnxruntime_must_be_installed():
    check_wheels(installed_wheels())
    with pytest.raises(ConfigurationError, match=r"not installed; install miradouro\[cpu\]"):
        check_wheels(())
    with pytest.raises(ConfigurationError, match=r"onnxruntime and onnxruntime-gpu are both installed.*uninstall both"):
        check_wheels(("onnxruntime", "onnxruntime-gpu"))


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"not a graph"])
def test_a_file_that_is_no_graph_is_named(bundles, tmp_path, content):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(BadBundle, match=r"broken\.onnx"):
        OnnxEmbedder([dataclasses.replace(bundles[0], path=path)], threads=1)
