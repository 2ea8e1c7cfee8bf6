"""Runs bundles with onnxruntime. Owns all decisions about sessions, threads and execution providers."""

import importlib.metadata
import os
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from miradouro.bundles.registry import OpenBundle
from miradouro.core.document import Float32
from miradouro.core.embedding import LabelProbability
from miradouro.core.errors import BadBundle, ConfigurationError
from miradouro.core.provider import Provider
from miradouro.core.spaces import BundleDescription, Geometry
from miradouro.runtime.cpus import available_cpus

MIN_PROBABILITY = 0.001
WHEELS = ("onnxruntime", "onnxruntime-gpu")
MOST_PASSES = 4  # side by side: each has its own activations, tens of MB

_ORT_NAMES = {
    Provider.CPU: "CPUExecutionProvider",
    Provider.CUDA: "CUDAExecutionProvider",
    Provider.TENSORRT: "TensorrtExecutionProvider",
}


@dataclass(frozen=True)
class Outputs:
    """The outputs of a run of N photos.

    `vectors`: space name → float32 [N, vectors_per_photo, dimension]; `probabilities`: float32 [N, labels], or None.
    """

    vectors: Mapping[str, Float32]
    probabilities: Float32 | None


@dataclass(frozen=True)
class _Part:
    """A graph cut down to some outputs: a file or serialized, and the names of its outputs and inputs."""

    graph: str | bytes
    outputs: frozenset[str]
    inputs: tuple[str, ...]


class OnnxEmbedder:
    """Owns the onnxruntime sessions of every bundle, all on one provider; safe to call from several threads.

    `passes` is how many passes may run side by side: equal shares of the CPUs, at most MOST_PASSES; 1 on a GPU.
    """

    def __init__(
        self,
        bundles: Sequence[OpenBundle],
        *,
        provider: Provider = Provider.CPU,
        threads: int = 0,
        cache_folder: Path | None = None,
    ) -> None:
        """Loads every bundle. `threads` is for the CPU provider, 0 for one per CPU. TensorRT stores engines in `cache_folder`.

        Raises ConfigurationError when onnxruntime is missing or installed twice, when it lacks the provider, or when the provider
        does not start (there is no fallback to another). Raises BadBundle when onnxruntime cannot load a file.
        """
        self._ort = _import_onnxruntime(installed_wheels())
        self.provider = provider
        self._cache_folder = cache_folder
        # Layers run in sequence: only threads inside an operator help a pass that runs alone.
        self._threads = threads or available_cpus()
        self.passes = min(self._threads, MOST_PASSES) if provider is Provider.CPU else 1
        self._bundles = {bundle.description.name: bundle for bundle in bundles}
        if _ORT_NAMES[provider] not in self._ort.get_available_providers():
            raise ConfigurationError(
                f"MIRADOURO_PROVIDER={provider.value}: this onnxruntime offers {', '.join(self._ort.get_available_providers())}; "
                "install the extra miradouro[gpu] in place of [cpu], or set MIRADOURO_PROVIDER=cpu"
            )
        self._parts: dict[str, list[tuple[frozenset[str], tuple[str, ...], Any]]] = {}  # outputs, inputs, session
        for name, bundle in self._bundles.items():
            self._parts[name] = [
                (part.outputs, part.inputs, self._session(bundle, part, number, threads=self._threads))
                for number, part in enumerate(_parts_of(bundle))
            ]
        self._side_by_side: dict[tuple[str, int], Any] = {}
        self._opening = threading.Lock()

    @property
    def descriptions(self) -> tuple[BundleDescription, ...]:
        """The loaded bundles, by name."""
        return tuple(self._bundles[name].description for name in sorted(self._bundles))

    def run(
        self,
        bundle: str,
        photos: Mapping[Geometry, npt.NDArray[np.uint8]],
        *,
        spaces: Collection[str],
        tags: bool,
        side_by_side: bool = False,
    ) -> Outputs:
        """One forward pass of `photos` through `bundle`, limited to the layers that the requested outputs need.

        `photos` holds uint8 [N, height, width, 3] for every geometry of the outputs, with the same N. A pass uses every CPU, or
        with `side_by_side` one of `passes` equal shares of them, for calls that run at the same time. The first such pass
        loads the graph once more.
        """
        opened = self._bundles[bundle]
        names = [opened.outputs[space] for space in spaces]
        if tags:
            assert opened.tag_output is not None, f"{bundle} can't tag"
            names.append(opened.tag_output)
        number, (_, inputs, session) = next(
            (number, part) for number, part in enumerate(self._parts[bundle]) if part[0].issuperset(names)
        )
        if side_by_side and self.passes > 1:
            session = self._session_beside(opened, number)
        given = {opened.inputs[geometry]: tensors for geometry, tensors in photos.items()}
        values = self._run(session, {name: given[name] for name in inputs}, names)
        by_name = dict(zip(names, values, strict=True))
        vectors = {}
        for space in spaces:
            value = by_name[opened.outputs[space]]
            vectors[space] = value if value.ndim == 3 else value[:, np.newaxis, :]
        return Outputs(vectors, by_name[opened.tag_output] if tags and opened.tag_output else None)

    def labels(self, bundle: str, probabilities: Float32) -> tuple[LabelProbability, ...]:
        """The labels with at least MIN_PROBABILITY in `probabilities` (float32 [labels]), most probable first."""
        names, table = self._bundles[bundle].labels, self._bundles[bundle].description.label_table
        likely = np.flatnonzero(probabilities >= MIN_PROBABILITY)
        order = likely[np.argsort(-probabilities[likely], kind="stable")]
        return tuple(LabelProbability(names[i], float(probabilities[i]), int(i), table) for i in order)

    def _run(self, session: Any, inputs: Mapping[str, npt.NDArray[np.uint8]], names: list[str]) -> list[Float32]:
        if self.provider is Provider.CPU:
            values: list[Float32] = session.run(names, inputs)
            return values
        binding = session.io_binding()
        for name, photos in inputs.items():
            binding.bind_ortvalue_input(name, self._ort.OrtValue.ortvalue_from_numpy(photos, "cuda", 0))
        for name in dict.fromkeys(names):
            binding.bind_output(name, "cuda", 0)  # outputs stay on the GPU, to be copied to the CPU together
        session.run_with_iobinding(binding)
        bound = dict(zip(dict.fromkeys(names), binding.copy_outputs_to_cpu(), strict=True))
        return [bound[name] for name in names]

    def _session_beside(self, bundle: OpenBundle, number: int) -> Any:
        """The session of a part for passes side by side: the number of threads belongs to a session, not to a run."""
        key = bundle.description.name, number
        with self._opening:
            if key not in self._side_by_side:
                part = _parts_of(bundle)[number]
                self._side_by_side[key] = self._session(bundle, part, number, threads=self._threads // self.passes)
            return self._side_by_side[key]

    def _session(self, bundle: OpenBundle, part: _Part, number: int, *, threads: int) -> Any:
        description = bundle.description
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads spin between the operators of a run, which speeds up small networks. They stop after it: the decoding of the
        # next photo and the gRPC threads need the CPUs.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.log_severity_level = 3
        providers = _provider_options(
            self.provider,
            description,
            {geometry: name for geometry, name in bundle.inputs.items() if name in part.inputs},
            self._cache_folder,
            engine=f"{description.name}-{description.sha256[:12]}-{number}",
        )
        try:
            session = self._ort.InferenceSession(part.graph, options, providers=providers)
        except Exception as exc:  # onnxruntime has no public base class for its errors
            raise BadBundle(f"{bundle.path}: onnxruntime can't load {description.name}: {exc}") from exc
        if session.get_providers()[0] != _ORT_NAMES[self.provider]:
            raise ConfigurationError(
                f"MIRADOURO_PROVIDER={self.provider.value}: it did not start for {description.name}, onnxruntime fell back to "
                f"{session.get_providers()[0]}; check the driver and the CUDA, cuDNN and TensorRT libraries"
            )
        return session


def _parts_of(bundle: OpenBundle) -> list[_Part]:
    """The cuts of the graph, the cheapest first, and the whole graph."""
    import onnx  # lazy: processes that load no network import this module, too
    from google.protobuf.message import DecodeError

    from miradouro.bundles.cut import cuts

    try:
        model = onnx.load(bundle.path)
    except (OSError, DecodeError) as exc:
        raise BadBundle(f"{bundle.path}: not an ONNX file: {exc}") from exc
    parts = [_Part(cut.model.SerializeToString(), cut.outputs, _inputs_of(cut.model)) for cut in cuts(model)]
    return [*parts, _Part(str(bundle.path), frozenset(output.name for output in model.graph.output), _inputs_of(model))]


def _inputs_of(model: Any) -> tuple[str, ...]:
    return tuple(taken.name for taken in model.graph.input)


def installed_wheels() -> tuple[str, ...]:
    """The installed wheels that provide onnxruntime."""
    return tuple(name for name in WHEELS if any(importlib.metadata.distributions(name=name)))


def check_wheels(installed: Sequence[str]) -> None:
    """Raises ConfigurationError unless exactly one wheel is installed: both write the same folder and overwrite each other."""
    if not installed:
        raise ConfigurationError("onnxruntime is not installed; install miradouro[cpu] or, with an NVIDIA GPU, miradouro[gpu]")
    if len(installed) > 1:
        raise ConfigurationError(
            f"{' and '.join(installed)} are both installed and overwrite each other; uninstall both, then install one of them"
        )


def _import_onnxruntime(installed: Sequence[str]) -> Any:
    check_wheels(installed)
    import onnxruntime  # lazy: a missing wheel is a ConfigurationError, not an ImportError

    return onnxruntime


def _provider_options(
    provider: Provider, description: BundleDescription, inputs: Mapping[Geometry, str], cache_folder: Path | None, *, engine: str
) -> list[tuple[str, dict[str, str]]]:
    cpu: tuple[str, dict[str, str]] = (_ORT_NAMES[Provider.CPU], {})
    if provider is Provider.CPU:
        return [cpu]
    # TF32 rounds float32 to 10 bits of mantissa: vectors would differ from those of other machines under the same provenance.
    # TensorRT has no option for it; the libraries below it read this variable.
    os.environ["NVIDIA_TF32_OVERRIDE"] = "1" if description.precision == "tf32" else "0"
    cuda = (
        _ORT_NAMES[Provider.CUDA],
        {
            "device_id": "0",
            "use_tf32": "1" if description.precision == "tf32" else "0",
            "cudnn_conv_algo_search": "HEURISTIC",  # an exhaustive search runs again for every new batch size
            "cudnn_conv_use_max_workspace": "1",
            "arena_extend_strategy": "kSameAsRequested",
        },
    )
    if provider is Provider.CUDA:
        return [cuda, cpu]

    def shapes(photos: int) -> str:
        return ",".join(f"{name}:{photos}x{geometry.height}x{geometry.width}x3" for geometry, name in inputs.items())

    tensorrt = {
        "device_id": "0",
        "trt_fp16_enable": "1" if description.precision == "fp16" else "0",
        "trt_int8_enable": "1" if description.precision == "int8" else "0",
        "trt_profile_min_shapes": shapes(1),
        "trt_profile_opt_shapes": shapes(8),
        "trt_profile_max_shapes": shapes(64),
    }
    if cache_folder is not None:  # building an engine takes minutes
        cache_folder.mkdir(parents=True, exist_ok=True)
        tensorrt |= {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(cache_folder),
            "trt_engine_cache_prefix": engine,
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(cache_folder),
        }
    return [(_ORT_NAMES[Provider.TENSORRT], tensorrt), cuda, cpu]
