"""The bundle `filters` against a plain implementation in numpy, which shares no code with the graph but the kernels."""

import colorsys
from pathlib import Path

import numpy as np
import onnx
import pytest
from miradouro.bundles.build import build, serialized
from miradouro.bundles.catalogue import find
from miradouro.bundles.filters import kernels
from miradouro.bundles.registry import open_bundle
from miradouro.bundles.self_test import self_test

from tests.networks import session_of
from tests.scenes import scene

LAYERS = ("lowpass", "highpass", "gabor", "haar", "dct")
POOLINGS = (("avg", np.mean), ("max", np.max), ("min", np.min))


@pytest.fixture(scope="module")
def graph() -> onnx.ModelProto:
    model, _ = build(find("filters"), "fp32", [])
    return model


def vectors(graph: onnx.ModelProto, photo: np.ndarray) -> dict[str, np.ndarray]:
    """Every output for one photo."""
    session = session_of(serialized(graph))
    names = [output.name for output in session.get_outputs()]
    return {name: value[0] for name, value in zip(names, session.run(names, {"whole": photo[np.newaxis]}), strict=True)}


@pytest.fixture(scope="module")
def ours(graph: onnx.ModelProto) -> dict[str, np.ndarray]:
    return vectors(graph, scene(0))


def slid(image: np.ndarray, weights: np.ndarray, *, padded: bool = True, stride: int = 1) -> np.ndarray:
    """image [H, W] below each kernel of weights [K, 1, h, w], [K, H', W']."""
    height, width = weights.shape[2:]
    if padded:
        image = np.pad(image, ((height // 2, height // 2), (width // 2, width // 2)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(image, (height, width))[::stride, ::stride]
    return np.einsum("yxhw,khw->kyx", windows, weights[:, 0].astype(np.float64), optimize=True)


def plain_banks(photo: np.ndarray) -> dict[str, list[np.ndarray]]:
    """The maps of each layer, [K, H, W] each."""
    rgb = photo.astype(np.float64).transpose(2, 0, 1)
    grey = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    blurred = []
    for size in (3, 5, 7, 9):
        row = kernels.gaussian(size).ravel()
        blurred.append(np.concatenate([slid(colour, np.outer(row, row)[np.newaxis, np.newaxis]) for colour in rgb]))
    edges = np.concatenate([slid(grey, kernels.horizontal()), slid(grey, kernels.vertical())]) / 3
    waves = [np.abs(slid(grey, kernels.gabor(length), stride=step)) for length, step in ((4, 2), (8, 4), (16, 8), (32, 8))]
    details, smaller = [], grey
    for _ in range(3):
        all_four = slid(smaller, kernels.haar(), padded=False, stride=2)
        details.append(np.abs(all_four[1:]))
        smaller = all_four[0]
    blocks = np.abs(slid(grey, kernels.dct(), padded=False, stride=8)) * kernels.dct_frequencies().reshape(-1, 1, 1)
    return {
        "lowpass": blurred,
        "highpass": [edges.clip(0, 255), np.abs(edges).clip(0, 255)],
        "gabor": waves,
        "haar": details,
        "dct": [blocks[1:].clip(0, 255)],
    }


def cells(maps: np.ndarray) -> np.ndarray:
    """[K, 4, 4, values of the cell]."""
    count, height, width = maps.shape
    return maps.reshape(count, 4, height // 4, 4, width // 4).transpose(0, 1, 3, 2, 4).reshape(count, 4, 4, -1)


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def test_every_layer_agrees_with_a_plain_implementation(ours: dict[str, np.ndarray]) -> None:
    banks = plain_banks(scene(0))
    assert tuple(banks) == LAYERS
    for layer, bank in banks.items():
        for pooling, reduced in POOLINGS[: 3 if layer == "lowpass" else 2]:
            expected = unit(np.concatenate([reduced(maps, axis=(1, 2)) for maps in bank]))
            np.testing.assert_allclose(ours[f"{layer}/{pooling}"], expected, atol=2e-5, err_msg=f"{layer}/{pooling}")
        expected = unit(np.concatenate([cells(maps).mean(axis=3).ravel() for maps in bank]))
        np.testing.assert_allclose(ours[f"{layer}/flat"], expected, atol=2e-5, err_msg=f"{layer}/flat")


def test_the_bundle_passes_the_self_test(models_dir: Path) -> None:
    self_test(open_bundle("filters", precision="fp32", folder=models_dir))


def test_the_joined_vector_weighs_layers_alike(ours: dict[str, np.ndarray]) -> None:
    parts = [ours[f"{layer}/flat"] for layer in LAYERS] + [ours["colour"]]
    np.testing.assert_allclose(ours["all"], np.concatenate(parts) / np.sqrt(len(parts)), atol=1e-5)


def nearness(place: float, bins: int, *, is_circle: bool = False) -> np.ndarray:
    distance = np.abs(place * (bins if is_circle else bins - 1) - np.arange(bins))
    return np.maximum(0, 1 - (np.minimum(distance, bins - distance) if is_circle else distance))


def test_the_histogram_agrees_with_a_plain_implementation(ours: dict[str, np.ndarray]) -> None:
    halved = scene(0).reshape(112, 2, 112, 2, 3).mean(axis=(1, 3)).reshape(-1, 3) / 255
    counts = np.zeros((18, 3, 3))
    for red, green, blue in halved.tolist():
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        near = (nearness(hue, 18, is_circle=True), nearness(saturation, 3), nearness(value, 3))
        counts += np.einsum("h,s,v->hsv", *near)
    np.testing.assert_allclose(ours["colour"], np.sqrt(counts / len(halved)).ravel(), atol=1e-4)


@pytest.mark.parametrize(
    ("colour", "place"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((255, 255, 255), (0, 0, 2)),
        ((255, 0, 0), (0, 2, 2)),
        ((255, 255, 0), (3, 2, 2)),
        ((0, 255, 0), (6, 2, 2)),
        ((0, 255, 255), (9, 2, 2)),
        ((0, 0, 255), (12, 2, 2)),
        ((255, 0, 255), (15, 2, 2)),
    ],
    ids=["black", "white", "red", "yellow", "green", "cyan", "blue", "magenta"],
)
def test_pure_colours_fill_one_bin(graph: onnx.ModelProto, colour: tuple[int, ...], place: tuple[int, ...]) -> None:
    histogram = vectors(graph, np.full((224, 224, 3), colour, np.uint8))["colour"].reshape(18, 3, 3)
    assert np.unravel_index(histogram.argmax(), histogram.shape) == place
    assert histogram[place] == pytest.approx(1, abs=1e-4)
