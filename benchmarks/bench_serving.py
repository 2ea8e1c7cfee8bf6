"""The embedding service beside what one would write or take instead: FastAPI with threads, BentoML, MLServer.

All servers run the same graph with the same onnxruntime, get the same JPEG files over loopback from clients in this process,
and take turns; the medians count. A row compares with the best peer of that row. `python -m benchmarks.bench_serving` prints the
rows; `SERVING=look` measures one case.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc
from miradouro.bundles.registry import OpenBundle, open_bundle
from miradouro.bundles.settings import BundleSettings
from miradouro.core.spaces import choose_spaces
from miradouro.runtime.grpc_client import open_channel
from miradouro.v1 import embedding_service_pb2 as pb
from miradouro.v1.embedding_service_pb2_grpc import EmbeddingServiceStub

from benchmarks.bench_embedding import Row, make_photos, peer_network
from benchmarks.serving_load import Answers, ask_again, goodput, peak_mib, recovery_s
from benchmarks.serving_peers import PEERS, Server, installed, running

CONCURRENCY = (1, 8, 32)
WARM_UPS, TURNS = 1, 3
OVERLOAD = 4
OVERLOAD_S = 10.0
PEAK_GOAL, RECOVERY_GOAL_S = 0.8, 2.0
GOODPUT_GOALS = {60.0: 0.9, 2.0: 0.75}  # by deadline in seconds


@dataclass(frozen=True)
class Case:
    """A graph with the outputs that are asked for; turns last `seconds`."""

    name: str
    bundle: str
    spaces: tuple[str, ...]  # none: the defaults
    seconds: float
    overloaded: bool = False


CASES = (
    Case("Lite0", "efficientnet-lite0", ("efficientnet-lite0/features",), 2.0),
    Case("look", "efficientnet-lite0", ("efficientnet-lite0/look",), 2.0),
    Case("VGG16", "vgg16-conv", (), 4.0, overloaded=True),
)


def rows() -> Iterator[Row]:
    """The rows of `make bench`, one after another as they are measured."""
    interpreters = {peer: installed(peer) for peer in PEERS}
    wanted = os.environ.get("SERVING", "")
    for case in CASES:
        if wanted and case.name != wanted:
            continue
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            scratch = Path(folder)
            photos = [path.read_bytes() for path in sorted(make_photos(scratch / "photos").iterdir())]
            bundle = open_bundle(case.bundle, precision="int8", folder=BundleSettings().folder)
            spaces = case.spaces or tuple(space.name for space in choose_spaces([], bundle.description.spaces, field="spaces"))
            network = peer_network(bundle, spaces, scratch)
            ours = stack.enter_context(_ours(bundle, spaces, photos))
            peers = [
                stack.enter_context(running(peer, python, network, photos, scratch))
                for peer, python in interpreters.items()
                if python is not None
            ]
            yield from _compared(case, ours, peers)
            if case.overloaded:
                yield from _overloaded(case, ours, peers)


def _compared(case: Case, ours: Server, peers: Sequence[Server]) -> Iterator[Row]:
    servers = [ours, *peers]
    peaks = {}
    for server in servers:
        load = partial(ask_again, server.ask, callers=CONCURRENCY[-1], seconds=case.seconds)
        peaks[server.name] = peak_mib(server.pid, load)
    for callers in CONCURRENCY:
        measured: dict[str, list[Answers]] = {server.name: [] for server in servers}
        for turn in range(WARM_UPS + TURNS):
            for server in servers:
                answers = ask_again(server.ask, callers=callers, seconds=case.seconds)
                if turn >= WARM_UPS:
                    measured[server.name].append(answers)
        rates = {name: statistics.median(one.rate for one in answers) for name, answers in measured.items()}
        slowest = {name: statistics.median(one.p95_ms for one in answers) for name, answers in measured.items()}
        what = f"serving {case.name} int8, {callers} at a time"
        yield _row(what, rates, goal=">= 1.0 of the best peer", better="higher", limit=1.0, unit="photos/s")
        yield _row(f"{what}, p95", slowest, goal="<= 1.0 of the best peer", better="lower", limit=1.0, unit="ms")
    yield _row(
        f"memory of serving {case.name} int8, {CONCURRENCY[-1]} at a time",
        peaks,
        goal=f"<= {PEAK_GOAL} of the best peer",
        better="lower",
        limit=PEAK_GOAL,
        unit="MiB",
    )


def _overloaded(case: Case, ours: Server, peers: Sequence[Server]) -> Iterator[Row]:
    """Four times as many photos as the server can embed, with and without deadlines that press."""
    for deadline_s, least in GOODPUT_GOALS.items():
        shares: dict[str, list[float]] = {}
        waits: dict[str, list[float]] = {}
        for _ in range(TURNS):
            for server in [ours, *peers]:
                usual = ask_again(server.ask, callers=1, seconds=case.seconds / 2)
                capacity = ask_again(server.ask, callers=8, seconds=case.seconds).rate
                good = goodput(server.ask, rate=OVERLOAD * capacity, seconds=OVERLOAD_S, deadline_s=deadline_s)
                shares.setdefault(server.name, []).append(good / capacity)
                waits.setdefault(server.name, []).append(recovery_s(server.ask, usual_s=usual.p95_ms / 1000))
        what = f"serving {case.name} int8 at {OVERLOAD} times the load, deadline {deadline_s:g} s"
        yield _row(
            f"{what}: goodput",
            {name: statistics.median(each) for name, each in shares.items()},
            goal=f">= {least}",
            better="higher",
            unit="of capacity",
            least=least,
        )
        yield _row(
            f"{what}: seconds until answers take their usual time again",
            {name: statistics.median(each) for name, each in waits.items()},
            goal=f"<= {RECOVERY_GOAL_S:g} s",
            better="lower",
            unit="s",
            most=RECOVERY_GOAL_S,
        )


def _row(
    name: str,
    values: dict[str, float],
    *,
    goal: str,
    better: str,
    unit: str,
    limit: float | None = None,
    least: float | None = None,
    most: float | None = None,
) -> Row:
    """Ours beside the best peer. The goal is a `limit` of the ratio, or the `least` or `most` of our value."""
    ours = values["ours"]
    others = {peer: value for peer, value in values.items() if peer != "ours"}
    best = (max if better == "higher" else min)(others.values(), default=None)
    holds = True
    if limit is not None and best is not None:
        holds = ours >= limit * best if better == "higher" else ours <= limit * best
    if least is not None:
        holds = ours >= least
    if most is not None:
        holds = ours <= most
    every = ", ".join(f"{server} {value:.4g}" for server, value in values.items())
    print(f"{name}: {every}", file=sys.stderr, flush=True)
    return {
        "name": name,
        "ours": ours,
        "peer": best,
        "ratio": ours / best if best else None,
        "goal": goal,
        "better": better,
        "holds": holds,
        "unit": unit,
        "cause": None if holds else f"medians of {TURNS} turns on a machine whose load varies: {every}",
    }


@contextmanager
def _ours(bundle: OpenBundle, spaces: Sequence[str], photos: Sequence[bytes]) -> Iterator[Server]:
    environment = {
        "MIRADOURO_BUNDLES": bundle.description.name,
        "MIRADOURO_PRECISION": bundle.description.precision,
        "MIRADOURO_MODELS_DIR": str(BundleSettings().folder),
    }
    serve = ["serve", "embedding", "--no-token", "--listen", "127.0.0.1:0"]
    command = [sys.executable, "-c", "from miradouro.cli.main import main; main()", *serve]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment) as process:
        try:
            assert process.stdout
            with open_channel(process.stdout.readline().split()[4]) as channel:
                stub = EmbeddingServiceStub(channel)
                requests = [
                    pb.EmbedRequest(
                        photos=[pb.PhotoInput(encoded=data)], spaces=spaces, tags=bundle.tag_output is not None
                    ).SerializeToString()
                    for data in photos
                ]
                embed = channel.unary_unary("/miradouro.v1.EmbeddingService/Embed")

                def ask(number: int, timeout_s: float) -> bool:
                    try:
                        embed(requests[number % len(requests)], timeout=timeout_s)
                    except grpc.RpcError:
                        return False
                    return True

                first = stub.Embed(pb.EmbedRequest.FromString(requests[0]), timeout=120)
                assert first.results[0].HasField("embedding")
                yield Server("ours", ask, process.pid)
        finally:
            process.terminate()


if __name__ == "__main__":
    for one in rows():
        print(json.dumps(one))
