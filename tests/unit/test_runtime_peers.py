"""What a process knows of the services that it calls, whatever their checks raise."""

import threading

import pytest
from miradouro.core.errors import Unavailable
from miradouro.runtime import peers
from miradouro.runtime.peers import Peer, watched
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from tests.waiting import WAIT_S


class Answers:
    """A check that raises given errors and counts its calls."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked = threading.Semaphore(0)

    def __call__(self) -> None:
        self.asked.release()
        if self.error is not None:
            raise self.error

    def from_now_on(self, error: Exception | None) -> None:
        """Sets it, and waits until it is known: one question may have begun before, one is answered, another one begins."""
        self.error = error
        while self.asked.acquire(blocking=False):
            pass
        for _ in range(3):
            assert self.asked.acquire(timeout=WAIT_S), "the check is no longer called"


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "ASKED_EVERY_S", 0.01)


@pytest.mark.parametrize("error", [Unavailable("away"), KeyError("of a newer version")], ids=repr)
def test_a_peer_with_a_failing_check_is_retried(error):
    check, registry = Answers(), CollectorRegistry()
    with capture_logs() as logs, watched([Peer("it", "MIRADOURO_IT", check)], registry=registry) as asking:
        for raised in (None, error, None):
            check.from_now_on(raised)
            assert asking.answer is (raised is None)
            assert registry.get_sample_value("miradouro_peer_up", {"peer": "it"}) == (raised is None)
    warnings = [line for line in logs if line["log_level"] == "warning"]
    assert [(line["peer"], line.get("exc_info", False)) for line in warnings] == [("it", not isinstance(error, Unavailable))]
    assert [line["event"] for line in logs if line["log_level"] == "info"] == ["a peer answers again"]
