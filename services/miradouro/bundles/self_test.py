"""Runs a new bundle on generated pictures, before it is used: it must be whole, deterministic, and see a difference."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from miradouro.bundles.registry import OpenBundle
from miradouro.core.document import Float32
from miradouro.core.errors import BadBundle, ConfigurationError

PICTURES = 10
_CELLS = 6  # of the noise that makes a picture's large shapes
_SAME = 1e-4  # Euclidean distance of unit vectors that rounding alone may cause
_BATCH = 1e-2  # kernels for a batch may add in another order, and int8 may round to another level


def self_test(bundle: OpenBundle) -> None:
    """Raises BadBundle when onnxruntime can't run the bundle, or its vectors or labels are not usable.

    Checked: shapes, finite numbers, the same vectors for the same picture, alone and in a batch, and other vectors for other
    pictures. Raises ConfigurationError without onnxruntime.
    """
    outputs = [*bundle.outputs.values(), *([bundle.tag_output] if bundle.tag_output else [])]
    runs = _Runs(bundle, outputs)
    pictures = [_picture_of(bundle, seed) for seed in range(PICTURES)]
    each = [runs(one) for one in pictures]
    again = runs(pictures[0])
    pair = runs({name: np.concatenate([one[name] for one in pictures[:2]]) for name in pictures[0]})
    name = bundle.description.name
    for output in outputs:
        found = np.concatenate([values[output] for values in each])
        _check_numbers(bundle, output, found)
        if not np.array_equal(again[output], each[0][output]):
            raise BadBundle(f"{name}: {output} of one picture differs between two runs; remove random operators")
        if np.abs(pair[output] - found[:2]).max() > _BATCH:
            raise BadBundle(f"{name}: {output} of a picture depends on the others of its batch; export it anew")
    for space in bundle.description.spaces:
        vectors = np.concatenate([values[bundle.outputs[space.name]] for values in each]).reshape(PICTURES, -1)
        if np.linalg.norm(vectors - vectors[0], axis=1).max() <= _SAME:
            raise BadBundle(
                f"{space.name}: {PICTURES} different pictures have the same vector; check scale, mean and std of [input], and "
                "that the file holds trained weights"
            )


def _check_numbers(bundle: OpenBundle, output: str, found: Float32) -> None:
    name = bundle.description.name
    if not np.isfinite(found).all():
        raise BadBundle(f"{name}: {output} is not finite; check scale, mean and std of [input], and the weights")
    if output == bundle.tag_output:
        if found.shape != (PICTURES, len(bundle.labels)):
            classes, labels = found.shape[-1], len(bundle.labels)
            raise BadBundle(f"{name}: {output} has {classes} classes, the label table {labels}; correct [tags]")
        if found.min() < 0 or np.abs(found.sum(axis=1) - 1).max() > _BATCH:
            raise BadBundle(f"{name}: {output} is no distribution (0 to 1, with the sum 1); set softmax = true in [tags]")
        return
    space = next(each for each in bundle.description.spaces if bundle.outputs[each.name] == output)
    expected = (PICTURES, space.vectors_per_photo, space.dimension) if space.regions else (PICTURES, space.dimension)
    if found.shape != expected:
        raise BadBundle(f"{name}: {output} is {list(found.shape[1:])}, expected {list(expected[1:])}; correct the manifest")


class _Runs:
    """Runs the model file of a bundle."""

    def __init__(self, bundle: OpenBundle, outputs: list[str]) -> None:
        try:
            import onnxruntime  # lazy: an extra
        except ImportError as exc:
            raise ConfigurationError("onnxruntime is not installed; install miradouro[cpu] or miradouro[gpu]") from exc
        self._name, self._outputs = bundle.description.name, outputs
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            self._session: Any = onnxruntime.InferenceSession(str(bundle.path), options, providers=["CPUExecutionProvider"])
        except Exception as exc:  # onnxruntime has no public base class for its errors
            raise BadBundle(f"{self._name}: onnxruntime can't load the graph: {exc}") from exc
        self._inputs = [taken.name for taken in self._session.get_inputs()]

    def __call__(self, pictures: Mapping[str, npt.NDArray[np.uint8]]) -> dict[str, Float32]:
        """Every output by name."""
        try:
            values = self._session.run(self._outputs, {name: pictures[name] for name in self._inputs})
        except Exception as exc:  # as above
            raise BadBundle(f"{self._name}: onnxruntime can't run the graph on pictures of this geometry: {exc}") from exc
        return dict(zip(self._outputs, values, strict=True))


def _picture_of(bundle: OpenBundle, seed: int) -> dict[str, npt.NDArray[np.uint8]]:
    return {name: picture(seed, geometry.height, geometry.width)[np.newaxis] for geometry, name in bundle.inputs.items()}


def picture(seed: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """A picture of coloured patches under a little noise, uint8 [height, width, 3]; the same for the same seed."""
    random = np.random.default_rng(seed)
    patches = random.integers(0, 256, (_CELLS, _CELLS, 3))
    rows, columns = (np.arange(size) * _CELLS // size for size in (height, width))
    noise = random.integers(-16, 17, (height, width, 3))
    return (patches[rows][:, columns] + noise).clip(0, 255).astype(np.uint8)
