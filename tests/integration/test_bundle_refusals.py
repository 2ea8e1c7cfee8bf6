"""What is refused when a bundle is added: one sentence that says what to do, and nothing is left behind."""

import re
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from miradouro.bundles.adding import add
from miradouro.bundles.catalogue import find, manifests
from miradouro.bundles.progress import LogProgress
from miradouro.bundles.pull import pull
from miradouro.bundles.settings import BundleSettings
from miradouro.core.errors import BadBundle, FailedPrecondition, InvalidArgument, Unavailable
from onnx import TensorProto, helper, numpy_helper

from tests.foreign_networks import MANIFEST, bundle_folder, network


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BundleSettings:
    monkeypatch.setenv("MIRADOURO_BUNDLES_DIR", str(tmp_path / "bundles"))
    monkeypatch.setenv("MIRADOURO_MODELS_DIR", str(tmp_path / "models"))
    return BundleSettings()


def left_behind(settings: BundleSettings) -> list[str]:
    """Files below both folders, without locks and source files that were verified."""
    folders = (settings.bundles_folder, settings.folder)
    return [path.name for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


def refusal(path: Path, settings: BundleSettings, kind: type[Exception] = BadBundle) -> str:
    with pytest.raises(kind) as error:
        add(path, settings, progress=LogProgress())
    assert left_behind(settings) == []
    assert "\n" not in str(error.value)
    return str(error.value)


def changed(path: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)


def a_branch(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([helper.make_node("Identity", ["map"], ["i"])], "inner", [], [model.graph.output[0]])
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.append(helper.make_node("If", ["yes"], ["end"], then_branch=inner, else_branch=inner))


def outside_weights(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    tensor.ClearField("raw_data")


def no_number(model: onnx.ModelProto) -> None:
    weights = numpy_helper.to_array(model.graph.initializer[1]).copy()
    weights[0] = np.nan
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(weights, model.graph.initializer[1].name))


def a_custom_operator(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Swirl", ["map"], ["end"], domain="org.example"))


def a_misspelt_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Convv"


def a_second_picture(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [1, 3, 14, 14]))


def a_shape_that_depends_on_the_picture(model: onnx.ModelProto) -> None:
    """`map` becomes the positive cells alone."""
    pool = next(node for node in model.graph.node if node.output[0] == "map")
    pool.output[0] = "every"
    model.graph.node.append(helper.make_node("NonZero", ["every"], ["places"]))
    model.graph.node.append(helper.make_node("Cast", ["places"], ["map"], to=TensorProto.FLOAT))
    order = {name: number for number, name in enumerate(["c", "r", "every", "places", "map", "f", "logits"])}
    nodes = sorted(model.graph.node, key=lambda node: order[node.output[0]])
    del model.graph.node[:]
    model.graph.node.extend(nodes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (a_branch, r"has control flow \(If\); export the network without loops and branches"),
        (outside_weights, r"the weights 'kernels' lie in another file; save the model in one file"),
        (no_number, r"the weights 'dense' contain NaN; the file is damaged, take another"),
        (a_custom_operator, r"'org.example.Swirl' is no operator of ONNX; export the network with standard operators"),
        (a_misspelt_operator, r"'Convv' is no operator of ONNX"),
        (a_second_picture, r"the graph has 2 inputs \('data', 'other'\); only one picture can be given to it"),
        (a_shape_that_depends_on_the_picture, r"the shape of '(map|logits)' depends on the picture, .*; tap another tensor"),
    ],
)
def test_an_unusable_graph_is_refused(
    tmp_path: Path, settings: BundleSettings, change: Callable[[onnx.ModelProto], None], message: str
) -> None:
    path = bundle_folder(tmp_path / "mine")
    changed(tmp_path / "mine" / "network.onnx", change)
    assert re.search(message, refusal(path, settings))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'tensor = "map"',
            'tensor = "mop"',
            "the graph has no tensor 'mop'; `miradouro models inspect` lists",
        ),
        ("dimension = 6", "dimension = 7", "map/avg has 6 numbers, the manifest says 7; correct its dimension"),
        ('pooling = "avg"', 'poolign = "avg"', "there is no key 'taps.0.poolign' in a manifest; correct or remove it"),
        ('pooling = "avg"', 'pooling = "mean"', "pooling 'mean' is not known; allowed: avg, max"),
        (
            'file = "network.onnx"',
            'file = "../network.onnx"',
            "leaves the folder of the manifest; put the file beside the manifest",
        ),
        ('file = "network.onnx"', 'file = "/etc/passwd"', "leaves the folder of the manifest"),
        ('file = "network.onnx"', 'file = "none.onnx"', "names 'none.onnx', which is not beside it; put it there"),
        ('"viaduct"]', '"viaduct", "extra"]', "probabilities has 5 classes, the label table 6; correct [tags]"),
        ("softmax = true", "softmax = false", "probabilities is no distribution (0 to 1, with the sum 1); set softmax = true"),
        ("width = 14", "width = 15", "the graph takes 3 x 14 x 14, and the manifest gives it 3 x 14 x 15; correct layout"),
        ('recipe = "onnx"', 'recipe = "keras"', "'keras' is not a recipe; known are onnx"),
        ("std = [0.229, 0.224, 0.225]", "std = [0.229, 0, 0.225]", "std contains 0, and the pixels are divided by it"),
        ("scale = 0.00392156862745098", "scale = 1e-12", "10 different pictures have the same vector; check scale, mean and std"),
        ("scale = 0.00392156862745098", "scale = 1e35", "is not finite; check scale, mean and std of [input], and the weights"),
        ('summary = "A small', 'summary = "A " small', "the manifest is not TOML"),
    ],
)
def test_a_wrong_manifest_is_refused(tmp_path: Path, settings: BundleSettings, old: str, new: str, message: str) -> None:
    assert old in MANIFEST
    path = bundle_folder(tmp_path / "mine", manifest=MANIFEST.replace(old, new, 1))
    assert message in refusal(path, settings)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path, settings: BundleSettings) -> None:
    path = bundle_folder(tmp_path / "mine")
    network(tmp_path / "elsewhere.onnx")
    (tmp_path / "mine" / "network.onnx").unlink()
    (tmp_path / "mine" / "network.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    assert "put the file itself there, not a link" in refusal(path, settings)


def test_weights_with_another_checksum_are_refused(tmp_path: Path, settings: BundleSettings) -> None:
    named = MANIFEST.replace('file = "network.onnx"', f'file = "network.onnx"\nsha256 = "{"0" * 64}"')
    assert f"{'0' * 64} is recorded; put the old file back" in refusal(bundle_folder(tmp_path / "mine", manifest=named), settings)


@pytest.mark.parametrize("content", [b"", b"\x08not a graph", b"PK\x03\x04"])
def test_a_file_that_is_no_graph_is_refused(tmp_path: Path, settings: BundleSettings, content: bytes) -> None:
    path = bundle_folder(tmp_path / "mine")
    (tmp_path / "mine" / "network.onnx").write_bytes(content)
    assert "export the network as ONNX with its weights inside" in refusal(path, settings)


def test_a_taken_name_is_refused(tmp_path: Path, settings: BundleSettings) -> None:
    shipped = bundle_folder(tmp_path / "mine", "vgg16-conv")
    assert "there is a bundle vgg16-conv already" in refusal(shipped, settings, FailedPrecondition)


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, settings: BundleSettings) -> None:
    path = bundle_folder(tmp_path / "mine")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, hard))
    try:
        message = refusal(path, settings, Unavailable)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "the disk is full; make room there, then run the same command again" in message
    add(path, settings, progress=LogProgress())


def test_changed_weights_are_noticed(tmp_path: Path, settings: BundleSettings) -> None:
    add(bundle_folder(tmp_path / "mine"), settings, progress=LogProgress())
    before = find("small").provenance("fp32")
    network(settings.bundles_folder / "small" / "network.onnx", seed=4)
    assert find("small").provenance("fp32") == before, "the recorded sha256 stays"
    next(settings.folder.glob("small-*.onnx")).unlink()
    with pytest.raises(BadBundle, match="put the old file back, or remove the bundle"):
        pull("small", precision="fp32", folder=settings.folder, progress=LogProgress())


def test_an_unknown_bundle_names_the_added_ones(tmp_path: Path, settings: BundleSettings) -> None:
    add(bundle_folder(tmp_path / "mine"), settings, progress=LogProgress())
    assert "small" in {manifest.name for manifest in manifests()}
    with pytest.raises(InvalidArgument, match=r"'smal' is not a bundle; allowed: .*small"):
        find("smal")
