"""`miradouro health`, as an image's health check runs it, against a service that is alive and not ready, then ready."""

import pytest
from miradouro.runtime.grpc_server import running
from miradouro.runtime.health import health_endpoint
from miradouro.runtime.security import OPEN_TO_ALL

from tests.e2e.command import run
from tests.echo_service import Echo, service


def test_it_exits_with_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    with health_endpoint("127.0.0.1:0", ["miradouro.test.EchoService"]) as health:
        monkeypatch.setenv("MIRADOURO_HEALTH_LISTEN", f"0.0.0.0:{health.address.port}")
        waiting = run("health")
        assert (waiting.code, waiting.out) == (1, f"127.0.0.1:{health.address.port} all services: NOT_SERVING\n")
        assert run("health", "liveness").code == 0, "alive, though not ready"
        with running([service(Echo())], security=OPEN_TO_ALL, health=health):
            assert run("health").code == 0
            assert run("health", "miradouro.test.EchoService").out.endswith(": SERVING\n")
            assert "no such service" in run("health", "miradouro.test.Wish").out
    gone = run("health")
    assert (gone.code, "no answer (UNAVAILABLE)" in gone.out) == (1, True)


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIRADOURO_HEALTH_LISTEN", raising=False)
    done = run("health")
    assert (done.code, "MIRADOURO_HEALTH_LISTEN" in done.err) == (1, True)
