"""Measures activation ranges for static int8: the smallest and largest value of every activation over photos.

Runs the fp32 graph. The int8 model is built from the ranges, without photos. New ranges give new provenances, so this is run
seldom: for the bundles of the repository by `python -m miradouro.development.calibrate PHOTOS`, which writes their manifests; for
one bundle of this machine by `miradouro models quantize`.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper
from tqdm import tqdm

from miradouro.bundles.build import build, serialized
from miradouro.bundles.catalogue import find, manifests, origin
from miradouro.bundles.manifest import MODELS, Calibration, Manifest
from miradouro.bundles.own_parts import own_parts, with_parts, write_own_parts
from miradouro.bundles.progress import Progress, default_progress
from miradouro.bundles.pull import pull_built, source_paths
from miradouro.bundles.quantization import Range
from miradouro.bundles.registry import OpenBundle
from miradouro.bundles.settings import BundleSettings
from miradouro.core.embedding import Tensor
from miradouro.core.errors import BadPhoto, ConfigurationError, InvalidArgument, NotFound
from miradouro.core.spaces import Geometry
from miradouro.runtime.settings import load

_HEADER = "# Written by miradouro.development.calibrate; nothing may follow.\n"
_METHOD = "smallest and largest value"
_SEED = 0

Decode = Callable[[bytes, Geometry], Tensor]  # fits a photo into a geometry; raises BadPhoto


def calibrate(photos: Path, count: int, *, decode: Decode) -> None:
    """Calibrates every bundle of the repository that has ranges, on `count` photos below a folder, drawn with a fixed seed.

    Raises NotFound when there are none.
    """
    for manifest in manifests():
        if manifest.calibration and origin(manifest.name) == "shipped":
            _write(manifest, _calibrated(manifest, photos, count, decode))


def quantize(name: str, photos: Path, count: int, *, decode: Decode, progress: Progress | None = None) -> OpenBundle:
    """Measures the ranges of bundle `name` on photos below a folder, and builds its int8 model.

    The ranges are those of this machine from now on; they replace those of the manifest. Nothing changes when it fails. Raises
    InvalidArgument (unknown bundle, one that is not quantized), NotFound (no photos), and what `pull` raises.
    """
    settings = load(BundleSettings)
    manifest, folder, bundles = find(name), settings.folder, settings.bundles_folder
    parts = own_parts(name, bundles).model_copy(update={"calibration": _calibrated(manifest, photos, count, decode)})
    built = pull_built(with_parts(manifest, parts), precision="int8", folder=folder, progress=progress or default_progress())
    write_own_parts(name, bundles, parts)
    return built


def measure(manifest: Manifest, tensors: Iterable[Mapping[str, Tensor]]) -> dict[str, Range]:
    """Smallest and largest value of each activation over the tensors, to six digits; `tensors` are by the name of the input.

    Raises InvalidArgument for a recipe that makes no int8 graph.
    """
    model, activations = build(manifest, "fp32", source_paths(manifest, load(BundleSettings).folder, default_progress()))
    if not activations:
        raise InvalidArgument("bundle", f"recipe {manifest.recipe} of {manifest.name} makes no int8 graph; use it in fp32")
    present = {output.name for output in model.graph.output}
    model.graph.output.extend(
        helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None) for tensor in activations.values() if tensor not in present
    )
    try:
        import onnxruntime  # lazy: an extra
    except ImportError as exc:
        raise ConfigurationError("onnxruntime is not installed; install miradouro[cpu] or miradouro[gpu]") from exc
    graph = serialized(model)
    del model  # the weights of a large network are in memory once less
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    del graph
    lows = dict.fromkeys(activations, np.inf)
    highs = dict.fromkeys(activations, -np.inf)
    for tensor in tensors:
        values = session.run(list(activations.values()), {name: each[np.newaxis] for name, each in tensor.items()})
        for name, value in zip(activations, values, strict=True):
            lows[name] = min(lows[name], float(value.min()))
            highs[name] = max(highs[name], float(value.max()))
    return {name: (float(f"{lows[name]:.6g}"), float(f"{highs[name]:.6g}")) for name in activations}


def _calibrated(manifest: Manifest, photos: Path, count: int, decode: Decode) -> Calibration:
    files = sorted(path for path in photos.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"})
    if not files:
        raise NotFound(f"{photos} holds no photos; name a folder of JPEG, PNG or WebP files")
    sample = random.Random(_SEED).sample(files, min(count, len(files)))  # noqa: S311 - a sample, no secret
    read: list[Path] = []
    ranges = measure(manifest, _tensors(manifest, tqdm(sample, desc=manifest.name), decode, read))
    if not read:
        raise NotFound(f"{photos}: none of {len(sample)} photos can be read; name a folder of whole JPEG, PNG or WebP files")
    return Calibration(photos=len(read), method=_METHOD, ranges=ranges)


def _tensors(manifest: Manifest, files: Iterable[Path], decode: Decode, read: list[Path]) -> Iterator[dict[str, Tensor]]:
    """The tensors of each photo that can be read, by the name of the input; its path is added to `read`."""
    geometries = manifest.described_geometries()
    for path in files:
        try:
            tensors = {name: decode(path.read_bytes(), geometry) for name, geometry in geometries.items()}
        except BadPhoto:  # one damaged photo of a person's folder changes no range
            continue
        read.append(path)
        yield tensors


def _write(manifest: Manifest, calibration: Calibration) -> None:
    path = MODELS / f"{manifest.name}.toml"
    kept = path.read_text(encoding="utf-8").partition(_HEADER)[0]
    rows = "".join(f'"{name}" = [{low}, {high}]\n' for name, (low, high) in calibration.ranges.items())
    text = f'[calibration]\nphotos = {calibration.photos}\nmethod = "{calibration.method}"\n\n[calibration.ranges]\n{rows}'
    path.write_text(f"{kept}{_HEADER}{text}", encoding="utf-8")
