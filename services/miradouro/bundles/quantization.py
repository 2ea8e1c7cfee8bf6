"""Arithmetic of static int8: activations uint8 per tensor, weights int8 per output channel, bias int32.

Without VNNI an x86 CPU multiplies uint8 by int8 and adds two neighbouring products in int16, which saturates at 32,767. So the
sum of two neighbouring weights must not exceed 128 levels (255 × 128 = 32,640). The usual solution is 7-bit weights. Here each
channel's scale is as fine as its own neighbours allow, which loses a third as much.
"""

import numpy as np
import numpy.typing as npt

from miradouro.core.document import Float32

Range = tuple[float, float]
_ACTIVATION_LEVELS = 255
_WEIGHT_LEVELS = 127  # also of two neighbours together; rounding adds at most one level to their sum
_BIAS_LEVELS = 2**30


def activation_parameters(bounds: Range) -> tuple[np.float32, np.uint8]:
    """Scale and zero point that spread 256 levels over `bounds`; 0 is always a level, since convolutions pad with it."""
    low, high = min(bounds[0], 0.0), max(bounds[1], 0.0)
    scale = np.float32((high - low) / _ACTIVATION_LEVELS) or np.float32(1)
    return scale, np.uint8(np.rint(-low / float(scale)).clip(0, _ACTIVATION_LEVELS))


def quantize_weights(weights: Float32, bias: Float32, input_scale: np.float32) -> tuple[npt.NDArray[np.int8], Float32]:
    """int8 levels [out, in, k, k] and float32 scales [out].

    A scale grows where the channel's bias would not fit into int32 otherwise.
    """
    channels = weights.shape[0]
    # Neighbours in both orders in which kernels sum: channels first, and channels last.
    orders = [weights.reshape(channels, -1), weights.transpose(0, 2, 3, 1).reshape(channels, -1)]
    sums = [np.abs(order[:, 1:] + order[:, :-1]).max(axis=1, initial=0) for order in orders]
    magnitudes = np.maximum.reduce([np.abs(orders[0]).max(axis=1), *sums])
    scales = np.maximum(magnitudes / np.float32(_WEIGHT_LEVELS), np.abs(bias) / np.float32(_BIAS_LEVELS) / input_scale)
    scales = np.where(scales > 0, scales, np.float32(1)).astype(np.float32)
    return np.rint(weights / scales.reshape(-1, 1, 1, 1)).astype(np.int8), scales


def quantize_bias(bias: Float32, input_scale: np.float32, weight_scales: Float32) -> npt.NDArray[np.int32]:
    """int32 levels [out] in steps of input scale × weight scale, the unit that the convolution sums in."""
    return np.rint(bias.astype(np.float64) / (input_scale * weight_scales)).astype(np.int32)
