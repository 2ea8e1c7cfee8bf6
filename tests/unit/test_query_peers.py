import socket

from miradouro.adapters import grpc_embedder
from miradouro.adapters.opensearch import Tuning, engine
from miradouro.query.composition import open_query
from miradouro.query.settings import QuerySettings
from miradouro.runtime.security import server_security
from miradouro.runtime.settings import load
from prometheus_client import CollectorRegistry

from tests.e2e.many_machines import eventually


def test_a_hanging_embedding_service_is_soon_reported_down(monkeypatch):
    monkeypatch.setattr(grpc_embedder, "CHECK_TIMEOUT_S", 0.2)
    monkeypatch.setattr(grpc_embedder, "DEFAULT_TIMEOUT_S", 3_600.0)  # the check has a limit of its own
    registry = CollectorRegistry()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        monkeypatch.setenv("MIRADOURO_EMBEDDING_ADDRESS", f"{host}:{port}")
        monkeypatch.setenv("MIRADOURO_OPENSEARCH_URL", f"http://{host}:{port}")
        monkeypatch.setattr(engine, "TUNING", Tuning(timeout_s=0.2))
        with open_query(load(QuerySettings), security=server_security(), registry=registry):

            def peer_up() -> float | None:
                return registry.get_sample_value("miradouro_peer_up", {"peer": "embedding"})

            eventually("it is known", lambda: peer_up() is not None)
            assert peer_up() == 0
