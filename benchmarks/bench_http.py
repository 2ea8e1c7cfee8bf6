"""The HTTP door of `miradouro up`: what it adds to the same question over gRPC, and how soon the page has its first answer.

`python -m benchmarks.bench_http` prints the rows.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from miradouro.runtime.grpc_client import open_channel
from miradouro.runtime.security import ClientSecurity
from miradouro.standalone.owner_token import owner_token
from miradouro.v1 import ingest_service_pb2, search_service_pb2
from miradouro.v1.ingest_service_pb2_grpc import IngestServiceStub
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub

from benchmarks.bench_embedding import Row, make_photos, row, take_turns
from benchmarks.bench_end_to_end import alone

QUESTIONS = 100
ADDED_MS_GOAL = 3.0
FIRST_ANSWER_GOAL_S = 1.0
QUESTION = {"everything": {}, "sort": "SORT_ORDER_TAKEN", "limit": 10}


def rows() -> Iterator[Row]:
    """The rows of `make bench`."""
    with tempfile.TemporaryDirectory() as scratch:
        data, photos = Path(scratch) / "data", Path(scratch) / "photos"
        photos.mkdir()
        make_photos(photos)
        with (
            _up(data) as (address, page),
            open_channel(address, security=ClientSecurity(tokens=owner_token(data))) as channel,
        ):
            *_, last = IngestServiceStub(channel).IndexFolder(
                ingest_service_pb2.IndexFolderRequest(path=str(photos), collection="photos")
            )
            assert not last.report.failed
            yield _added(SearchServiceStub(channel), page, bearer(data))
        yield _first_answer(data)


@contextmanager
def _up(data: Path) -> Iterator[tuple[str, str]]:
    """The gRPC address and the page's URL of a running server."""
    words = ["up", "--data", str(data), "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
    command = [sys.executable, "-c", "from miradouro.cli.main import main; main()", *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"MIRADOURO_PRECISION": "int8"}
    ) as process:
        try:
            assert process.stdout
            address = process.stdout.readline().removeprefix("ready: ").strip()
            yield address, process.stdout.readline().removeprefix("page: ").strip()
        finally:
            process.terminate()


def bearer(data: Path) -> dict[str, str]:
    """The header with the token of a data folder."""
    return {"Authorization": f"Bearer {owner_token(data).first}"}


def _asked(page: str, shown: dict[str, str]) -> int:
    """Hits of the question over HTTP."""
    request = urllib.request.Request(
        f"{page}v1/search", data=json.dumps(QUESTION).encode(), headers={"Content-Type": "application/json", **shown}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return len(json.load(answer)["hits"])


def _added(search: SearchServiceStub, page: str, shown: dict[str, str]) -> Row:
    request = search_service_pb2.SearchRequest(everything=search_service_pb2.EverythingQuery(), sort="SORT_ORDER_TAKEN", limit=10)

    def over_http() -> float:
        started = time.perf_counter()
        for _ in range(QUESTIONS):
            assert _asked(page, shown)
        return 1_000 * (time.perf_counter() - started) / QUESTIONS

    def over_grpc() -> float:
        started = time.perf_counter()
        for _ in range(QUESTIONS):
            assert search.Search(request, timeout=60).hits
        return 1_000 * (time.perf_counter() - started) / QUESTIONS

    ours, peer = take_turns(over_http, over_grpc)
    return row(
        "a question over HTTP, a connection each; peer: over gRPC, one connection",
        ours,
        peer,
        unit="ms",
        goal=f"at most {ADDED_MS_GOAL:g} ms more",
        better="lower",
        holds=statistics.median(ours) - statistics.median(peer) <= ADDED_MS_GOAL,
        cause="a connection, JSON and a second server stand between",
    )


def _first_answer(data: Path) -> Row:
    def turn() -> float:
        with _up(data) as (_, page):
            started = time.perf_counter()
            urllib.request.urlopen(urllib.request.Request(page, headers=bearer(data)), timeout=60).close()
            assert _asked(page, bearer(data))
            return time.perf_counter() - started

    [ours] = take_turns(turn)
    return alone(
        "the page and its first answer, from the moment that up is ready",
        ours,
        goal=f"<= {FIRST_ANSWER_GOAL_S:g} s",
        unit="s",
        holds=statistics.median(ours) <= FIRST_ANSWER_GOAL_S,
        cause="the first question opens the index's files",
    )


if __name__ == "__main__":
    for one in rows():
        print(one)
