"""The layers of LeNet-5 in plain numpy: each one computes its output, and passes the gradient back.

The notation is that of LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", 1998.
Maps are float32 [N, maps, height, width]; dense values are float32 [N, units].
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

Array = npt.NDArray[np.float32]


class Layer(Protocol):
    """`parameters` and `gradients` are arrays of the same shapes, changed in place."""

    parameters: list[Array]
    gradients: list[Array]

    def forward(self, x: Array) -> Array:
        """The output; keeps what `backward` needs."""
        ...

    def backward(self, gradient: Array) -> Array:
        """The gradient of the loss by the input, from the one by the output; fills `gradients`."""
        ...


class Convolution:
    """`maps` feature maps from `inputs` maps, kernels of size x size, without padding.

    `connected`, bool [maps, inputs], names the inputs that each map sees; all by default.
    """

    def __init__(self, inputs: int, maps: int, size: int, random: np.random.Generator, connected: Array | None = None) -> None:
        self.connected = np.ones((maps, inputs), np.float32) if connected is None else connected
        seen = self.connected.sum(axis=1)[:, None, None, None] * size * size
        kernels = random.normal(0, 1, (maps, inputs, size, size)) / np.sqrt(seen) * self.connected[:, :, None, None]
        self.parameters = [kernels.astype(np.float32), np.zeros(maps, np.float32)]
        self.gradients = [np.zeros_like(one) for one in self.parameters]
        self._windows: Array = np.zeros(0, np.float32)
        self._shape: tuple[int, ...] = ()

    def forward(self, x: Array) -> Array:
        """See `Layer.forward`: each kernel is laid on each window of the input, multiplied and summed."""
        kernels, bias = self.parameters
        size = kernels.shape[2]
        windows = sliding_window_view(x, (size, size), axis=(2, 3))  # [N, inputs, height, width, size, size]
        n, _, height, width = windows.shape[:4]
        self._shape = x.shape
        self._windows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * height * width, -1)
        flat = self._windows @ kernels.reshape(len(kernels), -1).T + bias
        return np.ascontiguousarray(flat.reshape(n, height, width, -1).transpose(0, 3, 1, 2))

    def backward(self, gradient: Array) -> Array:
        """See `Layer.backward`."""
        kernels, _ = self.parameters
        maps, _, size, _ = kernels.shape
        n, _, height, width = gradient.shape
        flat = gradient.transpose(0, 2, 3, 1).reshape(-1, maps)
        by_kernels = (flat.T @ self._windows).reshape(kernels.shape)
        self.gradients[0][...] = by_kernels * self.connected[:, :, None, None]
        self.gradients[1][...] = flat.sum(axis=0)
        by_window = (flat @ kernels.reshape(maps, -1)).reshape(n, height, width, -1, size, size)
        by_input = np.zeros(self._shape, np.float32)
        for i in range(size):
            for j in range(size):
                by_input[:, :, i : i + height, j : j + width] += by_window[..., i, j].transpose(0, 3, 1, 2)
        return by_input


class Subsampling:
    """Halves each map: the mean of 2 x 2 values, times a learned factor, plus a learned bias."""

    def __init__(self, maps: int) -> None:
        self.parameters = [np.ones(maps, np.float32), np.zeros(maps, np.float32)]
        self.gradients = [np.zeros_like(one) for one in self.parameters]
        self._means: Array = np.zeros(0, np.float32)

    def forward(self, x: Array) -> Array:
        """See `Layer.forward`."""
        n, maps, height, width = x.shape
        self._means = x.reshape(n, maps, height // 2, 2, width // 2, 2).mean(axis=(3, 5))
        factor, bias = (one[:, None, None] for one in self.parameters)
        return np.asarray(self._means * factor + bias, np.float32)

    def backward(self, gradient: Array) -> Array:
        """See `Layer.backward`."""
        self.gradients[0][...] = (gradient * self._means).sum(axis=(0, 2, 3))
        self.gradients[1][...] = gradient.sum(axis=(0, 2, 3))
        by_mean = np.asarray(gradient * self.parameters[0][:, None, None] / 4, np.float32)
        return by_mean.repeat(2, axis=2).repeat(2, axis=3)


class Dense:
    """`units` weighted sums of all inputs; maps are flattened first."""

    def __init__(self, inputs: int, units: int, random: np.random.Generator) -> None:
        weights = random.normal(0, 1 / np.sqrt(inputs), (inputs, units))
        self.parameters = [weights.astype(np.float32), np.zeros(units, np.float32)]
        self.gradients = [np.zeros_like(one) for one in self.parameters]
        self._x: Array = np.zeros(0, np.float32)
        self._shape: tuple[int, ...] = ()

    def forward(self, x: Array) -> Array:
        """See `Layer.forward`."""
        self._shape = x.shape
        self._x = x.reshape(len(x), -1)
        return np.asarray(self._x @ self.parameters[0] + self.parameters[1], np.float32)

    def backward(self, gradient: Array) -> Array:
        """See `Layer.backward`."""
        self.gradients[0][...] = self._x.T @ gradient
        self.gradients[1][...] = gradient.sum(axis=0)
        return (gradient @ self.parameters[0].T).reshape(self._shape)


class Squash:
    """The activation of 1998: 1.7159 tanh(2/3 x), which maps ±1 to ±1."""

    amplitude, slope = 1.7159, 2 / 3

    def __init__(self) -> None:
        self.parameters: list[Array] = []
        self.gradients: list[Array] = []
        self._y: Array = np.zeros(0, np.float32)

    def forward(self, x: Array) -> Array:
        """See `Layer.forward`."""
        self._y = np.asarray(self.amplitude * np.tanh(self.slope * x), np.float32)
        return self._y

    def backward(self, gradient: Array) -> Array:
        """See `Layer.backward`."""
        return gradient * np.float32(self.slope) * (self.amplitude - self._y**2 / np.float32(self.amplitude))
