"""Filters and poolings worked out by hand, by the nodes that the bundle `filters` is made of."""

from collections.abc import Callable

import numpy as np
import pytest
from miradouro.bundles.build import serialized
from miradouro.bundles.filters import kernels
from miradouro.bundles.filters.nodes import Maps, Pooling, absolute, convolved, flattened, greedily_pooled, pooled, rectified
from miradouro.bundles.graph import GraphBuilder

from tests.networks import session_of

STEP = [[255, 255, 0, 0]] * 5
CROSS = [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
BITS = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]
COUNTED = np.arange(1, 17).reshape(4, 4).tolist()
ABOVE_AND_RIGHT = [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
PI = [[3, 1, 4, 1], [5, 9, 2, 6], [5, 3, 5, 8], [9, 7, 9, 3]]

Step = Callable[[GraphBuilder, Maps], Maps]


def maps_of(picture: list[list[int]], *steps: Step) -> np.ndarray:
    """The maps [channels, height, width] that the steps make of a grey picture."""
    pixels = np.array(picture, np.uint8)
    height, width = pixels.shape
    graph = GraphBuilder(None)
    maps = Maps(graph.pixels("photo", height=height, width=width, mean=(0, 0, 0), scale=1), 3, height, width)
    for step in steps:
        maps = step(graph, maps)
    graph.output(maps.tensor, [maps.channels, maps.height, maps.width])
    photo = np.repeat(pixels[np.newaxis, :, :, np.newaxis], 3, axis=3)
    (found,) = session_of(serialized(graph.model("steps"))).run(None, {"photo": photo})
    return found[0]


def grey(maps: np.ndarray) -> list[list[float]]:
    """The one map of a picture whose red, green and blue are equal."""
    assert all(np.array_equal(maps[0], other) for other in maps[1:])
    return maps[0].tolist()


def kernel(rows: list[list[int]]) -> np.ndarray:
    return np.array(rows, np.float32)[np.newaxis, np.newaxis]


def by(weights: np.ndarray, name: str = "filtered", *, padded: bool = True, stride: int = 1) -> Step:
    return lambda graph, maps: convolved(graph, maps, name, weights, padded=padded, stride=stride)


def clipped(graph: GraphBuilder, maps: Maps) -> Maps:
    return rectified(graph, maps, "clipped")


def test_low_pass_blurs_an_edge() -> None:
    rows = kernels.gaussian(3)
    blurred = maps_of(STEP, by(rows, "rows"), by(rows.transpose(0, 1, 3, 2), "columns"), clipped)
    assert np.rint(grey(blurred)).tolist() == [[255, 191, 64, 0]] * 5
    whole = np.outer(rows, rows) * 16
    assert whole.tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


def test_horizontal_high_pass_ignores_a_vertical_edge() -> None:
    assert kernels.horizontal()[0, 0].tolist() == [[1, 1, 1], [0, 0, 0], [-1, -1, -1]]
    assert grey(maps_of(STEP, by(kernels.horizontal()), clipped)) == [[0, 0, 0, 0]] * 5


def test_vertical_high_pass_finds_a_vertical_edge() -> None:
    assert kernels.vertical()[0, 0].tolist() == [[1, 0, -1]] * 3
    assert grey(maps_of(STEP, by(kernels.vertical()), clipped)) == [[0, 255, 255, 0]] * 5


def test_a_kernel_counts_what_lies_below_it() -> None:
    assert grey(maps_of(BITS, by(kernel(CROSS), padded=False), clipped)) == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]


@pytest.mark.parametrize(
    ("padded", "stride", "expected"),
    [
        (True, 1, [[3, 5, 7, 8], [7, 9, 11, 12], [15, 17, 19, 20], [23, 25, 27, 28]]),
        (True, 2, [[3, 7], [15, 19]]),
        (True, 3, [[3, 8], [23, 28]]),
        (False, 1, [[9, 11], [17, 19]]),
        (False, 2, [[9]]),
    ],
)
def test_padding_and_stride_place_the_kernel(padded: bool, stride: int, expected: list[list[int]]) -> None:
    assert grey(maps_of(COUNTED, by(kernel(ABOVE_AND_RIGHT), padded=padded, stride=stride))) == expected


def test_a_wide_kernel_repeats_borders_on_its_sides_only() -> None:
    assert grey(maps_of([[1, 2], [3, 4]], by(kernel([[1, 1, 1]])))) == [[4, 5], [10, 11]]


def test_every_map_passes_every_kernel_in_order() -> None:
    both = np.concatenate([kernel([[1]]), kernel([[2]])])
    assert maps_of([[3]], by(both)).ravel().tolist() == [3, 6, 3, 6, 3, 6]


@pytest.mark.parametrize(
    ("step", "expected"),
    [(rectified, [[0, 255, 0, 0]]), (absolute, [[0, 255, 30, 255]])],
    ids=["relu", "absolute value"],
)
def test_rectifiers_end_between_black_and_white(step: Callable[[GraphBuilder, Maps, str], Maps], expected: list) -> None:
    """The kernel gives 0, 300, -30 and -330."""
    assert (
        grey(maps_of([[100, 100, 0, 110]], by(kernel([[3, 0, -3]])), lambda graph, maps: step(graph, maps, "step"))) == expected
    )


@pytest.mark.parametrize(
    ("pooling", "size", "stride", "expected"),
    [
        (Pooling.MAXIMUM, 2, 2, [[9, 6], [9, 9]]),
        (Pooling.MINIMUM, 2, 2, [[1, 1], [3, 3]]),
        (Pooling.AVERAGE, 2, 2, [[4.5, 3.25], [6, 6.25]]),
        (Pooling.MAXIMUM, 3, 1, [[9, 9], [9, 9]]),
        (Pooling.MINIMUM, 3, 1, [[1, 1], [2, 2]]),
        (Pooling.AVERAGE, 2, 1, [[4.5, 4, 3.25], [5.5, 4.75, 5.25], [6, 6, 6.25]]),
        (Pooling.MAXIMUM, 3, 2, [[9]]),
        (Pooling.MINIMUM, 1, 3, [[3, 1], [9, 3]]),
    ],
)
def test_pooling_keeps_one_value_per_window(pooling: Pooling, size: int, stride: int, expected: list) -> None:
    assert grey(maps_of(PI, lambda graph, maps: pooled(graph, maps, "pool", pooling, size=size, stride=stride))) == expected


@pytest.mark.parametrize(("pooling", "value"), [(Pooling.MAXIMUM, 9), (Pooling.MINIMUM, 1), (Pooling.AVERAGE, 5)])
def test_greedy_pooling_is_pooling_repeated(pooling: Pooling, value: float) -> None:
    def halved(name: str) -> Step:
        return lambda graph, maps: pooled(graph, maps, name, pooling, size=2, stride=2)

    def greedy(cells: int) -> np.ndarray:
        return maps_of(PI, lambda graph, maps: greedily_pooled(graph, maps, "greedy", pooling, cells=cells))

    assert grey(greedy(1)) == grey(maps_of(PI, halved("once"), halved("twice"))) == [[value]]
    assert grey(greedy(2)) == grey(maps_of(PI, halved("once")))


@pytest.mark.parametrize(("picture", "cells"), [(PI, 3), (STEP, 1)], ids=["a rest", "not square"])
def test_greedy_pooling_leaves_no_rest(picture: list[list[int]], cells: int) -> None:
    with pytest.raises(ValueError, match=f"have no {cells} x {cells} equal cells"):
        maps_of(picture, lambda graph, maps: greedily_pooled(graph, maps, "greedy", Pooling.AVERAGE, cells=cells))


def test_flattening_joins_maps_of_all_sizes() -> None:
    graph = GraphBuilder(None)
    photo = Maps(graph.pixels("photo", height=2, width=2, mean=(0, 0, 0), scale=1), 3, 2, 2)
    row, dimension = flattened(graph, [photo, greedily_pooled(graph, photo, "pool", Pooling.MAXIMUM, cells=1)], "flat")
    graph.output(row, [dimension])
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    (found,) = session_of(serialized(graph.model("flat"))).run(None, {"photo": pixels})
    assert dimension == 15
    assert found.tolist() == [[0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, 9, 10, 11]]


@pytest.mark.parametrize("size", kernels.GAUSSIAN_SIZES)
def test_gaussians_keep_the_mean_and_widen(size: int) -> None:
    weights = kernels.gaussian(size).ravel()
    places = np.arange(size) - size // 2
    assert weights.sum() == 1
    assert (weights * places**2).sum() == (size - 1) / 4
    assert weights.tolist() == weights[::-1].tolist()


def test_gabor_kernels_answer_to_their_own_waves() -> None:
    """A wave of each length and orientation has the strongest response in the kernel made for it."""
    y, x = np.mgrid[:300, :300]
    banks = [kernels.gabor(wavelength) for wavelength in kernels.WAVELENGTHS]
    for scale, wavelength in enumerate(kernels.WAVELENGTHS):
        for number in range(kernels.ORIENTATIONS):
            angle = number * np.pi / kernels.ORIENTATIONS
            wave = np.cos(2 * np.pi * ((x - 150) * np.cos(angle) + (y - 150) * np.sin(angle)) / wavelength)
            responses = []
            for bank in banks:
                reach = bank.shape[-1] // 2
                window = wave[150 - reach : 151 + reach, 150 - reach : 151 + reach]
                responses.append((bank[:, 0] * window).sum(axis=(1, 2)))
            assert np.unravel_index(np.argmax(responses), (4, 6)) == (scale, number)


@pytest.mark.parametrize("wavelength", kernels.WAVELENGTHS)
def test_gabor_kernels_ignore_even_areas(wavelength: int) -> None:
    bank = kernels.gabor(wavelength).astype(np.float64)
    assert bank.shape[:2] == (6, 1)
    np.testing.assert_allclose(bank.sum(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(bank.clip(min=0).sum(axis=(1, 2, 3)), 1, atol=1e-5)


def test_haar_and_dct_are_orthogonal_bases() -> None:
    for bank, length in ((kernels.haar(), 1 / 4), (kernels.dct(), 1)):
        flat = bank.reshape(len(bank), -1).astype(np.float64)
        assert flat.shape[0] == flat.shape[1]
        np.testing.assert_allclose(flat @ flat.T, np.eye(len(flat)) * length, atol=1e-6)


def test_dct_kernels_change_signs_with_their_frequencies() -> None:
    """Frequency u is the number of sign changes across, v that down."""
    for number, each in enumerate(kernels.dct()[:, 0]):
        v, u = divmod(number, 8)
        assert (np.diff(np.sign(each[0])) != 0).sum() == u
        assert (np.diff(np.sign(each[:, 0])) != 0).sum() == v
        assert kernels.dct_frequencies()[number] == pytest.approx(np.hypot(u, v))
