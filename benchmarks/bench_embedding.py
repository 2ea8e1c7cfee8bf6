"""The embedding service over gRPC against a bare loop of the same decoding, session and threads; int8 against fp32.

Ours and the peer take turns (A, B, A, B …) in one run, on the same photos, graph and threads; 3 warm-ups, 5 runs, the median
counts. `python -m benchmarks.bench_embedding` prints the rows.
"""

import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from miradouro.adapters.onnx_embedder import OnnxEmbedder
from miradouro.bundles.cut import cuts
from miradouro.bundles.pull import pull
from miradouro.bundles.registry import OpenBundle, open_bundle
from miradouro.bundles.settings import BundleSettings
from miradouro.core.spaces import choose_spaces
from miradouro.runtime.cpus import available_cpus
from miradouro.runtime.grpc_client import open_channel
from miradouro.v1 import embedding_service_pb2 as pb
from miradouro.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from PIL import Image

WARM_UPS, RUNS = 3, 5
THREADS = available_cpus()
CONCURRENCY = 8
PHOTOS = 32
PHOTOS_PER_RUN = {"vgg16-conv": 24, "efficientnet-lite0": 320}
FILTERS_PER_RUN, FILTERS_GOAL = 120, 60.0
RATE_GOALS = {"vgg16-conv": 0.95, "efficientnet-lite0": 0.85}
ADDED_MS_GOAL = 5.0
INT8_GOAL = 1.8
LOOK_GOAL = 2.15

Row = dict[str, object]
Turn = Callable[[], float]


def rows() -> Iterator[Row]:
    """The rows of `make bench`, one after another as they are measured."""
    folder = BundleSettings().folder
    with tempfile.TemporaryDirectory() as scratch:
        photos = make_photos(Path(scratch) / "photos")
        for name in ("vgg16-conv", "efficientnet-lite0"):
            bundle = open_bundle(name, precision="int8", folder=folder)
            spaces = _default_spaces(bundle)
            with bare_loop(bundle, photos, Path(scratch), spaces) as bare, service(bundle, folder, photos, spaces) as ask:
                yield from compare(name, PHOTOS_PER_RUN[name], bare, ask, goal=RATE_GOALS[name])
        yield _filters(pull("filters", precision="fp32", folder=folder), folder, photos, Path(scratch))
    yield _int8_against_fp32(folder)
    yield _look_against_one_pass(folder)


def take_turns(*turns: Turn) -> list[list[float]]:
    """What each turn gave in its RUNS counted runs: all warm up, then they take turns."""
    for _ in range(WARM_UPS):
        for turn in turns:
            turn()
    measured: list[list[float]] = [[] for _ in turns]
    for _ in range(RUNS):
        for values, turn in zip(measured, turns, strict=True):
            values.append(turn())
    return measured


def compare(
    name: str, count: int, bare: Callable[[int], tuple[float, float]], ask: Callable[[int], float], *, goal: float
) -> Iterator[Row]:
    """The rows of a bundle: photos/s of `ask`, at least `goal` of those of `bare`, and the milliseconds that it adds."""

    def rate() -> float:
        return _rate(ask, count)

    def latency() -> float:
        return statistics.median(ask(number) for number in range(max(count // 4, 12)))

    ours, peer = take_turns(rate, lambda: bare(count)[0])
    ratio = statistics.median(ours) / statistics.median(peer)
    yield row(
        f"embedding over gRPC at concurrency {CONCURRENCY}, {name} int8",
        ours,
        peer,
        goal=f">= {goal} of a bare loop",
        better="higher",
        holds=ratio >= goal,
        unit="photos/s",
        cause="client, gRPC and decoding share the CPUs with the forward pass",
    )
    ours, peer = take_turns(latency, lambda: bare(max(count // 4, 12))[1])
    added = statistics.median(ours) - statistics.median(peer)
    yield row(
        f"embedding over gRPC at concurrency 1, {name} int8",
        ours,
        peer,
        goal=f"<= {ADDED_MS_GOAL:g} ms added to a bare loop",
        better="lower",
        holds=added <= ADDED_MS_GOAL,
        unit="ms",
        cause=f"{added:.1f} ms added",
    )


def _rate(ask: Callable[[int], float], count: int) -> float:
    started = time.perf_counter()
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        list(pool.map(ask, range(count)))
    return count / (time.perf_counter() - started)


def _filters(bundle: OpenBundle, folder: Path, photos: Path, scratch: Path) -> Row:
    """Every space of the hand-made kernels, with decoding and gRPC."""
    spaces = _default_spaces(bundle)
    with bare_loop(bundle, photos, scratch, spaces) as bare, service(bundle, folder, photos, spaces) as ask:

        def rate() -> float:
            return _rate(ask, FILTERS_PER_RUN)

        ours, peer = take_turns(rate, lambda: bare(FILTERS_PER_RUN)[0])
    return row(
        f"embedding over gRPC at concurrency {CONCURRENCY}, filters fp32, every space",
        ours,
        peer,
        goal=f">= {FILTERS_GOAL:g} photos/s on two cores",
        better="higher",
        holds=statistics.median(ours) >= FILTERS_GOAL,
        unit="photos/s",
        cause="the CPUs are slower or busy",
    )


def _int8_against_fp32(folder: Path) -> Row:
    photo = np.random.default_rng(3).integers(0, 256, (1, 224, 224, 3), np.uint8)

    def loop(precision: str) -> Turn:
        bundle = open_bundle("vgg16-conv", precision=precision, folder=folder)
        networks = OnnxEmbedder([bundle], threads=THREADS)
        spaces = _default_spaces(bundle)

        def turn() -> float:
            started = time.perf_counter()
            for _ in range(12):
                networks.run("vgg16-conv", {bundle.description.geometries[0]: photo}, spaces=spaces, tags=False)
            return 12 / (time.perf_counter() - started)

        return turn

    ours, peer = take_turns(loop("int8"), loop("fp32"))
    ratio = statistics.median(ours) / statistics.median(peer)
    return row(
        "vgg16-conv forward pass, int8 against fp32",
        ours,
        peer,
        goal=f">= {INT8_GOAL} x fp32",
        better="higher",
        holds=ratio >= INT8_GOAL,
        unit="photos/s",
        cause="this CPU's int8 kernels gain less over its fp32 kernels",
    )


def _look_against_one_pass(folder: Path) -> Row:
    """The vector `look` needs two views of a photo: two passes of the network, and little more."""
    bundle = open_bundle("efficientnet-lite0", precision="int8", folder=folder)
    networks = OnnxEmbedder([bundle], threads=THREADS)
    photo = np.random.default_rng(3).integers(0, 256, (1, 224, 224, 3), np.uint8)

    def loop(space: str) -> Turn:
        photos = dict.fromkeys(bundle.description.needed_geometries([space], tags=False), photo)

        def turn() -> float:
            started = time.perf_counter()
            for _ in range(40):
                networks.run("efficientnet-lite0", photos, spaces=[space], tags=False)
            return 1000 * (time.perf_counter() - started) / 40

        return turn

    ours, peer = take_turns(loop("efficientnet-lite0/look"), loop("efficientnet-lite0/features"))
    ratio = statistics.median(ours) / statistics.median(peer)
    return row(
        "efficientnet-lite0/look int8, forward pass; peer: one pass of efficientnet-lite0",
        ours,
        peer,
        goal=f"<= {LOOK_GOAL} x one pass",
        better="lower",
        holds=ratio <= LOOK_GOAL,
        unit="ms",
        cause="the projection and the label tree read 9 MB of weights",
    )


def row(name: str, ours: Sequence[float], peer: Sequence[float], *, holds: bool, cause: str, **rest: object) -> Row:
    """A row of medians; the spread goes to standard error, and into the cause of a missed goal."""
    spread = "; ".join(
        f"{who} {statistics.median(values):.4g} ({min(values):.4g} to {max(values):.4g})"
        for who, values in (("ours", ours), ("peer", peer))
    )
    print(f"{name}: {spread}", file=sys.stderr, flush=True)
    a, b = statistics.median(ours), statistics.median(peer)
    return {
        "name": name,
        "ours": a,
        "peer": b,
        "ratio": a / b,
        "holds": holds,
        "cause": None if holds else f"{cause}: {spread}",
        **rest,
    }


@contextmanager
def bare_loop(
    bundle: OpenBundle, photos: Path, scratch: Path, spaces: Sequence[str]
) -> Iterator[Callable[[int], tuple[float, float]]]:
    """Gives a function: so many photos → photos per second, median ms."""
    network = peer_network(bundle, spaces, scratch)
    command = [sys.executable, str(Path(__file__).with_name("peer_bare_loop.py")), str(photos)]
    environment = os.environ | {"PEER_NETWORK": json.dumps(network)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdin
        assert process.stdout

        def run(count: int) -> tuple[float, float]:
            print(count, file=process.stdin, flush=True)
            rate, milliseconds = process.stdout.readline().split()  # type: ignore[union-attr]  # asserted above
            return float(rate), float(milliseconds)

        yield run
        process.stdin.close()


def peer_network(bundle: OpenBundle, spaces: Sequence[str], scratch: Path) -> dict[str, Any]:
    """What a peer needs to compute `spaces`, and the labels, with the same graph: see peer_network.py."""
    outputs = [bundle.outputs[space] for space in spaces] + ([bundle.tag_output] if bundle.tag_output else [])
    geometries = bundle.description.needed_geometries(spaces, tags=bundle.tag_output is not None)
    model = onnx.load(bundle.path)
    cut = next((each.model for each in cuts(model) if each.outputs.issuperset(outputs)), model)
    path = scratch / f"{bundle.description.name}-{len(spaces)}-{len(geometries)}.onnx"
    onnx.save(cut, path)
    inputs = {
        bundle.inputs[geometry]: {"short_side": geometry.short_side, "filter": geometry.resample.name.upper()}
        for geometry in geometries
    }
    return {"model": str(path), "outputs": outputs, "inputs": inputs, "threads": THREADS}


@contextmanager
def service(bundle: OpenBundle, folder: Path, photos: Path, spaces: Sequence[str]) -> Iterator[Callable[[int], float]]:
    """Gives a function: number of a photo → ms that the service took over it, as its client sees it."""
    name = bundle.description.name
    environment = {
        "MIRADOURO_BUNDLES": name,
        "MIRADOURO_PRECISION": bundle.description.precision,
        "MIRADOURO_MODELS_DIR": str(folder),
    }
    files = [path.read_bytes() for path in sorted(photos.iterdir())]
    with ExitStack() as stack:
        command = [
            sys.executable,
            "-c",
            "from miradouro.cli.main import main; main()",
            "serve",
            "embedding",
            "--no-token",
            "--listen",
            "127.0.0.1:0",
        ]
        process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment))
        stack.callback(process.terminate)
        assert process.stdout
        channel = stack.enter_context(open_channel(process.stdout.readline().split()[4]))
        stub = EmbeddingServiceStub(channel)
        requests = [
            pb.EmbedRequest(photos=[pb.PhotoInput(encoded=data)], spaces=spaces, tags=bundle.tag_output is not None)
            for data in files
        ]

        def ask(number: int) -> float:
            started = time.perf_counter()
            answer = stub.Embed(requests[number % len(requests)], timeout=120)
            assert answer.results[0].HasField("embedding")
            return 1000 * (time.perf_counter() - started)

        yield ask


def _default_spaces(bundle: OpenBundle) -> list[str]:
    """The spaces of the standard preset; all of them when none is in it."""
    offered = bundle.description.spaces
    return [space.name for space in choose_spaces([], offered, field="spaces") or offered]


def make_photos(folder: Path) -> Path:
    """JPEG files of 500 x 375 pixels with as much detail as a photo has."""
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(11)
    for number in range(PHOTOS):
        coarse = Image.fromarray(random.integers(0, 256, (24, 32, 3), np.uint8)).resize((500, 375), Image.Resampling.BICUBIC)
        grain = random.normal(0, 8, (375, 500, 1))
        out = io.BytesIO()
        Image.fromarray(np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
        (folder / f"{number:03}.jpg").write_bytes(out.getvalue())
    return folder


if __name__ == "__main__":
    for one in rows():
        print(json.dumps(one))
