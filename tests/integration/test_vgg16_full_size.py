"""VGG16 whole at its full size, 138 million weights, from a table of weights to its vectors, against a plain pass."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from miradouro.bundles.calibrate import quantize
from miradouro.bundles.own_weights import use_weights
from miradouro.bundles.progress import LogProgress
from miradouro.bundles.registry import OpenBundle
from miradouro.core.decode import decode

from tests.networks import session_of
from tests.pictures import encode
from tests.plain_vgg16 import forward
from tests.scenes import scene
from tests.vgg16_files import FULL, he_weights, pth_legacy

pytestmark = pytest.mark.long


@contextmanager
def measured(step: str) -> Iterator[None]:
    """Prints the seconds of a step, and the peak of resident memory up to its end."""
    started = time.monotonic()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{step}: {time.monotonic() - started:.1f} s, at most {peak:,.0f} MiB resident so far", end="")


def outputs(bundle: OpenBundle, photos: np.ndarray) -> dict[str, np.ndarray]:
    session = session_of(bundle.path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"centre": photos}), strict=True))


def test_full_size_vgg16_agrees_with_a_plain_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models, bundles, folder = (tmp_path / name for name in ("models", "bundles", "photos"))
    monkeypatch.setenv("MIRADOURO_MODELS_DIR", str(models))
    monkeypatch.setenv("MIRADOURO_BUNDLES_DIR", str(bundles))
    photos = scene(0)[np.newaxis]
    folder.mkdir()
    for seed, photo in enumerate(photos):
        (folder / f"{seed}.png").write_bytes(encode(photo, "PNG"))
    with measured("writing seeded weights, and the plain pass"):
        state = he_weights(FULL, dense=4096)
        pth_legacy(state, tmp_path / "vgg16.pth")
        plain = forward(state, photos)
        del state
    with measured("reading the weights and building fp32"):
        exact = use_weights("vgg16", tmp_path / "vgg16.pth", progress=LogProgress())
    with measured("a photo in fp32"):
        ours = outputs(exact, photos)
    for layer in ("pool1", "pool2", "pool3", "pool4", "pool5"):
        for pooling, pooled in (("avg", plain[layer].mean(axis=(1, 2))), ("max", plain[layer].max(axis=(1, 2)))):
            np.testing.assert_allclose(ours[f"{layer}/{pooling}"], normalised(pooled), atol=1e-4)
    for layer in ("fc6", "fc7", "softmax"):
        np.testing.assert_allclose(ours[layer], normalised(plain[layer]), atol=1e-4)
    with measured("measuring ranges and building int8"):
        rounded = quantize("vgg16", folder, 1, decode=lambda data, geometry: decode(data, [geometry]).tensors[geometry])
    with measured("a photo in int8"):
        theirs = outputs(rounded, photos)
    for name, vectors in ours.items():
        if name != "probabilities":
            assert (vectors * theirs[name]).sum(axis=1).min() > 0.98, name


def normalised(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
