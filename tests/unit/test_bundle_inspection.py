"""The tensors that inspection proposes, on the true topologies that the package onnx carries."""

import tomllib
from pathlib import Path

import onnx
import pytest
from miradouro.bundles.inspection import Candidate, draft_manifest, inspect_graph
from miradouro.bundles.manifest import parse_manifest
from miradouro.bundles.sources import FileSource

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
VGG19 = [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7), (4096,), (4096,), (4096,), (4096,), (1000,)]
ALEXNET = [(96, 26, 26), (256, 12, 12), (256, 6, 6), (4096,), (4096,), (4096,), (4096,), (1000,)]
RESNET50 = [(64, 56, 56), (256, 56, 56), (512, 28, 28), (1024, 14, 14), (2048, 7, 7), (2048, 1, 1), (1000,)]


def layers(name: str) -> list[Candidate]:
    return [each for each in inspect_graph(LIGHT / name).candidates if each.is_layer]


@pytest.mark.parametrize(
    ("name", "shapes"),
    [("light_vgg19.onnx", VGG19), ("light_bvlc_alexnet.onnx", ALEXNET), ("light_resnet50.onnx", RESNET50)],
)
def test_the_ends_of_layers_are_proposed(name: str, shapes: list[tuple[int, ...]]) -> None:
    found = layers(name)
    assert [each.shape for each in found if each.op != "Softmax"] == shapes
    assert found[-1].op == "Softmax"


@pytest.mark.parametrize("name", ["light_vgg19.onnx", "light_resnet50.onnx"])
def test_a_draft_is_a_valid_manifest(name: str) -> None:
    source = FileSource(kind="file", file="network.onnx", sha256="0" * 64)
    text = draft_manifest(inspect_graph(LIGHT / name), source, name="mine")
    manifest = parse_manifest(text, path=LIGHT / "bundle.toml")
    assert (manifest.label_table, manifest.tags.softmax if manifest.tags else None) == ("imagenet-1k", False)
    assert manifest.taps[0].output == "softmax"
    assert tomllib.loads(text)["input"]["layout"] == "NCHW"


def test_poolings_that_would_be_too_long_are_left_out() -> None:
    by_shape = {each.shape: each.poolings for each in layers("light_vgg19.onnx")}
    assert "flat" not in by_shape[512, 7, 7]
    assert "rmac" in by_shape[512, 7, 7]
    assert by_shape[4096,] == ("none",)
