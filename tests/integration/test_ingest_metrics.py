"""What ingest counts of photos on their way in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from miradouro.adapters.onnx_embedder import Outputs
from miradouro.core.errors import Overloaded
from miradouro.core.spaces import Geometry
from miradouro.ingest.pace import Pace

from tests.ingest_fixture import IngestFixture, open_ingest
from tests.pictures import jpeg
from tests.tiny_bundle import GatedNetworks
from tests.waiting import WAIT_S

STEPS = ("fetch", "decode", "fingerprint", "exif", "embed", "tag", "keywords", "caption")


class Flaky(GatedNetworks):
    """Networks that refuse the first `refusals` requests."""

    refusals = 0

    def run(self, bundle: str, photos: Mapping[Geometry, np.ndarray], **options: Any) -> Outputs:
        if self.refusals:
            self.refusals -= 1
            raise Overloaded("come back later")
        return super().run(bundle, photos, **options)


def count(ingest: IngestFixture, name: str, **labels: str) -> float:
    return ingest.registry.get_sample_value(name, labels) or 0.0


def steps(ingest: IngestFixture, outcome: str) -> dict[str, float]:
    """How often each step ended so."""
    name = "miradouro_ingest_step_duration_seconds_count"
    found = {step: count(ingest, name, step=step, outcome=outcome) for step in STEPS}
    return {step: times for step, times in found.items() if times}


def test_every_step_byte_and_write_is_counted(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(3):
        (photos / f"{seed}.jpg").write_bytes(jpeg(seed=seed))
    (photos / "broken.jpg").write_bytes(jpeg()[:200])
    with open_ingest(tmp_path / "ingest") as ingest:
        assert ingest.index_folder(photos).failed_total == 1
        assert steps(ingest, "done") == {step: 4 if step == "fetch" else 3 for step in STEPS}
        assert steps(ingest, "failed") == {"decode": 1}
        assert count(ingest, "miradouro_ingest_photo_bytes_total") == sum(one.stat().st_size for one in photos.iterdir())
        assert count(ingest, "miradouro_ingest_write_photos_sum") == 3
        assert count(ingest, "miradouro_ingest_write_duration_seconds_count") >= 1
        assert count(ingest, "miradouro_ingest_photo_duration_seconds_count") == 3


def test_a_retried_step_is_counted_each_time(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "one.jpg").write_bytes(jpeg())
    with open_ingest(tmp_path / "ingest", networks_class=Flaky, pace=Pace(retry_s=WAIT_S)) as ingest:
        assert isinstance(ingest.networks, Flaky)
        ingest.networks.refusals = 2
        assert ingest.index_folder(photos).indexed == 1
        assert count(ingest, "miradouro_ingest_retries_total", step="embed") >= 1
        assert steps(ingest, "failed") == {"embed": count(ingest, "miradouro_ingest_retries_total", step="embed")}
        assert count(ingest, "miradouro_ingest_retries_total", step="write") == 0
