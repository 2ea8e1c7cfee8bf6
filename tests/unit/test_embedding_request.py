"""Wrong requests for embeddings: the field, the value and the alternatives are named, before any network runs."""

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from miradouro.core.errors import InvalidArgument
from miradouro.core.spaces import Resample
from miradouro.embedding.batcher import Batcher
from miradouro.embedding.metrics import EmbeddingMetrics
from prometheus_client import CollectorRegistry

from tests.tiny_bundle import SPACES, TINY, WEE, GatedNetworks, duo_bundle, photo, tiny_bundles

GOOD = photo(1)
OTHER = replace(TINY, resample=Resample.BICUBIC)


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batcher]:
    folder = tmp_path_factory.mktemp("models")
    batcher = Batcher(GatedNetworks([*tiny_bundles(folder), duo_bundle(folder)]), metrics=EmbeddingMetrics(CollectorRegistry()))
    yield batcher
    batcher.stop()


@pytest.mark.parametrize(
    ("photos", "spaces", "expected"),
    [
        ([GOOD], ["tiny/deep", "tiny/pool9"], [r"spaces\[1\]: 'tiny/pool9'", *SPACES]),
        ([GOOD], ["tiny/deep", "wee/features", "tiny/deep"], [r"spaces\[2\]: 'tiny/deep'", r"spaces\[0\]"]),
        ([GOOD], ["tiny/shallow/avg", "tiny/shallow"], [r"spaces\[1\]", "twice"]),
        ([GOOD], [], ["spaces: nothing is asked for", *SPACES]),
        ([], ["tiny/deep"], ["photos: 0 photos", "1 to 64"]),
        ([GOOD] * 65, ["tiny/deep"], ["photos: 65 photos", "1 to 64"]),
        (
            [GOOD, {WEE: GOOD[WEE]}],
            ["tiny/deep"],
            [r"photos\[1\]\.tensors", "no tensor in squash to 16 x 16, bilinear, which tiny needs"],
        ),
        ([GOOD, {}], ["tiny/deep"], [r"photos\[1\]\.tensors", "no tensor in squash to 16 x 16, bilinear, which tiny needs"]),
        (
            [GOOD, GOOD | {OTHER: GOOD[TINY]}],
            ["tiny/deep"],
            [r"photos\[1\]\.tensors", "no loaded bundle takes; allowed: duo: .*; tiny: squash"],
        ),
        ([GOOD, {TINY: GOOD[WEE]}], ["tiny/deep"], [r"photos\[1\]\.tensors", "16"]),
        ([{TINY: GOOD[TINY].astype(np.float32)}], ["tiny/deep"], [r"photos\[0\]\.tensors", "float32", "uint8"]),
        ([{TINY: GOOD[TINY][:, :, :1]}], ["tiny/deep"], [r"photos\[0\]\.tensors", "uint8", "3"]),
        ([{TINY: GOOD[TINY][0]}], ["tiny/deep"], [r"photos\[0\]\.tensors", "uint8", "3"]),
    ],
)
def test_a_wrong_request_names_place_and_alternatives(embedder, photos, spaces, expected):
    with pytest.raises(InvalidArgument) as caught:
        embedder.embed(photos, spaces=spaces)
    for part in expected:
        assert re.search(part, caught.value.message)
