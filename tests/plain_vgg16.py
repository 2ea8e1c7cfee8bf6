"""VGG16 as the paper describes it, in plain numpy and float64: the measure for every graph of it."""

from collections.abc import Mapping

import numpy as np

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BLOCKS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))  # torchvision's numbers of the convolutions


def forward(state: Mapping[str, np.ndarray], photos: np.ndarray) -> dict[str, np.ndarray]:
    """Every layer by name, of uint8 [N, 224, 224, 3] RGB: pool1 … pool5 [N, H, W, C], fc6, fc7 and softmax [N, D].

    `state` holds torchvision's names: features.0.weight [out, in, 3, 3] … classifier.6.bias [out].
    """
    x = (photos / 255 - MEAN) / DEVIATION
    layers = {}
    for number, block in enumerate(BLOCKS, start=1):
        for index in block:
            x = np.maximum(_convolution(x, state[f"features.{index}.weight"]) + state[f"features.{index}.bias"], 0)
        x = _halved(x)
        layers[f"pool{number}"] = x
    x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)  # channel, row, column
    for name, index in (("fc6", 0), ("fc7", 3)):
        x = np.maximum(_dense(x, state, index), 0)
        layers[name] = x
    logits = _dense(x, state, 6)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    layers["softmax"] = powers / powers.sum(axis=1, keepdims=True)
    return layers


def _convolution(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """x [N, H, W, in] by weights [out, in, 3, 3], with a border of zeros."""
    _, height, width, _ = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return sum(
        padded[:, row : row + height, column : column + width] @ weights[:, :, row, column].T.astype(np.float64)
        for row in range(3)
        for column in range(3)
    )


def _halved(x: np.ndarray) -> np.ndarray:
    """The maxima of 2 x 2 pixels."""
    photos, height, width, channels = x.shape
    return x.reshape(photos, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


def _dense(x: np.ndarray, state: Mapping[str, np.ndarray], index: int) -> np.ndarray:
    return x @ state[f"classifier.{index}.weight"].T.astype(np.float64) + state[f"classifier.{index}.bias"]
