"""The manifests of AlexNet, ResNet-50 and DINOv2-S: their taps on graphs of the true topology, under the published names.

The published files are not here. The weights are seeded, so vectors are compared with those of the graph itself. The channels
are a quarter of the published ones, and so are the dimensions.
"""

from pathlib import Path

import numpy as np
import onnx
import pytest
from miradouro.bundles.build import build, serialized
from miradouro.bundles.catalogue import find
from miradouro.bundles.manifest import Manifest, parse_manifest
from miradouro.bundles.sources import UrlSource
from miradouro.core.spaces import Preset

from tests.light_networks import write_light
from tests.networks import session_of
from tests.scenes import scene
from tests.vision_transformer import write_transformer

PHOTOS = np.stack([scene(seed) for seed in range(2)])
# The outputs of the nodes of AlexNet in the ONNX model zoo, in order.
ALEXNET = """
conv1_1 conv1_2 norm1_1 pool1_1 conv2_1 conv2_2 norm2_1 pool2_1 conv3_1 conv3_2 conv4_1 conv4_2 conv5_1 conv5_2 pool5_1
OC2_DUMMY_0 fc6_1 fc6_2 fc6_3 fc7_1 fc7_2 fc7_3 fc8_1 prob_1
"""
# The light graph's tensors after each stage of ResNet-50, and their names in the graph that MXNet exported.
RESNET50 = {
    "gpu_0/data_0": "data",
    "r35": "resnetv17_stage1_activation2",
    "r77": "resnetv17_stage2_activation3",
    "r139": "resnetv17_stage3_activation5",
    "r171": "resnetv17_stage4_activation2",
    "r172": "resnetv17_pool1_fwd",
    "r174": "resnetv17_dense0_fwd",
}


def alexnet_names() -> dict[str, str]:
    masks = {"r19", "r23"}  # the second outputs of Dropout
    outputs = [f"r{number}" for number in range(25) if f"r{number}" not in masks]
    return dict(zip([*outputs, "prob_1"], ALEXNET.split(), strict=True))


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_light("bvlc_alexnet", tmp_path_factory.mktemp("alexnet") / "alexnet.onnx", alexnet_names(), narrower=4)


@pytest.fixture(scope="module")
def resnet50(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_light("resnet50", tmp_path_factory.mktemp("resnet50") / "resnet50.onnx", RESNET50, narrower=4)


def quarter(name: str) -> Manifest:
    """The manifest for a quarter of the channels; classes are never fewer."""
    manifest = find(name)
    taps = [
        tap if tap.layer in {"softmax", "logits"} else tap.model_copy(update={"dimension": tap.dimension // 4})
        for tap in manifest.taps
    ]
    return manifest.model_copy(update={"taps": tuple(taps)})


def bundle_outputs(manifest: Manifest, source: Path) -> dict[str, np.ndarray]:
    """Every output for both photos at once."""
    session = session_of(serialized(build(manifest, "fp32", [source])[0]))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"photo": PHOTOS}), strict=True))


def plain_tensors(source: Path, pixels: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    """Tensors of the graph itself, one prepared photo [1, 3, 224, 224] after the other."""
    model = onnx.load(source)
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    session = session_of(model.SerializeToString())
    input_name = session.get_inputs()[0].name
    runs = [session.run(names, {input_name: each[np.newaxis].astype(np.float32)}) for each in pixels]
    return {name: np.concatenate([run[place] for run in runs]) for place, name in enumerate(names)}


def imagenet(photos: np.ndarray) -> np.ndarray:
    return ((photos / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).transpose(0, 3, 1, 2)


def unit(rows: np.ndarray) -> np.ndarray:
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)


def check_taps(manifest: Manifest, ours: dict[str, np.ndarray], tensors: dict[str, np.ndarray]) -> None:
    """Every space is its tensor, pooled and of length 1, and differs between the photos."""
    reductions = {"avg": np.mean, "max": np.max}
    for tap in manifest.taps:
        vectors = ours[tap.output]
        assert vectors.shape == (2, tap.dimension), tap.output
        assert np.linalg.norm(vectors[0] - vectors[1]) > 1e-3, tap.output
        if tap.tensor in tensors and tap.pooling in {"avg", "max", "flat", ""}:
            tensor = tensors[tap.tensor]
            expected = reductions[tap.pooling](tensor, axis=(2, 3)) if tap.pooling in reductions else tensor
            np.testing.assert_allclose(vectors, unit(expected), atol=3e-4, err_msg=tap.output)


def test_alexnet_is_tapped_from_pool1_to_softmax(alexnet: Path) -> None:
    manifest = quarter("alexnet")
    bgr = PHOTOS[..., ::-1].transpose(0, 3, 1, 2) - np.array([104.007, 116.669, 122.679]).reshape(1, 3, 1, 1)
    tensors = plain_tensors(alexnet, bgr, sorted({tap.tensor for tap in manifest.taps}))
    ours = bundle_outputs(manifest, alexnet)
    check_taps(manifest, ours, tensors)
    np.testing.assert_allclose(ours["probabilities"], tensors["prob_1"], atol=1e-5)


def test_resnet50_is_tapped_after_every_stage(resnet50: Path) -> None:
    manifest = quarter("resnet50")
    tensors = plain_tensors(resnet50, imagenet(PHOTOS), sorted({tap.tensor for tap in manifest.taps} - {"probabilities"}))
    ours = bundle_outputs(manifest, resnet50)
    check_taps(manifest, ours, tensors)
    logits = tensors["resnetv17_dense0_fwd"].astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(ours["probabilities"], powers / powers.sum(axis=1, keepdims=True), atol=1e-4)


def test_dinov2_gives_its_class_token_and_patches(tmp_path: Path) -> None:
    """The graph is a transformer of one block that computes its sizes from the picture, as the published one."""
    source = write_transformer(tmp_path / "transformer.onnx")
    manifest = find("dinov2-s")
    tokens = plain_tensors(source, imagenet(PHOTOS), ["last_hidden_state"])["last_hidden_state"]
    assert tokens.shape == (2, 257, 384)
    ours = bundle_outputs(manifest, source)
    np.testing.assert_allclose(ours["last/token"], unit(tokens[:, 0]), atol=1e-4)
    np.testing.assert_allclose(ours["last/patches"], unit(tokens[:, 1:].mean(axis=1)), atol=1e-4)
    check_taps(manifest, ours, {})


VGG19 = """
name = "vgg19"
recipe = "onnx"

[[sources]]
kind = "file"
file = "vgg19.onnx"

[input]
channels = "BGR"
mean = [103.939, 116.779, 123.68]

[geometries.photo]
fit = "squash"
width = 224
height = 224
resample = "bilinear"

[[taps]]
tensor = "r36"
layer = "pool5"
pooling = "avg"
dimension = 64

[[taps]]
tensor = "r43"
layer = "fc7"
dimension = 512
"""


def test_vgg19_needs_a_manifest_alone(tmp_path: Path) -> None:
    source = write_light("vgg19", tmp_path / "vgg19.onnx", {}, narrower=8)
    manifest = parse_manifest(VGG19, path=tmp_path / "bundle.toml")
    bgr = PHOTOS[..., ::-1].transpose(0, 3, 1, 2) - np.array([103.939, 116.779, 123.68]).reshape(1, 3, 1, 1)
    check_taps(manifest, bundle_outputs(manifest, source), plain_tensors(source, bgr, ["r36", "r43"]))


@pytest.mark.parametrize("name", ["alexnet", "resnet50", "dinov2-s"])
def test_public_networks_are_for_the_laboratory_alone(name: str) -> None:
    manifest = find(name)
    assert {space.preset for space in manifest.described_spaces("fp32")} == {Preset.LABORATORY}
    [source] = manifest.sources
    assert isinstance(source, UrlSource)
    assert manifest.license
    assert manifest.attribution
