"""Back-propagation of the example LeNet-5, its ONNX graph, and the snippets of the page on networks."""

import contextlib
import io
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from examples.lenet5.export import export
from examples.lenet5.layers import Convolution, Dense, Layer, Squash, Subsampling
from examples.lenet5.network import SEEN_BY_C3, lenet5, logits_of
from tests.documentation import marked

STEP = 1e-2


def random() -> np.random.Generator:
    return np.random.default_rng(4)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Convolution(2, 3, 3, random(), np.array([[1, 0], [0, 1], [1, 1]], np.float32)), (2, 2, 5, 6)),
        (Subsampling(2), (2, 2, 4, 6)),
        (Dense(12, 3, random()), (2, 3, 2, 2)),
        (Squash(), (2, 3, 2, 2)),
    ],
    ids=["convolution", "subsampling", "dense", "squash"],
)
def test_gradients_equal_differences(layer: Layer, shape: tuple[int, ...]) -> None:
    draw = random()
    x = draw.normal(size=shape).astype(np.float32)
    weights = draw.normal(size=layer.forward(x).shape).astype(np.float32)  # the loss is the weighted sum of the output
    by_input = layer.backward(weights)
    for values, gradient in [(x, by_input), *zip(layer.parameters, [one.copy() for one in layer.gradients], strict=True)]:
        for at in np.ndindex(*values.shape):
            was = values[at]
            if was == 0 and isinstance(layer, Convolution) and values.ndim == 4 and values is not x:
                continue  # not connected
            values[at] = was + STEP
            above = float((layer.forward(x) * weights).sum())
            values[at] = was - STEP
            below = float((layer.forward(x) * weights).sum())
            values[at] = was
            assert gradient[at] == pytest.approx((above - below) / (2 * STEP), abs=2e-2)


def test_c3_sees_only_what_the_paper_connects() -> None:
    layers = lenet5(random())
    x = random().normal(size=(4, 1, 32, 32)).astype(np.float32)
    gradient = logits_of(layers, x)
    for layer in reversed(layers.values()):
        gradient = layer.backward(gradient)
    kernels, by_it = layers["C3"].parameters[0], layers["C3"].gradients[0]
    seen = [tuple(int(i) for i in np.flatnonzero(np.abs(one).sum(axis=(1, 2)))) for one in kernels]
    assert tuple(seen) == SEEN_BY_C3
    assert not by_it[kernels == 0].any()


def test_the_graph_computes_what_the_layers_do(tmp_path: Path) -> None:
    layers = lenet5(random())
    export(layers, tmp_path / "lenet5.onnx")
    x = random().normal(size=(3, 1, 32, 32)).astype(np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "lenet5.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"digits": x})[0], logits_of(layers, x), atol=1e-4)


def test_the_snippets_on_networks_print_what_they_say() -> None:
    known: dict[str, object] = {}
    for snippet, output in zip(marked("networks"), marked("networks_output"), strict=True):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(snippet, known)  # the page's own
        assert printed.getvalue() == output
