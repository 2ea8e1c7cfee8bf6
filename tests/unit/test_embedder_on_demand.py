"""Model files are opened when they are first asked about, networks start with the first photo, and each happens once."""

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager

import pytest
from miradouro.adapters.onnx_embedder import OnnxEmbedder
from miradouro.core.errors import Unavailable
from miradouro.embedding.composition import run_embedding
from miradouro.standalone.embedder_on_demand import EmbedderOnDemand
from prometheus_client import CollectorRegistry

from tests.reading import READING
from tests.tiny_bundle import GatedNetworks, photo, tiny_bundles
from tests.waiting import WAIT_S


def test_embedders_open_once_on_demand_and_all_close(tmp_path):
    calls = []

    def open_bundles():
        calls.append("opened")
        return tiny_bundles(tmp_path)

    @contextmanager
    def run(bundles):
        calls.append("started")
        networks = OnnxEmbedder(bundles, threads=1)
        with run_embedding(networks, reading=READING, registry=CollectorRegistry()) as parts:
            yield parts
        calls.append("stopped")

    with EmbedderOnDemand(open_bundles=open_bundles, run=run) as embedder:
        assert calls == []
        assert [bundle.name for bundle in embedder.describe()] == ["tiny", "wee"]
        assert calls == ["opened"]
        for _ in range(2):
            [embedding] = embedder.embed([photo(1)], spaces=["wee/features"])
            assert embedding.vectors["wee/features"].shape == (1, 6)
        assert calls == ["opened", "started"]
    assert calls == ["opened", "started", "stopped"]
    with EmbedderOnDemand(open_bundles=open_bundles, run=run):
        pass
    assert len(calls) == 3


def test_an_abandoned_embedder_ends_waiting_and_starts_nothing(tmp_path):
    networks = GatedNetworks(tiny_bundles(tmp_path))

    @contextmanager
    def run(_bundles):
        with run_embedding(networks, reading=READING, registry=CollectorRegistry()) as parts:
            yield parts

    with (
        EmbedderOnDemand(open_bundles=lambda: tiny_bundles(tmp_path), run=run) as embedder,
        ThreadPoolExecutor(3) as callers,
    ):
        embedder.start()
        with networks.closed():
            waiting = [callers.submit(embedder.embed, [photo(seed)], spaces=["wee/features"]) for seed in (1, 2)]
            assert networks.arrived.wait(WAIT_S)
            ending = callers.submit(embedder.abandon)
            refused, running = wait(waiting, timeout=WAIT_S, return_when=FIRST_COMPLETED)
            assert [type(future.exception()) for future in refused] == [Unavailable]
        ending.result(WAIT_S)
        assert [future.result(WAIT_S)[0].vectors.keys() for future in running] == [{"wee/features"}]
        with pytest.raises(Unavailable, match="has been stopped"):
            embedder.embed([photo(3)], spaces=["wee/features"])
