import numpy as np
import pytest
from miradouro.bundles.calibrate import measure
from miradouro.bundles.catalogue import find

from tests.scenes import scene


@pytest.mark.usefixtures("models_dir")
def test_ranges_are_the_extremes_over_all_photos() -> None:
    manifest = find("efficientnet-lite0")
    inputs = manifest.described_geometries()
    tensors = [dict.fromkeys(inputs, scene(1)), dict.fromkeys(inputs, np.full((224, 224, 3), 127, np.uint8))]
    both, first, second = (measure(manifest, chosen) for chosen in (tensors, tensors[:1], tensors[1:]))
    assert set(both) == set(manifest.calibration.ranges)
    assert second["input"] == (0.0, 0.0)
    for name, (low, high) in both.items():
        assert low == min(first[name][0], second[name][0])
        assert high == max(first[name][1], second[name][1])


@pytest.mark.parametrize("name", ["efficientnet-lite0", "vgg16-conv"])
def test_committed_ranges_are_sensible(name: str) -> None:
    ranges = find(name).calibration.ranges
    assert all(low <= 0 < high for low, high in ranges.values())
    black, white = {"efficientnet-lite0": (-127 / 128, 1.0), "vgg16-conv": (-123.68, 255 - 103.939)}[name]
    assert ranges["input"] == pytest.approx((black, white), rel=1e-5)
