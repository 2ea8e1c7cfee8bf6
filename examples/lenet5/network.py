"""LeNet-5, in the topology of 1998, and its training by back-propagation.

32 x 32 ─► C1: 6 maps of 28 x 28 ─► S2: 14 x 14 ─► C3: 16 maps of 10 x 10 ─► S4: 5 x 5 ─► C5: 120 ─► F6: 84 ─► 10 digits

One thing differs from the paper: the last layer is a softmax, in place of distances from hand-drawn prototypes.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from examples.lenet5.layers import Array, Convolution, Dense, Layer, Squash, Subsampling

CLASSES = 10
SHIFT = 2  # pixels; the margin of the pictures
# The inputs of each map of C3: table I of the paper. Maps that see different inputs learn different things.
SEEN_BY_C3 = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5),
)  # fmt: skip


def lenet5(random: np.random.Generator) -> dict[str, Layer]:
    """The untrained layers by name, in their order."""
    connected = np.zeros((16, 6), np.float32)
    for number, inputs in enumerate(SEEN_BY_C3):
        connected[number, list(inputs)] = 1
    return {
        "C1": Convolution(1, 6, 5, random),
        "C1 squashed": Squash(),
        "S2": Subsampling(6),
        "S2 squashed": Squash(),
        "C3": Convolution(6, 16, 5, random, connected),
        "C3 squashed": Squash(),
        "S4": Subsampling(16),
        "S4 squashed": Squash(),
        "C5": Convolution(16, 120, 5, random),
        "C5 squashed": Squash(),
        "F6": Dense(120, 84, random),
        "F6 squashed": Squash(),
        "output": Dense(84, CLASSES, random),
    }


def logits_of(layers: dict[str, Layer], digits: Array) -> Array:
    """Logits float32 [N, 10] of digits float32 [N, 1, 32, 32]."""
    value = digits
    for layer in layers.values():
        value = layer.forward(value)
    return value


def softmax(logits: Array) -> Array:
    """Probabilities along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def train(
    layers: dict[str, Layer],
    digits: Array,
    labels: npt.NDArray[np.int64],
    random: np.random.Generator,
    *,
    epochs: int = 12,
    batch: int = 8,
    step: float = 0.01,
    momentum: float = 0.9,
) -> Iterator[float]:
    """Descends the gradient of the cross-entropy; yields the mean loss of each epoch. The steps shrink to 0 linearly."""
    moving = [[np.zeros_like(one) for one in layer.parameters] for layer in layers.values()]
    batches = -(-len(digits) // batch)
    for epoch in range(epochs):
        losses = []
        for number, chosen in enumerate(np.array_split(random.permutation(len(digits)), batches)):
            # A digit drawn a little elsewhere is the same digit.
            moved = np.roll(digits[chosen], tuple(random.integers(-SHIFT, SHIFT + 1, 2)), axis=(2, 3))
            probabilities = softmax(logits_of(layers, moved))
            rows = np.arange(len(chosen))
            losses.append(-float(np.log(probabilities[rows, labels[chosen]] + 1e-9).mean()))
            gradient = probabilities
            gradient[rows, labels[chosen]] -= 1
            gradient /= np.float32(len(chosen))
            for layer in reversed(layers.values()):
                gradient = layer.backward(gradient)
            size = step * (1 - (epoch + number / batches) / epochs)
            for layer, velocities in zip(layers.values(), moving, strict=True):
                for parameter, by_it, velocity in zip(layer.parameters, layer.gradients, velocities, strict=True):
                    velocity *= np.float32(momentum)
                    velocity -= np.float32(size) * by_it
                    parameter += velocity
        yield sum(losses) / len(losses)
