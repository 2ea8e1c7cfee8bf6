"""Refused calls and changes are in the audit log, with their caller, and without a token or what a photo shows."""

import asyncio
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
import structlog
from miradouro.core.errors import FailedPrecondition
from miradouro.runtime import audit_log, logs
from miradouro.runtime.audit_log import RefusedCalls
from miradouro.runtime.call import Call, Caller
from miradouro.runtime.event_loop import event_loop
from miradouro.runtime.grpc_server import running
from miradouro.runtime.security import server_security
from miradouro.runtime.server_limits import ServerLimits
from miradouro.runtime.settings import LogSettings
from miradouro.v1.ingest_service_pb2 import IndexFolderRequest, PutEventsRequest, RetryFailuresRequest
from miradouro.v1.photo_event_pb2 import PHOTO_EVENT_KIND_DELETED, PhotoEvent

from tests.certificates import settings, token
from tests.echo_service import Echo, ask, service
from tests.http_fixture import open_door
from tests.ingest_fixture import open_ingest
from tests.pictures import jpeg
from tests.waiting import WAIT_S

CALLER = Caller("192.0.2.7", "abcdefabcdef", is_owner=True)


class Lines(io.StringIO):
    """What was logged."""

    def begin(self) -> None:
        """Logs go here from now on: an ingest service has its own way with them."""
        logs.configure(LogSettings(log_format="json", log_level="error"))
        structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=self))

    def audit(self, event: str) -> list[dict[str, object]]:
        parsed = [json.loads(line) for line in self.getvalue().splitlines()]
        return [line for line in parsed if line.get("audit") is True and line["event"] == event]


@pytest.fixture
def lines() -> Iterator[Lines]:
    before, out = structlog.get_config(), Lines()
    out.begin()
    yield out
    structlog.configure(**before)


@pytest.fixture
def secret(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(token())
    path.chmod(0o600)
    return path.read_text()


def test_unauthenticated_calls_are_logged_once_and_counted(lines, tmp_path, secret):
    with (
        running([service(Echo())], security=server_security(settings(tokens=tmp_path / "token"))) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        for wrong in [secret[:-1]] * 20:
            with pytest.raises(grpc.RpcError):
                ask(channel, "Shout", "a", metadata=(("authorization", f"Bearer {wrong}"),))
        (first,) = lines.audit("refused")
        assert (first["door"], first["peer"], first["result"], first["count"]) == ("grpc", "127.0.0.1", "UNAUTHENTICATED", 1)
    assert [line["count"] for line in lines.audit("refused")] == [1, 19]
    assert secret[:-1] not in lines.getvalue()


def test_calls_beyond_the_limit_are_logged(lines, tmp_path, secret):
    echo = Echo()
    with (
        running(
            [service(echo)],
            security=server_security(settings(tokens=tmp_path / "token")),
            limits=ServerLimits(max_concurrent_calls=1),
        ) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        shown = (("authorization", f"Bearer {secret}"),)
        waiting = channel.unary_unary(f"/{service(echo).descriptor.full_name}/Shout").future(b"\n\x04wait", metadata=shown)
        assert echo.entered.wait(WAIT_S)
        with pytest.raises(grpc.RpcError):
            ask(channel, "Shout", "a", metadata=shown)
        echo.go.set()
        waiting.result()
    (line,) = lines.audit("refused")
    assert (line["result"], len(str(line["token"]))) == ("RESOURCE_EXHAUSTED", 12)
    assert secret not in lines.getvalue()


def test_requests_that_are_refused_are_logged(lines, tmp_path, secret):
    with open_door(tmp_path / "ingest", security=server_security(settings(tokens=tmp_path / "token"))) as door:
        lines.begin()
        for headers in ({}, {"Host": "evil.example"}, {"Authorization": f"Bearer {secret}"}):
            door.ask("GET", "/v1/stats", headers=headers)
    refusals = {(line["door"], line["peer"], line["result"]) for line in lines.audit("refused")}
    assert refusals == {("http", "127.0.0.1", "UNAUTHENTICATED"), ("http", "127.0.0.1", "FOREIGN_HOST")}


def test_a_flood_from_everywhere_is_a_few_lines(lines, monkeypatch):
    monkeypatch.setattr(audit_log, "MAX_CALLERS", 4)

    async def flood() -> None:
        refused = RefusedCalls("grpc")
        for number in range(1_000):
            refused.add("UNAUTHENTICATED", peer=f"192.0.2.{number % 250}")
        refused.flush()
        refused.add("UNAUTHENTICATED", peer="192.0.2.1")

    with event_loop() as loop:  # on its own thread: a browser test before this one may have left a loop running on ours
        asyncio.run_coroutine_threadsafe(flood(), loop).result()
    refusals = lines.audit("refused")
    assert len(refusals) <= 2 * 5 + 1
    assert sum(int(str(line["count"])) for line in refusals) == 1_001


def test_changes_are_logged_with_their_caller_and_result(lines, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(jpeg(64, 48, seed=1))
    with open_ingest(tmp_path / "ingest") as ingest:
        lines.begin()
        call = replace(Call(), caller=CALLER)
        assert list(ingest.service.IndexFolder(IndexFolderRequest(path=str(tmp_path / "photos")), call))
        with pytest.raises(FailedPrecondition):
            list(ingest.service.IndexFolder(IndexFolderRequest(path=str(tmp_path), prune=True), call))
        assert list(ingest.service.RetryFailures(RetryFailuresRequest(), call)) == []
        gone = PhotoEvent(event_id="1", kind=PHOTO_EVENT_KIND_DELETED, collection="photos", photo_id="a.jpg", version=2**62)
        ingest.service.PutEvents(PutEventsRequest(events=[gone]), call)
        list(ingest.service.IndexFolder(IndexFolderRequest(path=str(tmp_path / "photos")), Call()))  # this process itself
    changes = [(line["action"], line["result"]) for line in lines.audit("changed")]
    assert changes == [
        ("index folder", "OK"),
        ("index folder", "FAILED_PRECONDITION"),
        ("retry failures", "OK"),
        ("delete photos", "OK"),
    ]
    first = lines.audit("changed")[0]
    assert (first["peer"], first["token"], first["collection"]) == (CALLER.peer, CALLER.token_id, "photos")
    assert first["path"] == str(tmp_path / "photos")
