"""What it costs to be observed and how long a start takes.

Ours is a server as it comes, with its metrics scraped once a turn; the peer is the same server with metrics that do nothing and
logs of errors alone. Both take turns, as in `bench_embedding`. Questions are keywords to the embedded index: no service answers
faster, so nowhere does counting weigh more. `python -m benchmarks.bench_overhead` prints the rows.
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from miradouro.runtime.grpc_client import open_channel
from miradouro.runtime.security import ClientSecurity
from miradouro.standalone.owner_token import owner_token
from miradouro.v1 import embedding_service_pb2 as pb
from miradouro.v1 import search_service_pb2
from miradouro.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub

from benchmarks.bench_embedding import CONCURRENCY, Row, Turn, make_photos, row, take_turns

FAST = "efficientnet-lite0"
PHOTOS_A_TURN, QUESTIONS_A_TURN, STARTS = 320, 1_500, 3
EMBEDDING_GOAL, QUERY_GOAL, START_GOAL_S = 0.95, 0.90, 8.0
OURS = ("-c", "from miradouro.cli.main import main; main()")
SILENT = (str(Path(__file__).with_name("peer_without_metrics.py")),)


def rows() -> Iterator[Row]:
    """The rows of `make bench`, one after another as they are measured."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "photos").mkdir()
        photos = make_photos(Path(scratch) / "photos")
        yield _embedding([path.read_bytes() for path in sorted(photos.iterdir())])
        yield _query(Path(scratch), photos)
    yield _start()


def _embedding(photos: list[bytes]) -> Row:
    requests = [pb.EmbedRequest(photos=[pb.PhotoInput(encoded=data)], spaces=[f"{FAST}/features"], tags=True) for data in photos]
    words = ("serve", "embedding", "--no-token", "--listen", "127.0.0.1:0")
    with ExitStack() as stack:
        turns = []
        for program in (OURS, SILENT):
            channel, scraped = stack.enter_context(_server(program, words, {"MIRADOURO_BUNDLES": FAST}))
            stub = EmbeddingServiceStub(channel)
            turns.append(_rate(lambda n, stub=stub: stub.Embed(requests[n % len(requests)], timeout=120), PHOTOS_A_TURN, scraped))  # type: ignore[misc] # binds the loop's value
        return _overhead(f"embedding with metrics and logs, {FAST} int8", turns, EMBEDDING_GOAL, "photos/s")


def _query(scratch: Path, photos: Path) -> Row:
    data = scratch / "data"
    subprocess.run([sys.executable, *OURS, "index", photos, "--data", data], check=True, capture_output=True)
    question = search_service_pb2.SearchRequest(keyword=search_service_pb2.KeywordQuery(words=["animal"]), limit=10)
    with ExitStack() as stack:
        turns = []
        for name, program in (("ours", OURS), ("silent", SILENT)):
            shutil.copytree(data, scratch / name)
            words = ("up", "--listen", "127.0.0.1:0", "--http", "off", "--data", str(scratch / name))
            channel, scraped = stack.enter_context(_server(program, words, {}, data=scratch / name))
            stub = SearchServiceStub(channel)
            turns.append(_rate(lambda _, stub=stub: stub.Search(question, timeout=60), QUESTIONS_A_TURN, scraped))  # type: ignore[misc] # binds the loop's value
        return _overhead("keyword questions with metrics and logs, embedded index", turns, QUERY_GOAL, "questions/s")


def _overhead(name: str, turns: list[Turn], goal: float, unit: str) -> Row:
    ours, peer = take_turns(*turns)
    return row(
        name,
        ours,
        peer,
        goal=f">= {goal:g} of the same with both off",
        better="higher",
        holds=statistics.median(ours) / statistics.median(peer) >= goal,
        unit=unit,
        cause="counting, or two servers and a client that share the CPUs",
    )


def _rate(ask: Callable[[int], object], count: int, scraped: str) -> Turn:
    def turn() -> float:
        started = time.perf_counter()
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            list(pool.map(ask, range(count)))
        with urllib.request.urlopen(scraped, timeout=30) as reply:
            reply.read()
        return count / (time.perf_counter() - started)

    return turn


@contextmanager
def _server(
    program: tuple[str, ...], words: tuple[str, ...], environment: dict[str, str], *, data: Path | None = None
) -> Iterator[tuple[grpc.Channel, str]]:
    """A channel to a server of ours, with the token of its `data` folder if it has one, and the URL of its metrics."""
    metrics = f"127.0.0.1:{_free_port()}"
    level = "info" if program is OURS else "error"
    environment = {**environment, "MIRADOURO_METRICS_LISTEN": metrics, "MIRADOURO_LOG_LEVEL": level}
    command = [sys.executable, *program, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}) as process:
        try:
            assert process.stdout
            output = iter(process.stdout.readline, "")
            line = next(line for line in output if line.startswith(("ready: ", "embedding service ready on ")))
            address = line.split("ready: " if line.startswith("ready: ") else " on ")[1].split()[0]
            security = ClientSecurity(tokens=owner_token(data) if data else None)
            with open_channel(address, security=security) as channel:
                yield channel, f"http://{metrics}/metrics"
        finally:
            process.terminate()


def _start() -> Row:
    """`miradouro serve embedding` with its default bundles, until its health says SERVING."""
    took = [_start_s() for _ in range(STARTS)]
    alone = row(
        "miradouro serve embedding from its start to ready, models on disk",
        took,
        took,
        goal=f"<= {START_GOAL_S:g} s",
        better="lower",
        holds=statistics.median(took) <= START_GOAL_S,
        unit="s",
        cause="importing, checking the models' SHA-256, and one run of each network",
    )
    return {**alone, "peer": None, "ratio": None}


def _start_s() -> float:
    health = f"127.0.0.1:{_free_port()}"
    began = time.perf_counter()
    command = [sys.executable, *OURS, "serve", "embedding", "--no-token", "--listen", "127.0.0.1:0"]
    environment = {**os.environ, "MIRADOURO_HEALTH_LISTEN": health}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
        try:
            with grpc.insecure_channel(health, options=[("grpc.max_reconnect_backoff_ms", 100)]) as channel:
                check = health_pb2_grpc.HealthStub(channel).Check
                asked = health_pb2.HealthCheckRequest(service="miradouro.v1.EmbeddingService")
                while check(asked, timeout=120, wait_for_ready=True).status != health_pb2.HealthCheckResponse.SERVING:
                    time.sleep(0.005)
                return time.perf_counter() - began
        finally:
            process.terminate()


def _free_port() -> int:
    """A port of loopback without a listener."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    for one in rows():
        print(json.dumps(one))
