"""Two services of our own making, with handlers that can be held, for tests of the gRPC server."""

import threading
from collections.abc import Iterator

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.wrappers_pb2 import StringValue
from miradouro.runtime.call import Call
from miradouro.runtime.grpc_server import Service

from tests.waiting import WAIT_S

ECHO = "miradouro.test.EchoService"
SECOND = "miradouro.test.SecondService"


def _descriptors() -> descriptor_pool.DescriptorPool:
    """Two services of our own making, in the default pool as generated code would put them."""
    file = descriptor_pb2.FileDescriptorProto(
        name="miradouro/test/echo.proto", package="miradouro.test", syntax="proto3", dependency=["google/protobuf/wrappers.proto"]
    )
    for service, methods in (("EchoService", ("Shout", "Whisper", "Count")), ("SecondService", ("Shout",))):
        entry = file.service.add(name=service)
        for name in methods:
            entry.method.add(
                name=name,
                input_type=".google.protobuf.StringValue",
                output_type=".google.protobuf.StringValue",
                server_streaming=name == "Count",
            )
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


POOL = _descriptors()


class Echo:
    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.go = threading.Event()
        self.entered = threading.Event()
        self.closed = threading.Event()
        self.error: Exception | None = None

    def Shout(self, request: StringValue, call: Call) -> StringValue:  # noqa: N802 # named as the RPC
        self.calls.append(call)
        if self.error:
            raise self.error
        if request.value == "wait":
            self.entered.set()
            self.go.wait(2 * WAIT_S)
        return StringValue(value=request.value.upper())

    async def Whisper(self, request: StringValue, call: Call) -> StringValue:  # noqa: N802 # named as the RPC
        self.calls.append(call)
        if self.error:
            raise self.error
        return StringValue(value=request.value.lower())

    def Count(self, request: StringValue, call: Call) -> Iterator[StringValue]:  # noqa: N802 # named as the RPC
        self.calls.append(call)
        try:
            for number in range(int(request.value)):
                yield StringValue(value=str(number))
            if self.error:
                raise self.error
        finally:
            self.closed.set()


def service(handlers: object, name: str = ECHO, **kwargs: object) -> Service:
    return Service(POOL.FindServiceByName(name), handlers, **kwargs)


def ask(channel: grpc.Channel, method: str, text: str, name: str = ECHO, **kwargs: object):
    call = channel.unary_unary(f"/{name}/{method}", StringValue.SerializeToString, StringValue.FromString)
    return call(StringValue(value=text), timeout=kwargs.pop("timeout", WAIT_S), **kwargs).value


def stream(channel: grpc.Channel, text: str, timeout: float = WAIT_S):
    return channel.unary_stream(f"/{ECHO}/Count", StringValue.SerializeToString, StringValue.FromString)(
        StringValue(value=text), timeout=timeout
    )
