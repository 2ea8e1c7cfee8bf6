"""The honest client that asks keyword questions while others attack: over one gRPC connection, and over new ones of HTTP."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from miradouro.v1.search_service_pb2 import KeywordQuery, SearchRequest
from miradouro.v1.search_service_pb2_grpc import SearchServiceStub

from tests.attacks.target import split

QUESTION_TIMEOUT_S = 60.0  # for a loaded machine; the bench measures how long it takes
PAUSE_S = 0.02  # between two questions: a person, not a load
WORD = "lighthouse"


@dataclass
class Answers:
    """What came of the questions: seconds that each took, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if not self.seconds:
            return f"no answers, {len(self.failures)} failures"
        median, slow = self.percentile(0.5), self.percentile(0.99)
        return f"{len(self.seconds)} answers, median {median:.3f} s, p99 {slow:.3f} s, {len(self.failures)} failures"

    def percentile(self, part: float) -> float:
        """Seconds within which the `part` (0 to 1) of the questions was answered."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


@contextmanager
def asking(grpc_address: str, page: str, token: str) -> Iterator[dict[str, Answers]]:
    """Asks over both doors while the block runs; the answers by door."""
    ended = threading.Event()
    answers = {"grpc": Answers(), "http": Answers()}
    metadata = [("authorization", f"Bearer {token}")]
    with grpc.insecure_channel(grpc_address) as channel:
        stub = SearchServiceStub(channel)
        question = SearchRequest(keyword=KeywordQuery(words=[WORD]), limit=5)

        def over_grpc() -> int:
            return len(stub.Search(question, timeout=QUESTION_TIMEOUT_S, metadata=metadata).hits)

        def over_http() -> int:
            connection = http.client.HTTPConnection(*split(page), timeout=QUESTION_TIMEOUT_S)
            try:
                headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
                connection.request("POST", "/v1/search", json.dumps({"keyword": {"words": [WORD]}, "limit": 5}), headers)
                response = connection.getresponse()
                body = response.read()
                if response.status != 200:
                    raise OSError(f"status {response.status}: {body[:200]!r}")
                return len(json.loads(body)["hits"])
            finally:
                connection.close()

        asked = [("grpc", over_grpc), ("http", over_http)]
        threads = [threading.Thread(target=_ask, args=(ask, answers[door], ended)) for door, ask in asked]
        for thread in threads:
            thread.start()
        try:
            yield answers
        finally:
            ended.set()
            for thread in threads:
                thread.join()


def _ask(ask: Callable[[], int], answers: Answers, ended: threading.Event) -> None:
    while not ended.wait(PAUSE_S):
        started = time.perf_counter()
        try:
            hits = ask()
        except (grpc.RpcError, OSError, http.client.HTTPException) as exc:
            code = exc.code() if isinstance(exc, grpc.RpcError) else ""
            answers.failures.append(f"after {time.perf_counter() - started:.1f} s: {type(exc).__name__} {code} {exc!s:.200}")
            continue
        if not hits:
            answers.failures.append("an answer without the photo that is there")
        answers.seconds.append(time.perf_counter() - started)
