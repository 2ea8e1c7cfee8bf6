"""VGG16 whole in int8, with seeded weights: over gRPC against a bare loop of the same graph, and the cost of its taps.

`python -m benchmarks.bench_vgg16` prints the rows. The weights do not change the time of a pass.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from miradouro.bundles.calibrate import quantize
from miradouro.bundles.cut import needed_part
from miradouro.bundles.own_weights import use_weights
from miradouro.bundles.registry import OpenBundle
from miradouro.core.decode import decode
from miradouro.runtime import logs
from miradouro.runtime.settings import LogSettings

from benchmarks.bench_embedding import THREADS, Row, Turn, bare_loop, compare, make_photos, row, service, take_turns
from tests.vgg16_files import FULL, he_weights, pth_zip

SPACES = ("vgg16/pool5/rmac", "vgg16/fc7")
PHOTOS_PER_RUN = 24
RATE_GOAL = 0.9
TAP_GOAL = 1.03
PASSES = 6


def rows() -> Iterator[Row]:
    """The rows of `make bench`, one after another as they are measured."""
    with tempfile.TemporaryDirectory() as scratch, _folders(Path(scratch)) as models:
        photos = make_photos(Path(scratch) / "photos")
        bundle = _built(Path(scratch), photos)
        with bare_loop(bundle, photos, Path(scratch), SPACES) as bare, service(bundle, models, photos, SPACES) as ask:
            yield from compare("vgg16", PHOTOS_PER_RUN, bare, ask, goal=RATE_GOAL)
        yield _taps(bundle)


@contextmanager
def _folders(scratch: Path) -> Iterator[Path]:
    """Folders of models and of bundles below `scratch`, for this process and its children; gives the first."""
    ours = {"MIRADOURO_MODELS_DIR": str(scratch / "models"), "MIRADOURO_BUNDLES_DIR": str(scratch / "bundles")}
    before = {name: os.environ.get(name) for name in ours}
    os.environ |= ours
    try:
        yield scratch / "models"
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _built(scratch: Path, photos: Path) -> OpenBundle:
    logs.configure(LogSettings())  # to standard error, apart from the rows
    weights = scratch / "vgg16.pth"
    pth_zip(he_weights(FULL, dense=4096), weights)
    use_weights("vgg16", weights)
    weights.unlink()
    return quantize("vgg16", photos, 2, decode=lambda data, geometry: decode(data, [geometry]).tensors[geometry])


def _taps(bundle: OpenBundle) -> Row:
    """A pass with the outputs of every layer against one with the classes alone, in bare sessions."""
    model = onnx.load(bundle.path)
    assert bundle.tag_output is not None
    without = needed_part(model, [bundle.tag_output])
    taps = len(model.graph.output) - len(without.graph.output)
    ours, peer = take_turns(_passes(model), _passes(without))
    each = 1 + (statistics.median(ours) / statistics.median(peer) - 1) / taps
    return row(
        f"vgg16 int8 forward pass with {taps} taps, against the classes alone",
        ours,
        peer,
        goal=f"<= {TAP_GOAL - 1:.0%} more for each tap",
        better="lower",
        holds=each <= TAP_GOAL,
        unit="ms",
        cause=f"{each - 1:.1%} for each tap",
    )


def _passes(model: onnx.ModelProto) -> Turn:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    photo = np.random.default_rng(3).integers(0, 256, (1, 224, 224, 3), np.uint8)

    def turn() -> float:
        started = time.perf_counter()
        for _ in range(PASSES):
            session.run(None, {"centre": photo})
        return 1000 * (time.perf_counter() - started) / PASSES

    return turn


if __name__ == "__main__":
    for one in rows():
        print(json.dumps(one))
