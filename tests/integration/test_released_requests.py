"""What a call held is free again when it has ended, without waiting for the cycle collector: refused calls too."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from miradouro.runtime.grpc_server import running
from miradouro.runtime.security import OPEN_TO_ALL

from tests.echo_service import Echo, ask, service
from tests.http_fixture import open_door
from tests.pictures import jpeg

CALLS = 12
PLAIN = "a" * 900_000
LARGE_MIB = 3
LEFT_MIB = 4  # of all calls together


def left_of(call: Callable[[], object]) -> float:
    """MiB of Python objects that CALLS calls leave behind."""
    for _ in range(3):
        call()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(CALLS):
            call()
        return tracemalloc.get_traced_memory()[0] / 2**20
    finally:
        tracemalloc.stop()
        gc.enable()


@pytest.fixture
def channel() -> Iterator[grpc.Channel]:
    with running([service(Echo())], security=OPEN_TO_ALL) as server, grpc.insecure_channel(server.target) as opened:
        yield opened


def test_answered_requests_are_free_at_once(channel: grpc.Channel) -> None:
    assert left_of(lambda: ask(channel, "Shout", PLAIN)) < LEFT_MIB


def test_refused_requests_are_free_at_once(channel: grpc.Channel) -> None:
    too_large = "a" * (LARGE_MIB * 2**20)

    def refused() -> None:
        with pytest.raises(grpc.RpcError) as caught:
            ask(channel, "Shout", too_large)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    assert left_of(refused) < LEFT_MIB


def test_refused_photos_are_free_at_once_over_http(tmp_path: Path) -> None:
    with open_door(tmp_path) as door:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "a.jpg").write_bytes(jpeg(64, 48))
        door.ingest.index_folder(tmp_path / "photos")
        no_photo = bytes(LARGE_MIB * 2**20)

        def refused() -> None:
            assert door.ask("POST", "/v1/search/photo", no_photo).code == 400

        assert left_of(refused) < LEFT_MIB
