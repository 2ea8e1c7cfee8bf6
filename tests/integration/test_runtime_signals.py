"""A server as a process of its own ends as it should at a signal."""

import signal
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from tests.processes import eventually
from tests.waiting import WAIT_S

SERVER = """
import sys
from google.protobuf.struct_pb2 import Struct
from miradouro.runtime.grpc_server import Service, serve
from miradouro.runtime.security import OPEN_TO_ALL
from miradouro.runtime import logs
logs.configure()
from miradouro.v1 import search_service_pb2 as pb
class Search:
    def Search(self, request, call): return pb.SearchResponse()
    def GetPhoto(self, request, call):
        print("entered", flush=True)
        call.cancelled.wait(0.5)
        return pb.GetPhotoResponse(photo=pb.Photo(photo_id=request.photo_id))
    def Stats(self, request, call): return pb.StatsResponse()
serve([Service(pb.DESCRIPTOR.services_by_name["SearchService"], Search())], listen="127.0.0.1:0", setting="X",
      security=OPEN_TO_ALL, on_ready=lambda address: print(address, flush=True))
print("drained", flush=True)
"""


def freeze(process: subprocess.Popen) -> None:
    """Stops the process. A signal that comes now may go to any of its threads when it continues."""
    process.send_signal(signal.SIGSTOP)
    eventually(lambda: "State:\tT" in Path(f"/proc/{process.pid}/status").read_text())


@pytest.mark.parametrize("send", ["terminate", "interrupt", "terminate while frozen"])
def test_a_signal_drains_calls_and_ends_the_process(send):
    from miradouro.v1 import search_service_pb2, search_service_pb2_grpc

    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        try:
            target = process.stdout.readline().strip()
            with grpc.insecure_channel(target) as channel:
                stub = search_service_pb2_grpc.SearchServiceStub(channel)
                waiting = stub.GetPhoto.future(search_service_pb2.GetPhotoRequest(photo_id="p"), timeout=WAIT_S)
                assert process.stdout.readline().strip() == "entered"
                if "frozen" in send:
                    freeze(process)
                process.send_signal(signal.SIGINT if send == "interrupt" else signal.SIGTERM)
                process.send_signal(signal.SIGCONT)
                assert waiting.result().photo.photo_id == "p"
            assert process.wait(WAIT_S) == 0
            assert process.stdout.read().strip() == "drained"
        finally:
            process.kill()
