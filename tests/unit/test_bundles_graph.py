from pathlib import Path

import numpy as np
import pytest
from miradouro.bundles.build import build, serialized
from miradouro.bundles.catalogue import find
from miradouro.bundles.graph import GraphBuilder
from miradouro.bundles.quantization import Range
from miradouro.core.errors import BadBundle, InvalidArgument

from tests.networks import session_of

SIZE = 8
RANGES: dict[str, Range] = {"input": (0.0, 255.0), "edges": (0.0, 300.0)}


def vectors(ranges: dict[str, Range] | None, photos: np.ndarray, *, limit: float | None = None) -> np.ndarray:
    """Edges by a fixed convolution, rectified, halved, and their maxima as vectors of length 1."""
    graph = GraphBuilder(ranges)
    weights = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32) / 10
    x = graph.conv(
        graph.pixels("whole", height=SIZE, width=SIZE, mean=(0, 0, 0), scale=1),
        "edges.sum",
        weights,
        np.zeros(4, np.float32),
        pads=[1, 1, 1, 1],
    )
    x = graph.max_pool(graph.rectified(x, "edges", limit=limit), "pool", size=2, stride=2)
    graph.vector(graph.node("Flatten", [graph.node("GlobalMaxPool", [x], "maxima")], "flat"), "vector", 4)
    model = graph.model("edges")
    return session_of(serialized(model)).run(["vector"], {"whole": photos})[0]


def photos(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)


def test_int8_and_fp32_point_the_same_way() -> None:
    exact, rounded = vectors(None, photos()), vectors(RANGES, photos())
    assert ((exact * rounded).sum(axis=1) > 0.995).all()
    assert not np.array_equal(exact, rounded)


@pytest.mark.parametrize("ranges", [None, RANGES], ids=["fp32", "int8"])
def test_a_vector_without_activations_has_length_1(ranges: dict[str, Range] | None) -> None:
    np.testing.assert_allclose(vectors(ranges, np.zeros_like(photos())), 0.5, atol=1e-6)


def test_a_rectifiers_limit_holds_in_both_precisions() -> None:
    bright = np.full((1, SIZE, SIZE, 3), 255, np.uint8)
    for ranges in (None, {**RANGES, "edges": (0.0, 6.0)}):
        limited = vectors(ranges, bright, limit=6)
        assert limited.max() / limited[limited > 1e-3].min() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("bounds", "limit"), [((-1.0, 5.0), None), ((0.0, 6.5), 6.0)])
def test_a_range_beyond_the_rectifier_is_refused(bounds: Range, limit: float | None) -> None:
    with pytest.raises(ValueError, match="the range of edges is"):
        vectors({**RANGES, "edges": bounds}, photos(), limit=limit)


@pytest.mark.parametrize("name", ["vgg16-conv", "efficientnet-lite0"])
@pytest.mark.parametrize("content", [b"", b"no weights at all"], ids=["empty", "text"])
def test_a_source_of_another_kind_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "weights").write_bytes(content)
    with pytest.raises(BadBundle, match="weights: "):
        build(find(name), "fp32", [tmp_path / "weights"])


def test_an_unknown_recipe_error_lists_the_known_ones(tmp_path: Path) -> None:
    manifest = find("vgg16-conv")
    with pytest.raises(BadBundle, match="'resnet' is not a recipe; known are onnx, vgg16, vgg16-conv, efficientnet-lite0"):
        build(manifest.model_copy(update={"recipe": "resnet"}), "fp32", tmp_path)
    with pytest.raises(InvalidArgument, match="precision: 'fp64': vgg16-conv is offered in int8, fp32"):
        build(manifest, "fp64", tmp_path)
