"""Two real ONNX bundles of a few kilobytes, for tests of what surrounds the networks.

`tiny` (16 x 16, squashed) has two layers of different depth, regions and tags; `wee` (8 x 8, cropped) one space.
"""

import hashlib
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from miradouro.adapters.onnx_embedder import OnnxEmbedder, Outputs
from miradouro.bundles.registry import OpenBundle
from miradouro.core.spaces import WHOLE, BundleDescription, Fit, Geometry, Preset, Region, Resample, Space, Storage
from onnx import TensorProto, helper, numpy_helper

from tests.waiting import WAIT_S

TINY = Geometry(Fit.SQUASH, 16, 16, 0, Resample.BILINEAR)
WEE = Geometry(Fit.SHORT_SIDE_CENTER_CROP, 8, 8, 10, Resample.BICUBIC)
LABELS = ("cat", "dog", "elkhound", "teapot", "viaduct")
BOXES = (WHOLE, Region(0, 0, 0.5, 1), Region(0.5, 0, 0.5, 1))
SPACES = ("tiny/shallow/avg", "tiny/shallow/max", "tiny/deep", "tiny/deep/regions", "wee/features")
TINY_SPACES, WEE_SPACES = SPACES[:4], SPACES[4:]


def tiny_bundles(folder: Path) -> list[OpenBundle]:
    """Writes both graphs into `folder` and opens them."""
    return [_tiny(folder), _wee(folder)]


def pixels(seed: int, geometry: Geometry = TINY) -> np.ndarray:
    """A tensor of noise: uint8 [height, width, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (geometry.height, geometry.width, 3), dtype=np.uint8)


def photo(seed: int) -> dict[Geometry, np.ndarray]:
    """A photo of noise as tensors for both bundles."""
    return {TINY: pixels(seed, TINY), WEE: pixels(seed, WEE)}


class GatedNetworks(OnnxEmbedder):
    """Networks that run while the gate is open. `runs` holds (bundle, photos, spaces, tags) per forward pass.

    `beside` says for each pass whether it ran side by side.
    """

    def __init__(self, bundles: list[OpenBundle], *, threads: int = 1) -> None:
        super().__init__(bundles, threads=threads)
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Event()
        self.runs: list[tuple[str, int, tuple[str, ...], bool]] = []
        self.beside: list[bool] = []
        self.broken: Exception | None = None

    def run(
        self,
        bundle: str,
        photos: Mapping[Geometry, np.ndarray],
        *,
        spaces: Collection[str],
        tags: bool,
        side_by_side: bool = False,
    ) -> Outputs:
        self.arrived.set()
        if not self.gate.wait(2 * WAIT_S):
            raise TimeoutError("the gate was not opened")
        self.runs.append((bundle, len(next(iter(photos.values()))), tuple(spaces), tags))
        self.beside.append(side_by_side)
        if self.broken:
            raise self.broken
        return super().run(bundle, photos, spaces=spaces, tags=tags, side_by_side=side_by_side)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Holds every run inside the block at its start."""
        self.runs.clear()
        self.arrived.clear()
        self.gate.clear()
        try:
            yield
        finally:
            self.gate.set()


def _tiny(folder: Path) -> OpenBundle:
    outputs = {"tiny/shallow/avg": 4, "tiny/shallow/max": 4, "tiny/deep": 8, "tiny/deep/regions": 8}
    random = np.random.default_rng(7)
    weights = {
        "w1": random.normal(size=(4, 3, 3, 3)),
        "w2": random.normal(size=(8, 4, 3, 3)),
        "w3": random.normal(size=(8, 8, 3, 3)),
        "dense": random.normal(size=(8, len(LABELS))),
    }
    nodes = [
        *_head(),
        helper.make_node("Conv", ["x", "w1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c1"], ["a1"]),
        helper.make_node("GlobalMaxPool", ["c1"], ["m1"]),
        helper.make_node("Conv", ["c1", "w2"], ["c2"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Conv", ["r2", "w3"], ["c3"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c3"], ["a3"]),
        *_normalised("a1", "tiny/shallow/avg"),
        *_normalised("m1", "tiny/shallow/max"),
        *_normalised("a3", "tiny/deep"),
        helper.make_node("MaxPool", ["c3"], ["halves"], kernel_shape=[8, 4], strides=[8, 4]),  # [N, 8, 1, 2]
        helper.make_node("GlobalMaxPool", ["c3"], ["whole"]),
        helper.make_node("Concat", ["whole", "halves"], ["boxes"], axis=3),
        helper.make_node("Squeeze", ["boxes", "axis2"], ["squeezed"]),
        helper.make_node("Transpose", ["squeezed"], ["rows"], perm=[0, 2, 1]),
        helper.make_node("LpNormalization", ["rows"], ["tiny/deep/regions"], axis=2, p=2),
        helper.make_node("MatMul", ["tiny/deep", "dense"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["softmax"], axis=1),
    ]
    path = _save(folder / "tiny.onnx", nodes, weights, ["tiny/deep/regions", "softmax", *outputs])
    spaces = tuple(
        Space(
            bundle="tiny",
            layer=layer,
            pooling=pooling,
            dimension=dimension,
            provenance=hashlib.sha256(name.encode()).hexdigest(),
            preset=Preset.STANDARD,
            is_default_pooling=pooling in {"avg", ""},
            regions=BOXES if pooling == "regions" else (),
            storage=Storage.INT8 if name == "tiny/deep" else Storage.FLOAT16,
            clip=0.7 if name == "tiny/deep" else 0.0,
        )
        for name, dimension in outputs.items()
        for _, layer, pooling in [[*name.split("/"), ""][:3]]
    )
    return OpenBundle(
        _description("tiny", TINY, spaces, path, can_tag=True), path, {TINY: "photos"}, {n: n for n in outputs}, "softmax", LABELS
    )


def _wee(folder: Path) -> OpenBundle:
    weights = {"w1": np.random.default_rng(8).normal(size=(6, 3, 3, 3))}
    nodes = [
        *_head(),
        helper.make_node("Conv", ["x", "w1"], ["c1"]),
        helper.make_node("GlobalAveragePool", ["c1"], ["a1"]),
        *_normalised("a1", "wee/features"),
    ]
    path = _save(folder / "wee.onnx", nodes, weights, ["wee/features"])
    space = Space("wee", "features", "", 6, "f" * 64, preset=Preset.STANDARD, is_default_pooling=True)
    return OpenBundle(
        _description("wee", WEE, (space,), path, can_tag=False), path, {WEE: "photos"}, {space.name: space.name}, None, ()
    )


def duo_bundle(folder: Path) -> OpenBundle:
    """`duo` takes a photo in WEE and in TINY: `duo/one` is computed from the first alone, `duo/both` from both."""
    nodes = [
        helper.make_node("Cast", ["first"], ["f1"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["second"], ["f2"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["f1"], ["m1"], axes=[1, 2], keepdims=0),
        helper.make_node("ReduceMean", ["f2"], ["m2"], axes=[1, 2], keepdims=0),
        helper.make_node("Gemm", ["m1", "w"], ["g1"]),
        helper.make_node("Gemm", ["m2", "w"], ["g2"]),
        helper.make_node("Concat", ["g1", "g2"], ["joined"], axis=1),
        *_normalised("g1", "duo/one"),
        *_normalised("joined", "duo/both"),
    ]
    weights = {"w": np.random.default_rng(9).normal(size=(3, 3))}
    path = _save(folder / "duo.onnx", nodes, weights, ["duo/one", "duo/both"], inputs=("first", "second"))
    spaces = (
        Space("duo", "one", "", 3, "1" * 64, preset=Preset.STANDARD, is_default_pooling=True),
        Space("duo", "both", "", 6, "2" * 64, preset=Preset.STANDARD, is_default_pooling=True),
    )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    description = BundleDescription(
        "duo", "fp32", (WEE, TINY), spaces, False, "CC0-1.0", "made for tests", sha256, {"duo/both": (WEE, TINY)}
    )
    outputs = {space.name: space.name for space in spaces}
    return OpenBundle(description, path, {WEE: "first", TINY: "second"}, outputs, None, ())


def _description(name: str, geometry: Geometry, spaces: tuple[Space, ...], path: Path, *, can_tag: bool) -> BundleDescription:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return BundleDescription(name, "fp32", (geometry,), spaces, can_tag, "CC0-1.0", "made for tests", sha256)


def _head() -> list[onnx.NodeProto]:
    """uint8 [N, H, W, 3] → x: float32 [N, 3, H, W], -1 to 1."""
    return [
        helper.make_node("Cast", ["photos"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["floats", "grey"], ["centred"]),
        helper.make_node("Div", ["centred", "grey"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["x"], perm=[0, 3, 1, 2]),
    ]


def _normalised(pooled: str, output: str) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Flatten", [pooled], [f"{output}:flat"]),
        helper.make_node("LpNormalization", [f"{output}:flat"], [output], axis=1, p=2),
    ]


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    outputs: list[str],
    *,
    inputs: Sequence[str] = ("photos",),
) -> Path:
    constants = {name: value.astype(np.float32) for name, value in weights.items()} | {
        "grey": np.array(127.5, np.float32),
        "axis2": np.array([2], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        path.stem,
        [helper.make_tensor_value_info(name, TensorProto.UINT8, ["N", None, None, 3]) for name in inputs],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", None, None] if name.endswith("regions") else ["N", None])
            for name in dict.fromkeys(outputs)
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path
