"""Recipe: features by hand-made kernels, pooled and flattened, and a colour histogram.

    photo ─► grey or RGB maps ─► convolution ─► ReLU or absolute value ─► greedy pooling ─► flatten ─► L2-normalised vector

A layer is a bank of kernels. Its poolings `avg`, `max` and `min` leave one value per map, `flat` leaves the averages of 4 x 4
cells of the photo, as GIST does (Oliva & Torralba, Int. J. Computer Vision 42(3), 2001).
"""

from collections.abc import Sequence

import numpy as np

from miradouro.bundles.filters import kernels
from miradouro.bundles.filters.hsv_histogram import BINS, hsv_histogram
from miradouro.bundles.filters.nodes import Maps, Pooling, absolute, convolved, flattened, greedily_pooled, pooled, rectified
from miradouro.bundles.graph import GraphBuilder
from miradouro.bundles.ingredients import Built, Ingredients
from miradouro.core.errors import BadBundle

_SIZE = 224
_CELLS = 4
_HAAR_LEVELS = 3
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def build(ingredients: Ingredients) -> Built:
    """The model: uint8 [N, 224, 224, 3] RGB to the vectors of every layer and pooling, and `all`. It needs no weights.

    Raises BadBundle when the manifest names sources.
    """
    if ingredients.sources:
        raise BadBundle(f"{ingredients.manifest.name}: recipe filters takes no weights; remove [[sources]] from the manifest")
    graph = GraphBuilder(None)
    rgb = Maps(graph.pixels("whole", height=_SIZE, width=_SIZE, mean=(0, 0, 0), scale=1), 3, _SIZE, _SIZE)
    grey = _grey(graph, rgb)
    parts = [
        _bank_vectors(graph, _lowpass(graph, rgb), "lowpass", poolings=tuple(Pooling)),
        _bank_vectors(graph, _highpass(graph, grey), "highpass"),
        _bank_vectors(graph, _gabor(graph, grey), "gabor"),
        _bank_vectors(graph, _haar(graph, grey), "haar"),
        _bank_vectors(graph, _dct(graph, grey), "dct"),
        _colour(graph, rgb),
    ]
    together = graph.node("Concat", [vector for vector, _ in parts], "all.joined", axis=1)
    graph.vector(together, "all", sum(dimension for _, dimension in parts))
    return graph.model("filters"), {}


def _grey(graph: GraphBuilder, rgb: Maps) -> Maps:
    weights = graph.constant("grey.weights", np.array(_LUMA, np.float32).reshape(1, 3, 1, 1))
    return Maps(graph.node("Conv", [rgb.tensor, weights], "grey", kernel_shape=[1, 1]), 1, rgb.height, rgb.width)


def _lowpass(graph: GraphBuilder, rgb: Maps) -> list[Maps]:
    """Gaussians of four sizes over each colour. Rows and columns are smoothed in turn: 2 n products in place of n squared."""
    found = []
    for size in kernels.GAUSSIAN_SIZES:
        kernel = kernels.gaussian(size)
        rows = convolved(graph, rgb, f"lowpass{size}.rows", kernel)
        found.append(convolved(graph, rows, f"lowpass{size}", kernel.transpose(0, 1, 3, 2)))
    return found


def _highpass(graph: GraphBuilder, grey: Maps) -> list[Maps]:
    """ReLU keeps the edges that are bright above, or left; the absolute value keeps all.

    The kernels are divided by 3: sharp edges would all end at 255 otherwise.
    """
    weights = (np.concatenate([kernels.horizontal(), kernels.vertical()]) / 3).astype(np.float32)
    edges = convolved(graph, grey, "highpass", weights)
    return [rectified(graph, edges, "highpass.relu"), absolute(graph, edges, "highpass.abs")]


def _gabor(graph: GraphBuilder, grey: Maps) -> list[Maps]:
    """Two places per wave suffice for averages of the response; at most 8 pixels apart, so that 4 x 4 cells divide the map."""
    found = []
    for wavelength in kernels.WAVELENGTHS:
        name = f"gabor{wavelength}"
        waves = convolved(graph, grey, f"{name}.waves", kernels.gabor(wavelength), stride=min(wavelength // 2, 8))
        found.append(absolute(graph, waves, name))
    return found


def _haar(graph: GraphBuilder, grey: Maps) -> list[Maps]:
    """The details of each level; the mean goes on to the next (Mallat, IEEE Trans. PAMI 11(7), 1989)."""
    mean, details = kernels.haar()[:1], kernels.haar()[1:]
    found = []
    for level in range(1, _HAAR_LEVELS + 1):
        waves = convolved(graph, grey, f"haar{level}.waves", details, padded=False, stride=2)
        found.append(absolute(graph, waves, f"haar{level}"))
        if level < _HAAR_LEVELS:
            grey = convolved(graph, grey, f"haar{level}.mean", mean, padded=False, stride=2)
    return found


def _dct(graph: GraphBuilder, grey: Maps) -> list[Maps]:
    """63 frequencies of blocks of 8 x 8 pixels; the 64th is the mean, which `lowpass` has.

    The amplitudes of photos fall with the frequency f as 1 / f (Field, J. Opt. Soc. Am. A 4(12), 1987); times f, all count.
    """
    weights = kernels.dct() * kernels.dct_frequencies().reshape(-1, 1, 1, 1)
    waves = convolved(graph, grey, "dct.waves", weights[1:], padded=False, stride=kernels.DCT_SIZE)
    return [absolute(graph, waves, "dct")]


def _colour(graph: GraphBuilder, rgb: Maps) -> tuple[str, int]:
    """Of averages of 2 x 2 pixels: grain would count as colour."""
    halved = pooled(graph, rgb, "colour.halved", Pooling.AVERAGE, size=2, stride=2)
    return graph.vector(hsv_histogram(graph, halved), "colour", BINS), BINS


def _bank_vectors(
    graph: GraphBuilder,
    bank: Sequence[Maps],
    layer: str,
    *,
    poolings: Sequence[Pooling] = (Pooling.AVERAGE, Pooling.MAXIMUM),
) -> tuple[str, int]:
    """Adds the outputs of a layer. Returns the vector `flat` and its dimension.

    The minimum is for `lowpass` alone: that of rectified maps is close to 0 in every photo.
    """
    for pooling in poolings:
        _vector(graph, bank, f"{layer}/{pooling}", pooling, cells=1)
    return _vector(graph, bank, f"{layer}/flat", Pooling.AVERAGE, cells=_CELLS)


def _vector(graph: GraphBuilder, bank: Sequence[Maps], name: str, pooling: Pooling, *, cells: int) -> tuple[str, int]:
    groups = [greedily_pooled(graph, maps, f"{name}.pooled{number}", pooling, cells=cells) for number, maps in enumerate(bank)]
    row, dimension = flattened(graph, groups, name)
    return graph.vector(row, name, dimension), dimension
