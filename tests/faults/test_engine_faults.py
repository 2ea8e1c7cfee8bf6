"""The broker crashes, the index crashes or hangs, in the middle of a load, on the default network. The engines are our own."""

import gc
import logging
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest
from miradouro.development.engines import Kafka, OpenSearch
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.many_machines import Deployment, ServiceProcess, eventually
from tests.faults.load import SIZES, Load, Size, deployment_for, in_the_middle, prove


@dataclass
class Engines:
    kafka: Kafka
    opensearch: OpenSearch
    embedding: str


@pytest.fixture(scope="module")
def engines(
    start_kafka: Callable[..., Kafka],
    start_opensearch: Callable[..., OpenSearch],
    tmp_path_factory: pytest.TempPathFactory,
    models_dir: object,  # noqa: ARG001 # they are there
) -> Iterator[Engines]:
    folder = tmp_path_factory.mktemp("engines")
    with (
        start_kafka(folder / "kafka") as kafka,
        start_opensearch(folder / "opensearch") as opensearch,
        ExitStack() as stack,
    ):
        embedding = ServiceProcess("embedding", {"MIRADOURO_BUNDLES": "efficientnet-lite0"}, "--no-token")
        stack.callback(embedding.end)
        yield Engines(kafka, opensearch, embedding.address)


@pytest.fixture
def _sockets_of_lost_brokers(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """kafka-python leaves the sockets of refused connections to the garbage collector: it works here, not in a later test.

    What it logs of them holds them, so nothing is logged.
    """
    with caplog.at_level(logging.CRITICAL, logger="kafka"):
        yield
    gc.collect()


@contextmanager
def outage(engines: Engines, size: Size) -> Iterator[tuple[Deployment, ServiceProcess]]:
    """The block breaks something in the middle of the load and mends it; then the auditor checks. No service may have ended.

    A third of the load is what waits then: the consumer is done with it before twice the outage has passed.
    """
    load = Load(size)
    with deployment_for(size, engines.kafka.bootstrap, engines.opensearch.url, engines.embedding) as here:
        *before, waiting = load.slices(3)
        ingest = here.start(
            "ingest",
            constants={"miradouro.adapters.opensearch.engine:TUNING.timeout_s": 2.0},
            MIRADOURO_METRICS_LISTEN="127.0.0.1:0",
        )
        for records in before:
            here.send(*records)
        eventually("everything is committed", lambda: here.lag() == 0, within_s=600)
        here.send(*waiting)
        in_the_middle(here, size)
        began = time.monotonic()
        yield here, ingest
        lasted_s = time.monotonic() - began
        eventually("nothing waits any more", lambda: here.lag() == 0, within_s=max(600.0, 4 * lasted_s))
        caught_up_s = time.monotonic() - began - lasted_s
        if size.outage_s:  # a short outage is soon caught up with only by a machine that is at rest
            assert caught_up_s <= 2 * lasted_s, f"an outage of {lasted_s:.1f} s was felt for {caught_up_s:.1f} s more"
        report = prove(here, load, repeated=True)
        eventually("the consumer is ready again", ingest.is_ready)
        assert ingest.end() == 0
        print({"outage s": round(lasted_s, 1), "until caught up s": round(caught_up_s, 1), "audit": report})


def _not_ready_for(ingest: ServiceProcess, size: Size) -> None:
    """The fault is noticed, and lasts on."""
    began = time.monotonic()
    eventually("the consumer is not ready", lambda: not ingest.is_ready())
    eventually("the outage is long enough", lambda: time.monotonic() - began >= size.outage_s)
    assert not ingest.is_ready()


def _up(ingest: ServiceProcess, peer: str) -> float:
    """The value of the gauge for this peer."""
    with urllib.request.urlopen(ingest.metrics, timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    [value] = [
        sample.value
        for family in families
        for sample in family.samples
        if (sample.name, sample.labels) == ("miradouro_peer_up", {"peer": peer})
    ]
    return value


@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("_sockets_of_lost_brokers")
class TestNothingIsLostAndNothingStandsTwice:
    @SIZES
    def test_when_the_broker_crashes_and_comes_back(self, engines: Engines, size: Size) -> None:
        with outage(engines, size) as (_, ingest):
            engines.kafka.kill()
            try:
                _not_ready_for(ingest, size)
                assert _up(ingest, "kafka") == 0
            finally:
                engines.kafka.start()

    @SIZES
    def test_when_the_index_crashes_and_comes_back(self, engines: Engines, size: Size) -> None:
        with outage(engines, size) as (_, ingest):
            engines.opensearch.kill()
            try:
                _not_ready_for(ingest, size)
            finally:
                engines.opensearch.start()

    @SIZES
    def test_no_photo_is_lost_while_the_index_hangs(self, engines: Engines, size: Size) -> None:
        with outage(engines, size) as (_, ingest):
            engines.opensearch.freeze()
            try:
                _not_ready_for(ingest, size)
            finally:
                engines.opensearch.thaw()
