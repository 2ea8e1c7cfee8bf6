"""What guards a gRPC server: tokens and certificates, and how they are replaced while calls go on."""

import hashlib
import threading
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from miradouro.core.errors import Unauthenticated, Unavailable
from miradouro.runtime.call import Caller
from miradouro.runtime.grpc_client import open_channel, typed_error
from miradouro.runtime.grpc_server import running
from miradouro.runtime.security import OPEN_TO_ALL, ClientSecurity, client_security, server_security
from miradouro.runtime.server_limits import ServerLimits
from prometheus_client import CollectorRegistry

from tests.certificates import Pair, self_signed, settings, signed, swap, token, write_secret
from tests.echo_service import Echo, ask, service, stream
from tests.waiting import WAIT_S


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return write_secret(tmp_path / "token", f"{token()}\n{token()}\n")


def bearer(shown: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {shown}"),)


def refusal(channel: grpc.Channel, method: str = "Shout", **kwargs: object) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        list(stream(channel, "2")) if method == "Count" else ask(channel, method, "x", **kwargs)
    return caught.value


def test_without_a_token_nothing_is_answered(tokens):
    registry, echo = CollectorRegistry(), Echo()
    with (
        running([service(echo)], security=server_security(settings(tokens=tokens)), registry=registry) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        first, second = tokens.read_text().split()
        for method in ("Shout", "Whisper", "Count", "NoSuchMethod"):
            error = refusal(channel, method)
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            assert isinstance(typed_error(error, peer="it"), Unauthenticated)
        for wrong in (bearer(first[:-1]), bearer(token()), (*bearer(first), *bearer(token())), (("authorization-bin", b"x"),)):
            assert refusal(channel, metadata=wrong).code() is grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.RpcError, match="UNAUTHENTICATED"):
            ProtoReflectionDescriptorDatabase(channel).get_services()
        with pytest.raises(grpc.RpcError, match="UNAUTHENTICATED"):
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=WAIT_S)
        assert echo.calls == []
        assert registry.get_sample_value("miradouro_rpc_refused_callers_total") == 10
        assert ask(channel, "Shout", "a", metadata=bearer(first)) == ask(channel, "Shout", "a", metadata=bearer(second)) == "A"


def test_a_handler_learns_the_token_and_the_peer(tokens):
    callers: list[Caller] = []

    class Noting(Echo):
        def Shout(self, request, call):  # noqa: N802 # named as the RPC
            callers.append(call.caller)
            return super().Shout(request, call)

    with (
        running([service(Noting())], security=server_security(settings(tokens=tokens))) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        for shown in tokens.read_text().split():
            ask(channel, "Shout", "a", metadata=bearer(shown))
            token_id = hashlib.sha256(shown.encode()).hexdigest()[:12]
            assert callers.pop() == Caller(peer="127.0.0.1", token_id=token_id, is_owner=False)


def test_our_clients_show_the_first_token(tokens):
    security = settings(tokens=tokens)
    with (
        running([service(Echo())], security=server_security(security)) as server,
        open_channel(server.target, security=client_security(security)) as channel,
    ):
        assert ask(channel, "Shout", "a") == "A"
        assert [one.value for one in stream(channel, "2")] == ["0", "1"]


def test_a_token_is_changed_without_a_refused_call(tokens):
    """Servers and clients see the file change at different times: here each has a copy of its own."""
    old, new = token(), token()
    of_client = tokens.with_name("client")
    swap(tokens, old)
    swap(of_client, old)
    stopped, answered, failed = threading.Event(), threading.Semaphore(0), []

    def call_on(target: str) -> None:
        with open_channel(target, security=client_security(settings(tokens=of_client))) as channel:
            while not stopped.is_set():
                try:
                    ask(channel, "Whisper", "A")
                except grpc.RpcError as exc:
                    failed.append(exc)
                answered.release()

    with running([service(Echo())], security=server_security(settings(tokens=tokens))) as server:
        calling = threading.Thread(target=call_on, args=(server.target,))
        calling.start()
        try:
            for path, content in (
                (tokens, f"{old}\n{new}"), (of_client, f"{old}\n{new}"), (of_client, f"{new}\n{old}"), (tokens, f"{new}\n{old}"),
                (of_client, new), (tokens, new),
            ):  # fmt: skip
                swap(path, content)
                for _ in range(20):
                    assert answered.acquire(timeout=WAIT_S)
        finally:
            stopped.set()
            calling.join()
        assert failed == []
        with grpc.insecure_channel(server.target) as channel:
            assert refusal(channel, metadata=bearer(old)).code() is grpc.StatusCode.UNAUTHENTICATED
            assert ask(channel, "Shout", "a", metadata=bearer(new)) == "A"


@pytest.fixture
def authority(tmp_path: Path) -> Pair:
    return self_signed(tmp_path, "authority")


def trusting(authority: Pair, **kwargs: object) -> ClientSecurity:
    return client_security(settings(ca=authority.certificate, **kwargs))


def test_tls_accepts_only_servers_of_the_clients_authority(tmp_path, authority, tokens):
    server_settings = settings(server=signed(tmp_path, "server", authority), tokens=tokens)
    with running([service(Echo())], security=server_security(server_settings)) as server:
        with open_channel(server.target, security=trusting(authority, tokens=tokens)) as channel:
            assert ask(channel, "Shout", "a") == "A"
        stranger = self_signed(tmp_path, "stranger")
        with open_channel(server.target, security=trusting(stranger, tokens=tokens)) as channel:
            assert isinstance(typed_error(refusal(channel), peer="it"), Unavailable)
        with grpc.insecure_channel(server.target) as channel:
            assert refusal(channel, metadata=bearer(tokens.read_text().split()[0])).code() is grpc.StatusCode.UNAVAILABLE


def test_only_client_certificates_of_the_authority_are_accepted(tmp_path, authority, tokens):
    server_settings = settings(server=signed(tmp_path, "server", authority), client_ca=authority.certificate, tokens=tokens)
    ours, stranger = signed(tmp_path, "ours", authority), self_signed(tmp_path, "stranger")
    with running([service(Echo())], security=server_security(server_settings)) as server:
        with open_channel(server.target, security=trusting(authority, server=ours, tokens=tokens)) as channel:
            assert ask(channel, "Shout", "a") == "A"
        for wrong in (trusting(authority, tokens=tokens), trusting(authority, server=stranger, tokens=tokens)):
            with open_channel(server.target, security=wrong) as channel:
                assert refusal(channel).code() is grpc.StatusCode.UNAVAILABLE


def test_a_new_certificate_applies_to_new_connections_only(tmp_path, tokens):
    old, new = self_signed(tmp_path, "old"), self_signed(tmp_path, "new")
    used = Pair(tmp_path / "used.crt", tmp_path / "used.key")
    swap(used.certificate, old.certificate.read_bytes())
    swap(used.key, old.key.read_bytes())
    with running([service(Echo())], security=server_security(settings(server=used, tokens=tokens))) as server:
        with open_channel(server.target, security=trusting(old, tokens=tokens)) as open_one:
            assert ask(open_one, "Shout", "a") == "A"
            swap(used.certificate, new.certificate.read_bytes())  # with the old key for now: no pair, so nothing changes
            with open_channel(server.target, security=trusting(old, tokens=tokens)) as channel:
                assert ask(channel, "Shout", "a") == "A"
            swap(used.key, new.key.read_bytes())
            with open_channel(server.target, security=trusting(new, tokens=tokens)) as channel:
                assert ask(channel, "Shout", "a") == "A"
            assert ask(open_one, "Shout", "b") == "B"
        with open_channel(server.target, security=trusting(old, tokens=tokens)) as channel:
            assert refusal(channel).code() is grpc.StatusCode.UNAVAILABLE


def test_every_address_of_a_name_takes_its_share():
    first, second = Echo(), Echo()
    with (
        running([service(first)], security=OPEN_TO_ALL) as one,
        running([service(second)], security=OPEN_TO_ALL) as other,
        open_channel(f"ipv4:{one.target},{other.target}") as channel,
    ):
        while not (first.calls and second.calls):  # the second connection may take a moment longer
            assert ask(channel, "Shout", "a") == "A"
            assert len(first.calls) + len(second.calls) < 10_000
        before = len(first.calls), len(second.calls)
        for _ in range(10):
            ask(channel, "Shout", "a")
        assert (len(first.calls) - before[0], len(second.calls) - before[1]) == (5, 5)


def test_clients_reconnect_now_and_then_without_errors():
    echo = Echo()
    with (
        running([service(echo)], security=OPEN_TO_ALL, limits=ServerLimits(max_connection_age_s=1)) as server,
        open_channel(server.target) as channel,
    ):
        states: list[grpc.ChannelConnectivity] = []
        channel.subscribe(states.append)
        while states.count(grpc.ChannelConnectivity.READY) < 2:
            assert ask(channel, "Shout", "a") == "A"
            assert len(echo.calls) < 100_000
