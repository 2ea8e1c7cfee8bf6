"""Measures activation ranges for static int8: `python -m miradouro.development.calibrate PHOTOS`.

Runs the fp32 graphs over photos and writes the smallest and largest value of every activation into the manifests of the
repository. The int8 models are built from these ranges without photos. New ranges give new provenances, so this is run seldom.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from tqdm import tqdm

from miradouro.bundles.build import build, serialized
from miradouro.bundles.catalogue import manifests
from miradouro.bundles.manifest import MODELS, Manifest
from miradouro.bundles.progress import default_progress
from miradouro.bundles.pull import source_paths
from miradouro.bundles.quantization import Range
from miradouro.bundles.settings import BundleSettings
from miradouro.core.embedding import Tensor
from miradouro.core.errors import NotFound
from miradouro.core.spaces import Geometry

_HEADER = "# Written by miradouro.development.calibrate; nothing may follow.\n"
_SEED = 0


def calibrate(photos: Path, count: int, *, decode: Callable[[bytes, Geometry], Tensor]) -> None:
    """Calibrates every bundle on `count` photos below a folder, drawn with a fixed seed; `decode` fits one into a geometry.

    Raises NotFound when there are none.
    """
    files = sorted(path for path in photos.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
    if not files:
        raise NotFound(f"{photos} holds no photos; name a folder of JPEG, PNG, WebP or AVIF files")
    sample = random.Random(_SEED).sample(files, min(count, len(files)))  # noqa: S311 - a sample, no secret
    for manifest in manifests():
        geometries = manifest.described_geometries()
        tensors = ({name: decode(path.read_bytes(), each) for name, each in geometries.items()} for path in sample)
        _write(manifest, len(sample), measure(manifest, tqdm(tensors, total=len(sample), desc=manifest.name)))


def measure(manifest: Manifest, tensors: Iterable[Mapping[str, Tensor]]) -> dict[str, Range]:
    """Smallest and largest value of each activation over the tensors, to six digits; `tensors` are by the name of the input."""
    model, activations = build(manifest, "fp32", source_paths(manifest, BundleSettings().folder, default_progress()))
    present = {output.name for output in model.graph.output}
    model.graph.output.extend(
        helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None) for tensor in activations.values() if tensor not in present
    )
    session = onnxruntime.InferenceSession(serialized(model), providers=["CPUExecutionProvider"])
    lows = dict.fromkeys(activations, np.inf)
    highs = dict.fromkeys(activations, -np.inf)
    for tensor in tensors:
        values = session.run(list(activations.values()), {name: each[np.newaxis] for name, each in tensor.items()})
        for name, value in zip(activations, values, strict=True):
            lows[name] = min(lows[name], float(value.min()))
            highs[name] = max(highs[name], float(value.max()))
    return {name: (float(f"{lows[name]:.6g}"), float(f"{highs[name]:.6g}")) for name in activations}


def _write(manifest: Manifest, photos: int, ranges: Mapping[str, Range]) -> None:
    path = MODELS / f"{manifest.name}.toml"
    kept = path.read_text(encoding="utf-8").partition(_HEADER)[0]
    rows = "".join(f'"{name}" = [{low}, {high}]\n' for name, (low, high) in ranges.items())
    calibration = f'[calibration]\nphotos = {photos}\nmethod = "smallest and largest value"\n\n[calibration.ranges]\n{rows}'
    path.write_text(f"{kept}{_HEADER}{calibration}", encoding="utf-8")
