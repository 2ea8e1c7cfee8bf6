import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from miradouro.bundles.quantization import activation_parameters, quantize_bias, quantize_weights

WEIGHTS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 5), *[st.shared(st.sampled_from([1, 3]), key="size")] * 2),
    elements=st.floats(-8, 8, width=32),
)


@given(low=st.floats(-1e4, 1e4), high=st.floats(-1e4, 1e4))
def test_levels_include_zero_and_cover_the_range(low: float, high: float) -> None:
    span = max(low, high, 0) - min(low, high, 0)
    assume(span == 0 or span > 1e-30)  # float32 has fewer digits below that; no activation is as small
    scale, zero_point = activation_parameters((min(low, high), max(low, high)))
    covered = (-float(zero_point) * float(scale), (255 - float(zero_point)) * float(scale))
    assert scale > 0
    assert covered[0] <= min(low, high, 0) + 0.51 * scale
    assert covered[1] >= max(low, high, 0) - 0.51 * scale


def test_pixels_of_lite0_keep_all_256_levels() -> None:
    scale, zero_point = activation_parameters((-127 / 128, 1.0))
    assert (scale, zero_point) == (np.float32(1 / 128), 127)


@given(WEIGHTS)
def test_products_of_neighbours_never_saturate_int16(weights: np.ndarray) -> None:
    levels, _ = quantize_weights(weights, np.zeros(len(weights), np.float32), np.float32(0.1))
    assert levels.min() >= -128
    for order in (levels, levels.transpose(0, 2, 3, 1)):
        flat = order.reshape(len(levels), -1).astype(np.int32)
        assert np.abs(flat).max() * 255 <= 32_767
        assert np.abs(flat[:, 1:] + flat[:, :-1]).max(initial=0) * 255 <= 32_767


@given(WEIGHTS)
def test_weights_are_restored_within_half_a_step(weights: np.ndarray) -> None:
    levels, scales = quantize_weights(weights, np.zeros(len(weights), np.float32), np.float32(0.1))
    error = np.abs(levels * scales.reshape(-1, 1, 1, 1) - weights).max(axis=(1, 2, 3))
    assert (error <= 0.501 * scales).all()
    assert (scales[np.abs(weights).max(axis=(1, 2, 3)) > 1e-3] <= 2 * 8 / 127 + 1e-6).all()


def test_a_lone_weight_uses_all_127_levels() -> None:
    weights = np.zeros((2, 4, 1, 1), np.float32)
    weights[0, 1], weights[1, :2] = 1, 1
    levels, _ = quantize_weights(weights, np.zeros(2, np.float32), np.float32(1))
    assert levels[0].ravel().tolist() == [0, 127, 0, 0]
    assert levels[1].ravel().tolist() == [64, 64, 0, 0]


@pytest.mark.parametrize("bias", [0.0, 3.7, -123.4, 1e6])
def test_a_bias_comes_back_and_never_overflows_int32(bias: float) -> None:
    weights, biases, scale = np.full((1, 1, 1, 1), 1e-7, np.float32), np.array([bias], np.float32), np.float32(1e-3)
    _, scales = quantize_weights(weights, biases, scale)
    levels = quantize_bias(biases, scale, scales)
    assert levels.dtype == np.int32
    assert levels[0] * float(scale) * float(scales[0]) == pytest.approx(bias, rel=1e-5, abs=1e-9)
