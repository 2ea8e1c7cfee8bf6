"""Recipe `onnx`: what is put in front of and behind a graph, against plain numpy."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from miradouro.bundles.build import build, serialized
from miradouro.bundles.manifest import Manifest, parse_manifest
from miradouro.bundles.sources import FileSource
from miradouro.bundles.taps import windows
from miradouro.core.errors import BadBundle

from tests.foreign_networks import CHANNELS, MANIFEST, network
from tests.networks import session_of

PHOTOS = np.random.default_rng(1).integers(0, 256, (2, 14, 14, 3), dtype=np.uint8)
SHA256 = "0" * 64


def manifest_of(tmp_path: Path, *replacements: tuple[str, str]) -> Manifest:
    text = MANIFEST.replace("NAME", "small").replace('"network.onnx"', f'"network.onnx"\nsha256 = "{SHA256}"')
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return parse_manifest(text, path=tmp_path / "bundle.toml")


def with_tap(tmp_path: Path, tap: str) -> Manifest:
    return manifest_of(tmp_path, ('[[taps]]\ntensor = "map"', f'[[taps]]\n{tap}\n[[taps]]\ntensor = "map"'))


def run(manifest: Manifest, source: Path) -> dict[str, np.ndarray]:
    session = session_of(serialized(build(manifest, "fp32", [source])[0]))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: PHOTOS}), strict=True))


def plain(source: Path, pixels: np.ndarray, tensor: str) -> np.ndarray:
    """A tensor of the network itself, for pixels [N, ...] prepared by hand, one photo at a time as the file says."""
    model = onnx.load(source)
    if tensor not in {output.name for output in model.graph.output}:
        model.graph.output.append(onnx.helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, None))
    session = session_of(model.SerializeToString())
    return np.concatenate([session.run([tensor], {"data": each[np.newaxis].astype(np.float32)})[0] for each in pixels])


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def imagenet_pixels() -> np.ndarray:
    return (((PHOTOS / 255) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).transpose(0, 3, 1, 2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return network(tmp_path / "network.onnx")


def poolings(maps: np.ndarray) -> dict[str, np.ndarray]:
    """Every pooling of maps [N, C, 7, 7] by its definition."""
    distance = (np.arange(7) - 3) ** 2
    prior = np.exp(-(distance[:, np.newaxis] + distance) / (2 * (3.5 / 3) ** 2))
    boxes = [maps[:, :, y : y + h, x : x + w].max(axis=(2, 3)) for x, y, w, h in windows(7, 3)]
    regions = unit(np.stack(boxes, axis=1))
    return {
        "avg": unit(maps.mean(axis=(2, 3))),
        "max": unit(maps.max(axis=(2, 3))),
        "gem": unit((np.maximum(maps, 1e-6) ** 3).mean(axis=(2, 3)) ** (1 / 3)),
        "spoc": unit((maps * prior).sum(axis=(2, 3))),
        "rmac": unit(regions.sum(axis=1)),
        "regions": regions,
        "flat": unit(maps.reshape(len(maps), -1)),
    }


@pytest.mark.parametrize("pooling", ["avg", "max", "gem", "spoc", "rmac", "regions", "flat"])
def test_each_pooling_is_its_definition(tmp_path: Path, source: Path, pooling: str) -> None:
    expected = poolings(plain(source, imagenet_pixels(), "map").astype(np.float64))[pooling]
    grid = "\ngrid = 7" if pooling == "regions" else ""
    tap = f'tensor = "map"\nlayer = "deep"\npooling = "{pooling}"\ndimension = {expected.shape[-1]}{grid}'
    np.testing.assert_allclose(run(with_tap(tmp_path, tap), source)[f"deep/{pooling}"], expected, atol=1e-5)


def test_windows_of_seven_cells_are_those_of_rmac() -> None:
    boxes = windows(7, 3)
    assert len(boxes) == 14
    assert boxes[:3] == ((0, 0, 7, 7), (0, 0, 4, 4), (3, 0, 4, 4))
    assert boxes[-1] == (4, 4, 3, 3)


def test_tags_are_the_softmax_of_the_logits(tmp_path: Path, source: Path) -> None:
    logits = plain(source, imagenet_pixels(), "logits")
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    outputs = run(manifest_of(tmp_path), source)
    np.testing.assert_allclose(outputs["probabilities"], powers / powers.sum(axis=1, keepdims=True), atol=1e-5)
    np.testing.assert_allclose(outputs["logits"], unit(logits), atol=1e-4)
    np.testing.assert_allclose(outputs["softmax"], unit(outputs["probabilities"]), atol=1e-4)


@pytest.mark.parametrize(
    ("layout", "channels", "expected"),
    [
        ("NHWC", "BGR", PHOTOS[..., ::-1] / 2 - [3, 2, 1]),
        ("NCHW", "BGR", (PHOTOS[..., ::-1] / 2 - [3, 2, 1]).transpose(0, 3, 1, 2)),
        ("NCHW", "L", (PHOTOS @ [0.299, 0.587, 0.114] / 2 - 3)[:, np.newaxis]),
    ],
)
def test_pixels_are_prepared_in_the_graph(tmp_path: Path, layout: str, channels: str, expected: np.ndarray) -> None:
    source = network(tmp_path / "network.onnx", layout=layout, channels=len(channels))
    numbers = "3" if channels == "L" else "3, 2, 1"
    manifest = manifest_of(
        tmp_path,
        ("[input]\nscale = 0.00392156862745098", f'[input]\nlayout = "{layout}"\nchannels = "{channels}"\nscale = 0.5'),
        ("mean = [0.485, 0.456, 0.406]", f"mean = [{numbers}]"),
        ("std = [0.229, 0.224, 0.225]", "std = [1]"),
    )
    if layout == "NHWC":
        manifest = parse_manifest_with(manifest, tensor="cells")
    maps = plain(source, expected, "map")
    np.testing.assert_allclose(run(manifest, source)["map/avg"], unit(maps.mean(axis=(2, 3))), atol=1e-4)


def parse_manifest_with(manifest: Manifest, *, tensor: str) -> Manifest:
    first, *others = manifest.taps
    return manifest.model_copy(update={"taps": (first.model_copy(update={"tensor": tensor}), *others)})


def test_an_old_file_is_brought_up_to_date(tmp_path: Path, source: Path) -> None:
    old = network(tmp_path / "old" / "network.onnx", opset=9)
    np.testing.assert_allclose(
        run(manifest_of(tmp_path), old)["map/avg"], run(manifest_of(tmp_path), source)["map/avg"], atol=1e-6
    )


def test_a_graph_of_one_picture_takes_several(tmp_path: Path, source: Path) -> None:
    one = network(tmp_path / "one" / "network.onnx", fixed_batch=True)
    manifest = manifest_of(tmp_path)
    np.testing.assert_allclose(run(manifest, one)["logits"], run(manifest, source)["logits"], atol=1e-6)


def test_layers_that_no_tap_needs_are_dropped(tmp_path: Path, source: Path) -> None:
    manifest = manifest_of(tmp_path)
    shallow = manifest.model_copy(update={"taps": manifest.taps[:1], "tags": None})
    stored = {tensor.name for tensor in build(shallow, "fp32", [source])[0].graph.initializer}
    assert "net/kernels" in stored
    assert "net/dense" not in stored


def test_what_changes_a_vector_changes_its_provenance(tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path)
    first, second, third = (space.provenance for space in manifest.described_spaces("fp32"))
    scaled = manifest_of(tmp_path, ("0.00392156862745098", "0.5"))
    other_tap = with_tap(tmp_path, f'tensor = "map"\nlayer = "deep"\npooling = "max"\ndimension = {CHANNELS}')
    weights = manifest.model_copy(update={"sources": (FileSource(kind="file", file="network.onnx", sha256="1" * 64),)})
    assert {space.provenance for space in scaled.described_spaces("fp32")}.isdisjoint({first, second, third})
    assert {space.provenance for space in weights.described_spaces("fp32")}.isdisjoint({first, second, third})
    assert [space.provenance for space in other_tap.described_spaces("fp32")][1:] == [first, second, third]
    logits = manifest_of(tmp_path, ("softmax = true", "softmax = false")).described_spaces("fp32")
    assert [space.provenance for space in logits][:2] == [first, second]
    assert logits[2].provenance != third
    assert other_tap.provenance("fp32") != manifest.provenance("fp32"), "the model file is another"


def test_too_long_a_vector_names_fitting_poolings(tmp_path: Path) -> None:
    tap = 'tensor = "map"\nlayer = "deep"\npooling = "flat"\ndimension = 25_088'
    with pytest.raises(BadBundle, match=r"deep/flat has 25,088 numbers, .* at most 16,000; .* avg, max, gem, spoc and rmac"):
        with_tap(tmp_path, tap)
