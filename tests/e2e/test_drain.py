"""`miradouro serve query` at SIGTERM: what is under way over HTTP is answered, and nothing new is taken."""

import http.client
import json
import signal
import socket
from contextlib import closing
from urllib.parse import urlsplit

from tests.e2e.command import START_S, start
from tests.e2e.many_machines import eventually


def is_open(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=START_S).close()
    except ConnectionError:
        return False
    return True


def test_a_draining_server_finishes_but_accepts_nothing_new() -> None:
    server = start(
        *("serve", "query", "--no-token", "--listen", "127.0.0.1:0"),
        MIRADOURO_OPENSEARCH_URL="http://127.0.0.1:1",
    )
    assert server.stdout is not None
    assert server.stderr is not None
    try:
        assert server.stdout.readline().startswith("query service listening on ")
        address = urlsplit(server.stdout.readline().split()[-1])
        host, port = str(address.hostname), int(address.port or 0)
        connection = http.client.HTTPConnection(host, port, timeout=START_S)
        body = json.dumps({"keyword": {"words": ["cat"]}}).encode()
        connection.putrequest("POST", "/v1/search")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:10])
        # Answered on a connection of its own: so the server has read the head of the one before.
        with closing(http.client.HTTPConnection(host, port, timeout=START_S)) as other:
            other.request("GET", "/openapi.json")
            assert other.getresponse().read()

        server.send_signal(signal.SIGTERM)
        while json.loads(server.stderr.readline())["event"] != "draining":
            pass
        eventually("the listener is closed", lambda: not is_open(host, port))
        with closing(connection):
            connection.send(body[10:])
            answer = connection.getresponse()
            assert answer.status == 503, "OpenSearch is not there; but an answer it is"
            assert json.loads(answer.read())["error"]["status"] == "UNAVAILABLE"
        _, err = server.communicate(timeout=START_S)
    finally:
        server.kill()
    assert server.returncode == 0, err
    assert "Traceback" not in err
