"""Attacks by connections: some that say nothing, and some that begin what they never end."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import grpc

from tests.attacks.attacker import PATIENCE_S, Attacker

_SILENT_EACH = 35  # on each of four ports; eight attackers hold 1,120
_CALLS_EACH = 25  # eight attackers hold 200


def silent_connections(attacker: Attacker) -> None:
    """Connections to every port over which not a byte is sent; those that the server closes are made again."""
    target = attacker.target
    ports = (target.grpc, target.page, target.metrics, target.health)
    while attacker.goes_on():
        with contextlib.ExitStack() as stack:
            for _ in range(_SILENT_EACH):
                for port in ports:
                    connection = attacker.connect(port) if attacker.goes_on() else None
                    if connection is not None:
                        stack.enter_context(connection)
                        attacker.answers["held"] += 1
            attacker.wait(2)


def endless_requests(attacker: Attacker) -> None:
    """Calls of Search whose message never comes, and HTTP bodies of which one byte comes."""
    head = (
        f"POST /v1/search/photo HTTP/1.1\r\nHost: {attacker.target.page}\r\nAuthorization: Bearer {attacker.target.token}\r\n"
        "Content-Length: 1000000\r\n\r\nx"
    ).encode()
    with attacker.channel() as channel, contextlib.ExitStack() as stack:
        ended = threading.Event()
        stack.callback(ended.set)
        while attacker.goes_on():
            calls = [_begin(attacker, channel, ended) for _ in range(_CALLS_EACH)]
            connections = [connection for _ in range(_CALLS_EACH) if (connection := attacker.connect(attacker.target.page))]
            for connection in connections:
                stack.enter_context(connection)
                with contextlib.suppress(OSError):
                    connection.sendall(head)
            attacker.wait(2)
            for call in calls:
                code = call.code() if call.done() else None
                attacker.answers[code.name if code else "held"] += 1
                call.cancel()
            for connection in connections:
                attacker.answers[_status(connection)] += 1
                connection.close()


def _begin(attacker: Attacker, channel: grpc.Channel, ended: threading.Event) -> grpc.Call:
    def nothing() -> Iterator[bytes]:
        ended.wait(PATIENCE_S)
        yield from ()

    search = channel.stream_unary("/miradouro.v1.SearchService/Search")
    return search.future(nothing(), timeout=PATIENCE_S, metadata=[("authorization", f"Bearer {attacker.target.token}")])


def _status(connection: socket.socket) -> str:
    """The status code that has arrived, "held" where nothing has, "closed" where the server hung up."""
    connection.setblocking(False)
    try:
        line = connection.recv(64).split()
    except BlockingIOError:
        return "held"
    except OSError:
        return "closed"
    return line[1].decode() if len(line) > 1 else "closed"
