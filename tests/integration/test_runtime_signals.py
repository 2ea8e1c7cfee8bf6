"""A server as a process of its own ends as it should at a signal."""

import subprocess
import sys

import grpc
import pytest

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


@pytest.mark.parametrize("send", ["terminate", "interrupt"])
def test_a_signal_drains_calls_and_ends_the_process(send):
    import signal

    from miradouro.v1 import search_service_pb2, search_service_pb2_grpc

    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        try:
            target = process.stdout.readline().strip()
            with grpc.insecure_channel(target) as channel:
                stub = search_service_pb2_grpc.SearchServiceStub(channel)
                waiting = stub.GetPhoto.future(search_service_pb2.GetPhotoRequest(photo_id="p"), timeout=WAIT_S)
                assert process.stdout.readline().strip() == "entered"
                process.send_signal(signal.SIGTERM if send == "terminate" else signal.SIGINT)
                assert waiting.result().photo.photo_id == "p"
            assert process.stdout.readline().strip() == "drained"
            assert process.wait(WAIT_S) == 0
        finally:
            process.kill()
