"""A server whose time is up, in a process of its own: what ends it there could take the tests along."""

import subprocess
import sys

SERVERS = 60
ENDED_AT_ONCE = f"""
import threading
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from miradouro.runtime.grpc_server import Service, running
from miradouro.runtime.security import OPEN_TO_ALL
from miradouro.v1 import search_service_pb2

descriptor = search_service_pb2.DESCRIPTOR.services_by_name["SearchService"]
handlers = type("Handlers", (), {{method.name: lambda self, request, call: None for method in descriptor.methods}})()

def be_busy():
    while True:
        sum(range(1_000))

threading.Thread(target=be_busy, daemon=True).start()
for number in range({SERVERS}):
    with running([Service(descriptor, handlers)], security=OPEN_TO_ALL) as server:
        if number % 2:
            with grpc.insecure_channel(server.target) as channel:
                health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=120)
        server.stop(0.0)
print("ended in order")
"""


def test_servers_ended_at_once_still_end_cleanly() -> None:
    done = subprocess.run([sys.executable, "-c", ENDED_AT_ONCE], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout) == (0, "ended in order\n"), done.stderr
