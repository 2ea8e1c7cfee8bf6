import threading
import time
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from miradouro.core import errors
from miradouro.core.errors import BadPhoto, MiradouroError, Overloaded, Unavailable
from miradouro.runtime.call import Call
from miradouro.runtime.grpc_client import typed_error
from miradouro.runtime.grpc_server import running
from miradouro.runtime.security import OPEN_TO_ALL
from miradouro.runtime.server_limits import ServerLimits
from prometheus_client import CollectorRegistry

from tests.echo_service import ECHO, SECOND, Echo, ask, service, stream
from tests.waiting import WAIT_S


@pytest.fixture
def echo() -> Iterator[Echo]:
    handlers = Echo()
    yield handlers
    handlers.go.set()


@pytest.fixture
def channel(echo: Echo) -> Iterator[grpc.Channel]:
    with running([service(echo)], security=OPEN_TO_ALL) as server, grpc.insecure_channel(server.target) as channel:
        yield channel
        echo.go.set()


def test_blocking_and_async_handlers_answer(channel):
    assert ask(channel, "Shout", "olá") == "OLÁ"
    assert ask(channel, "Whisper", "OLÁ") == "olá"


def test_a_stream_is_ordered_and_closes_its_iterator(channel, echo):
    assert [message.value for message in stream(channel, "100")] == [str(number) for number in range(100)]
    assert echo.closed.wait(WAIT_S)


def test_several_services_share_a_port(echo):
    with (
        running([service(echo), service(Echo(), SECOND)], security=OPEN_TO_ALL) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        assert ask(channel, "Shout", "a") == ask(channel, "Shout", "a", SECOND) == "A"


def test_two_servers_live_in_one_process(echo):
    with (
        running([service(echo)], security=OPEN_TO_ALL) as first,
        running([service(echo)], security=OPEN_TO_ALL) as second,
        grpc.insecure_channel(first.target) as a,
        grpc.insecure_channel(second.target) as b,
    ):
        assert ask(a, "Shout", "x") == ask(b, "Whisper", "X").upper()


def _examples() -> list[MiradouroError]:
    special = {
        "InvalidArgument": lambda cls: cls("limit", "0 is not within 1 to 1,000"),
        "BadPhoto": lambda cls: cls("truncated", "ends after 12 bytes"),
        "BadEvent": lambda cls: cls("bad_key", "key", "it has no slash"),
        "TooManyCollections": lambda cls: cls("collection", "100 are there"),
        "ProvenanceMismatch": lambda cls: cls("a/b", "1" * 64, "2" * 64),
    }
    found: list[MiradouroError] = [errors.NotFound("写真 " * 1_000_000)]
    classes = list(MiradouroError.__subclasses__())
    while classes:
        cls = classes.pop()
        classes += cls.__subclasses__()
        if cls.__module__ == errors.__name__:
            found.append(special.get(cls.__name__, lambda cls: cls("line 1\nFoto de Graça: 100 % 写真"))(cls))
    return found


@pytest.mark.parametrize("method", ["Shout", "Whisper", "Count"])
@pytest.mark.parametrize("error", _examples(), ids=lambda error: type(error).__name__)
def test_every_error_keeps_its_status_message_and_retriable(channel, echo, error, method):
    echo.error = error
    with pytest.raises(grpc.RpcError) as caught:
        list(stream(channel, "2")) if method == "Count" else ask(channel, method, "x")
    assert caught.value.code().name == error.status
    assert caught.value.details() == str(error)
    assert len(caught.value.details().encode()) <= 1_000
    assert dict(caught.value.trailing_metadata())["retriable"] == str(error.retriable).lower()


@pytest.mark.parametrize("method", ["Shout", "Whisper"])
def test_a_bug_becomes_internal_without_its_text(channel, echo, method, capsys):
    echo.error = KeyError("secret of the ingest")
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel, method, "x")
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in caught.value.details()
    captured = capsys.readouterr()
    assert "secret of the ingest" in captured.out + captured.err
    echo.error = None
    assert ask(channel, method, "x") in "xX"


def test_bytes_that_are_no_message_are_client_errors(channel):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{ECHO}/Shout")(b"\xff\xff\xff", timeout=WAIT_S)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "google.protobuf.StringValue" in caught.value.details()


def test_handlers_see_the_deadline(channel, echo):
    ask(channel, "Shout", "x", timeout=600)
    assert 500 < echo.calls[0].deadline - time.monotonic() < 601
    ask(channel, "Whisper", "x", timeout=None)
    assert echo.calls[1].deadline is None


def test_handlers_learn_that_the_caller_hung_up(channel, echo):
    future = channel.unary_unary(f"/{ECHO}/Shout", StringValue.SerializeToString, StringValue.FromString).future(
        StringValue(value="wait")
    )
    assert echo.entered.wait(WAIT_S)
    assert not echo.calls[0].cancelled.is_set()
    future.cancel()
    assert echo.calls[0].cancelled.wait(WAIT_S)


def let_expire(channel: grpc.Channel, echo: Echo) -> None:
    """Makes a call whose deadline passes while its handler runs; with a longer one where it passed before."""
    for timeout in (0.2, 2, 20):
        with pytest.raises(grpc.RpcError) as caught:
            ask(channel, "Shout", "wait", timeout=timeout)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        if echo.entered.is_set():
            return
    raise AssertionError("no call came to its handler")


def test_handlers_learn_that_the_deadline_passed(channel, echo):
    let_expire(channel, echo)
    assert echo.calls[0].cancelled.wait(WAIT_S)


def test_an_unread_stream_is_closed(channel, echo):
    responses = stream(channel, "1000000000", timeout=60)
    next(responses)
    responses.cancel()
    assert echo.closed.wait(WAIT_S)
    assert echo.calls[0].cancelled.is_set()


def test_an_expired_waiting_call_never_starts(echo):
    with (
        running([service(echo)], security=OPEN_TO_ALL, limits=ServerLimits(handler_threads=1)) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        waiting = channel.unary_unary(f"/{ECHO}/Shout", StringValue.SerializeToString, StringValue.FromString).future(
            StringValue(value="wait"), timeout=WAIT_S
        )
        assert echo.entered.wait(WAIT_S)
        with pytest.raises(grpc.RpcError) as caught:
            ask(channel, "Shout", "late", timeout=0.2)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        echo.go.set()
        assert waiting.result().value == "WAIT"
        assert ask(channel, "Shout", "x") == "X"
        assert len(echo.calls) == 2


class Endless:
    """An iterator that is no generator and wants to be closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def __iter__(self) -> "Endless":
        return self

    def __next__(self) -> StringValue:
        return StringValue(value="more")

    def close(self) -> None:
        self.closed.set()


class EndlessEcho(Echo):
    def __init__(self, responses: Endless) -> None:
        super().__init__()
        self.responses = responses

    def Count(self, _request: StringValue, _call: Call) -> Iterator[StringValue]:  # noqa: N802 # named as the RPC
        return self.responses


def test_any_iterator_with_a_close_method_is_closed():
    endless = Endless()
    with (
        running([service(EndlessEcho(endless))], security=OPEN_TO_ALL) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        responses = stream(channel, "1")
        next(responses)
        responses.cancel()
        assert endless.closed.wait(WAIT_S)


def test_health_answers_while_excess_calls_are_refused(echo):
    with (
        running([service(echo)], security=OPEN_TO_ALL, limits=ServerLimits(max_concurrent_calls=1)) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        waiting = channel.unary_unary(f"/{ECHO}/Shout", StringValue.SerializeToString, StringValue.FromString).future(
            StringValue(value="wait"), timeout=WAIT_S
        )
        assert echo.entered.wait(WAIT_S)
        for method in ("Shout", "Whisper"):
            with pytest.raises(grpc.RpcError) as caught:
                ask(channel, method, "x")
            assert caught.value.code().name == Overloaded.status
            assert dict(caught.value.trailing_metadata())["retriable"] == "true"
        assert _health(channel, ECHO) == "SERVING"
        echo.go.set()
        assert waiting.result().value == "WAIT"
        assert ask(channel, "Shout", "x") == "X"


def test_abandoned_work_counts_until_it_ends(echo):
    with (
        running([service(echo)], security=OPEN_TO_ALL, limits=ServerLimits(max_concurrent_calls=1)) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        let_expire(channel, echo)
        assert echo.calls[0].cancelled.wait(WAIT_S)
        with pytest.raises(grpc.RpcError) as caught:
            ask(channel, "Shout", "x")
        assert caught.value.code().name == "RESOURCE_EXHAUSTED"
        echo.go.set()


def _health(channel: grpc.Channel, name: str) -> str:
    reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name), timeout=WAIT_S)
    return health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)


def test_health_reports_each_service(echo):
    state = {"ready": False}

    def broken() -> bool:
        raise OSError("disk")

    first, second = service(echo, ready=lambda: state["ready"]), service(Echo(), SECOND)
    with running([first, second], security=OPEN_TO_ALL) as server, grpc.insecure_channel(server.target) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=ECHO), timeout=WAIT_S)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert (_health(channel, ECHO), _health(channel, SECOND), _health(channel, "")) == (
            "NOT_SERVING",
            "SERVING",
            "NOT_SERVING",
        )
        state["ready"] = True
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
    with running([service(echo, ready=broken)], security=OPEN_TO_ALL) as server, grpc.insecure_channel(server.target) as channel:
        assert _health(channel, ECHO) == "NOT_SERVING"


def test_stopping_ends_calls_and_notifies_watchers(echo):
    with running([service(echo)], security=OPEN_TO_ALL) as server, grpc.insecure_channel(server.target) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=ECHO), timeout=WAIT_S)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        waiting = channel.unary_unary(f"/{ECHO}/Shout", StringValue.SerializeToString, StringValue.FromString).future(
            StringValue(value="wait"), timeout=WAIT_S
        )
        assert echo.entered.wait(WAIT_S)
        stopper = threading.Thread(target=server.stop, args=(WAIT_S,))
        stopper.start()
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.RpcError) as caught, grpc.insecure_channel(server.target) as other:
            ask(other, "Shout", "x")
        # UNAVAILABLE, or CANCELLED where the call came just before the port closed: clients try again after either.
        assert isinstance(typed_error(caught.value, peer="server"), Unavailable)
        echo.go.set()
        assert waiting.result().value == "WAIT"
        stopper.join(WAIT_S)
        assert not stopper.is_alive()


def test_stopping_cancels_calls_after_the_grace_period(echo):
    with running([service(echo)], security=OPEN_TO_ALL) as server, grpc.insecure_channel(server.target) as channel:
        waiting = channel.unary_unary(f"/{ECHO}/Shout", StringValue.SerializeToString, StringValue.FromString).future(
            StringValue(value="wait"), timeout=WAIT_S
        )
        assert echo.entered.wait(WAIT_S)
        server.stop(0.1)
        assert echo.calls[0].cancelled.wait(WAIT_S)
        echo.go.set()
        with pytest.raises(grpc.RpcError):
            waiting.result(timeout=WAIT_S)


def test_reflection_lists_the_services(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    assert {ECHO, "grpc.health.v1.Health"} <= set(database.get_services())
    assert database.FindFileContainingSymbol(ECHO).name == "miradouro/test/echo.proto"


def test_messages_above_the_limit_are_refused(echo):
    with running([service(echo)], security=OPEN_TO_ALL, limits=ServerLimits(max_message_bytes=100_000)) as server:
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        with grpc.insecure_channel(server.target, options=options) as channel:
            assert len(ask(channel, "Shout", "x" * 99_000)) == 99_000
            echo.error = AssertionError("a handler saw the message")
            with pytest.raises(grpc.RpcError) as caught:
                ask(channel, "Shout", "x" * 100_001)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_handlers_without_a_service_method_are_refused():
    with pytest.raises(TypeError, match=r"object can't answer miradouro\.test\.EchoService\.Shout"):
        running([service(object())], security=OPEN_TO_ALL).__enter__()


def test_calls_are_counted_by_status(echo):
    registry = CollectorRegistry()
    with (
        running([service(echo)], security=OPEN_TO_ALL, registry=registry) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        ask(channel, "Shout", "x")
        echo.error = BadPhoto("empty", "zero bytes")
        with pytest.raises(grpc.RpcError):
            ask(channel, "Shout", "x")
    for status in ("OK", "INVALID_ARGUMENT"):
        labels = {"service": ECHO, "method": "Shout", "status": status}
        assert registry.get_sample_value("miradouro_rpc_calls_total", labels) == 1
    assert registry.get_sample_value("miradouro_rpc_active_calls") == 0
