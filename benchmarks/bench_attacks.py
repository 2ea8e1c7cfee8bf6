"""What the limits cost, and what an honest client feels while others attack.

The peer of the first rows is the program of an earlier revision, run by the same packages on the same photos in the same run:
MIRADOURO_BENCH_BEFORE names the revision (`MIRADOURO_BENCH_BEFORE=908b037 make bench ONLY=attacks`), which is checked out beside
this one. Without it these rows have no peer and no goal: they are left out.
`python -m benchmarks.bench_attacks` prints the rows.
"""

import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from miradouro.v1.search_service_pb2 import KeywordQuery, SearchRequest
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub

from benchmarks.bench_embedding import Row, Turn, make_photos, row, take_turns
from benchmarks.bench_end_to_end import alone
from tests.attacks.__main__ import ATTACKS
from tests.attacks.attacked_server import attacked_server
from tests.attacks.honest import asking
from tests.attacks.process_size import size_of

BEFORE = "MIRADOURO_BENCH_BEFORE"
ROOT = Path(__file__).parents[1]
INDEXING_GOAL, ADDED_MS_GOAL, QUESTIONS_GOAL, MEMORY_GOAL = 0.95, 3.0, 0.9, 1.5
P99_GOAL_S = 1.0
ATTACK_S = 10.0
QUESTIONS, EXAMPLES = 500, 20
BUNDLES = {"MIRADOURO_BUNDLES": "efficientnet-lite0", "MIRADOURO_PRECISION": "int8"}
_COMMAND = [sys.executable, "-c", "from miradouro.cli.main import main; main()"]


@dataclass(frozen=True)
class Program:
    """One revision of the program: the folder of its package."""

    services: Path

    def command(self, *words: object) -> list[str]:
        """The command line of `miradouro WORDS`."""
        return [*_COMMAND, *map(str, words)]

    def environment(self, **settings: str) -> dict[str, str]:
        """The environment in which that command is of this revision."""
        return {**os.environ, **BUNDLES, **settings, "PYTHONPATH": str(self.services)}


@dataclass(frozen=True)
class Running:
    """A running `miradouro up`, and a client of it."""

    pid: int
    page: str
    search: SearchServiceStub
    token: str

    @property
    def authorization(self) -> list[tuple[str, str]]:
        """The metadata of a call."""
        return [("authorization", f"Bearer {self.token}")]


def rows() -> Iterator[Row]:
    """The rows of `make bench`."""
    revision = os.environ.get(BEFORE, "")
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "photos").mkdir()
        photos = make_photos(Path(scratch) / "photos")
        if revision:
            with _checked_out(revision, Path(scratch) / "before") as before:
                yield from _against(Program(ROOT / "services"), before, photos, Path(scratch))
        else:
            print(f"{BEFORE} is not set: nothing is compared with an earlier revision", file=sys.stderr, flush=True)
        yield from _under_attack(Path(scratch))


@contextmanager
def _checked_out(revision: str, folder: Path) -> Iterator[Program]:
    subprocess.run(["git", "worktree", "add", "--detach", folder, revision], cwd=ROOT, check=True, capture_output=True)
    try:
        yield Program(folder / "services")
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", folder], cwd=ROOT, check=True, capture_output=True)


def _against(now: Program, before: Program, photos: Path, scratch: Path) -> Iterator[Row]:
    ours, peer = take_turns(_indexing(now, photos, scratch), _indexing(before, photos, scratch))
    yield row(
        "indexing a folder, a command and its start; peer: the earlier revision",
        ours,
        peer,
        unit="photos/s",
        goal=f">= {INDEXING_GOAL} of before",
        better="higher",
        holds=statistics.median(ours) >= INDEXING_GOAL * statistics.median(peer),
        cause="photos are decoded in child processes, which start first",
    )
    with ExitStack() as stack:
        servers = [stack.enter_context(_up(one, photos, scratch)) for one in (now, before)]
        yield _memory("memory of up at rest, before any question by photo", servers)
        example = (photos / "000.jpg").read_bytes()
        ours, peer = take_turns(*(_by_photo(one, example) for one in servers))
        yield row(
            "a question by photo over HTTP; peer: the earlier revision",
            ours,
            peer,
            unit="ms",
            goal=f"at most {ADDED_MS_GOAL:g} ms more",
            better="lower",
            holds=statistics.median(ours) - statistics.median(peer) <= ADDED_MS_GOAL,
            cause="the photo goes to a child process and its tensors come back",
        )
        ours, peer = take_turns(*map(_by_keyword, servers))
        yield row(
            "keyword questions over gRPC with a token, one after another; peer: the earlier revision",
            ours,
            peer,
            unit="questions/s",
            goal=f">= {QUESTIONS_GOAL} of before",
            better="higher",
            holds=statistics.median(ours) >= QUESTIONS_GOAL * statistics.median(peer),
            cause="each call is counted for its token and its peer",
        )
        yield _memory("memory of up at rest, after questions by photo", servers)


def _indexing(program: Program, photos: Path, scratch: Path) -> Turn:
    def turn() -> float:
        with tempfile.TemporaryDirectory(dir=scratch) as data:
            started = time.perf_counter()
            command = program.command("index", photos, "--data", Path(data) / "data", "--json")
            done = subprocess.run(command, env=program.environment(), capture_output=True, check=True)
            took = time.perf_counter() - started
        indexed = int(json.loads(done.stdout)["indexed"])
        assert indexed, done.stdout
        return indexed / took

    return turn


@contextmanager
def _up(program: Program, photos: Path, scratch: Path) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        data, tokens, token = Path(folder) / "data", Path(folder) / "tokens", secrets.token_hex(32)
        tokens.touch(0o600)
        tokens.write_text(token)
        subprocess.run(
            program.command("index", photos, "--data", data), env=program.environment(), capture_output=True, check=True
        )
        words = ["up", "--data", data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
        environment = program.environment(MIRADOURO_TOKEN_FILE=str(tokens))
        with subprocess.Popen(program.command(*words), stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout
            announced = dict(line.split(": ", 1) for line in (process.stdout.readline(), process.stdout.readline()))
            try:
                with grpc.insecure_channel(announced["ready"].split()[0]) as channel:
                    page = announced["page"].split()[0].split("?")[0]
                    yield Running(process.pid, page, SearchServiceStub(channel), token)
            finally:
                process.terminate()


def _by_photo(server: Running, example: bytes) -> Turn:
    request = urllib.request.Request(
        f"{server.page}v1/search/photo?limit=5", data=example, headers={"Authorization": f"Bearer {server.token}"}
    )

    def turn() -> float:
        started = time.perf_counter()
        for _ in range(EXAMPLES):
            with urllib.request.urlopen(request, timeout=60) as answer:
                assert json.load(answer)["hits"]
        return 1_000 * (time.perf_counter() - started) / EXAMPLES

    return turn


def _by_keyword(server: Running) -> Turn:
    question = SearchRequest(keyword=KeywordQuery(words=["animal"]), limit=10)

    def turn() -> float:
        started = time.perf_counter()
        for _ in range(QUESTIONS):
            server.search.Search(question, timeout=60, metadata=server.authorization)
        return QUESTIONS / (time.perf_counter() - started)

    return turn


def _memory(name: str, servers: list[Running]) -> Row:
    ours, peer = ([size_of(one.pid).mebibytes] for one in servers)
    return row(
        f"{name}; peer: the earlier revision",
        ours,
        peer,
        unit="MiB",
        goal=f"<= {MEMORY_GOAL} of before",
        better="lower",
        holds=ours[0] <= MEMORY_GOAL * peer[0],
        cause="warm child processes stay for the next photo",
    )


def _under_attack(scratch: Path) -> Iterator[Row]:
    """The honest client's questions while each attack runs against a server of its own."""
    for name in sorted(ATTACKS):
        with (
            attacked_server(scratch / name) as server,
            asking(server.target.grpc, server.target.page, server.token) as answers,
        ):
            server.attack(name, seconds=ATTACK_S)
        for door, honest in answers.items():
            slow = honest.percentile(0.99)
            failed = len(honest.failures)
            yield alone(
                f"keyword questions over {door} during {name}, p99",
                [slow],
                unit="s",
                goal=f"<= {P99_GOAL_S:g} s, and none fails",
                holds=slow <= P99_GOAL_S and not failed,
                cause=f"{failed} of {failed + len(honest.seconds)} questions failed; the attackers use the same CPUs",
            )


if __name__ == "__main__":
    for one in rows():
        print(one)
