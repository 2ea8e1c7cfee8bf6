"""The handler of Embed on a clock of the test: what is refused before it costs anything."""

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from miradouro.adapters.onnx_embedder import Outputs
from miradouro.core.decode import DecodeLimits
from miradouro.core.embedding import Priority
from miradouro.core.errors import Overloaded
from miradouro.core.spaces import Geometry
from miradouro.embedding.batcher import Batcher
from miradouro.embedding.metrics import EmbeddingMetrics
from miradouro.embedding.request import resolve
from miradouro.embedding.service import EmbeddingService
from miradouro.runtime.call import Call
from miradouro.v1 import embedding_service_pb2 as pb
from prometheus_client import CollectorRegistry

from tests.reading import READING
from tests.tiny_bundle import GatedNetworks, photo, tiny_bundles
from tests.waiting import WAIT_S

PASS_S = 1.0
NO_PHOTO = pb.EmbedRequest(photos=[pb.PhotoInput(encoded=b"no photo")], spaces=["tiny/deep"])


class Served:
    """A service whose passes take PASS_S on its clock."""

    def __init__(self, folder) -> None:
        self.now, self.registry = 0.0, CollectorRegistry()
        served = self

        class Timed(GatedNetworks):
            def run(self, bundle: str, photos: Mapping[Geometry, np.ndarray], **options: Any) -> Outputs:
                outputs = super().run(bundle, photos, **options)
                served.now += PASS_S
                return outputs

        self.networks = Timed(tiny_bundles(folder))
        metrics = EmbeddingMetrics(self.registry)
        self.batcher = Batcher(self.networks, metrics=metrics, clock=lambda: self.now)
        self.service = EmbeddingService(
            self.batcher, reader=READING.reader, metrics=metrics, limits=DecodeLimits(200_000, 1_000_000)
        )

    def submit(self) -> Any:
        resolved = resolve(["tiny/deep"], tags=False, loaded=self.batcher.describe())
        return self.batcher.submit([photo(1)], resolved, priority=Priority.INTERACTIVE, deadline=None)

    def embed(self, request: pb.EmbedRequest, deadline: float | None) -> pb.EmbedResponse:
        # On a thread of its own: a browser test may have left an event loop running on this one.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(self.service.Embed(request, Call(deadline)))).result()

    def value(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def served(tmp_path) -> Iterator[Served]:
    served = Served(tmp_path)
    yield served
    served.networks.gate.set()
    served.batcher.stop()
    served.service.close()


def test_a_photo_without_time_is_not_decoded(served):
    served.submit().result(WAIT_S)
    with served.networks.closed():
        served.submit()
        assert served.networks.arrived.wait(WAIT_S)
        with pytest.raises(Overloaded, match=r"1\.00 s of work wait before the photos, which take about 1\.00 s"):
            served.embed(NO_PHOTO, served.now + 2.1)
    assert served.value("miradouro_embedding_dropped_tensors_total", priority="interactive", reason="no_time") == 1
    assert served.value("miradouro_embedding_refused_photos_total", reason="not_a_photo") == 0


def test_a_bad_photo_gives_its_room_back(served):
    served.submit().result(WAIT_S)
    with served.networks.closed():
        served.submit()
        assert served.networks.arrived.wait(WAIT_S)
        assert served.embed(NO_PHOTO, None).results[0].error.reason == "not_a_photo"
        assert served.value("miradouro_embedding_expected_wait_seconds", priority="interactive") == PASS_S


def test_metrics_show_passes_at_a_time(served):
    assert served.value("miradouro_embedding_passes_at_a_time", bundle="tiny") == 1
