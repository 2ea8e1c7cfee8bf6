"""The two public doors, and nothing else: the `miradouro` command, and gRPC to a running `miradouro up`."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from miradouro.v1 import search_service_pb2 as wire
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub

START_S = 60
MAX_MESSAGE_BYTES = 33 * 1024 * 1024
COMMAND = str(Path(sys.executable).with_name("miradouro"))


def command(*words: str) -> Any:
    """What `miradouro WORDS --json` prints, parsed. Raises CalledProcessError when it fails; its log goes to standard error."""
    done = subprocess.run([COMMAND, *words, "--json"], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def search_by_command(data: Path, *words: str, limit: int = 10) -> list[dict[str, Any]]:
    """The hits of `miradouro search WORDS`."""
    hits: list[dict[str, Any]] = command("search", *words, "--limit", str(limit), "--data", str(data))["hits"]
    return hits


@contextmanager
def up(data: Path) -> Iterator[SearchServiceStub]:
    """Runs `miradouro up` on the data folder; gives a stub of its search service once its health says SERVING."""
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            [COMMAND, "up", "--data", str(data), "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=log
        )
        try:
            yield from _stub(server, log)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


def pages(stub: SearchServiceStub, request: wire.SearchRequest) -> list[wire.Hit]:
    """Every hit of a question, page after page."""
    hits: list[wire.Hit] = []
    while True:
        answer = stub.Search(request, timeout=START_S)
        hits += answer.hits
        if not answer.next_page_token:
            return hits
        request.page_token = answer.next_page_token
