"""Codes of int8: the same on every machine, near to the floats that they stand for, and refused where they would hide a fault."""

import numpy as np
import pytest
from miradouro.bundles.catalogue import find
from miradouro.bundles.constants import read_constants
from miradouro.bundles.taps import SpacePart
from miradouro.core.codes import stored_form, unit_vectors
from miradouro.core.errors import InvalidArgument
from miradouro.core.spaces import Storage
from pydantic import ValidationError

from tests.photo_documents import POOLED, WHOLE, distances, unit

[LOOK] = [space for space in find("efficientnet-lite0").described_spaces("int8") if space.layer == "look"]


def test_codes_follow_the_published_formula() -> None:
    vectors = unit("codes", 50, LOOK.dimension)
    codes = stored_form(vectors, LOOK)
    assert codes.dtype == np.int8
    np.testing.assert_array_equal(codes, np.clip(np.round(127 * vectors.astype(np.float64) / LOOK.clip), -127, 127))


def test_distances_of_codes_are_near_those_of_floats() -> None:
    vectors, codes = (form := unit("codes", 100, LOOK.dimension)), stored_form(form, LOOK)
    assert np.abs(distances(codes, codes[0]) - distances(vectors, vectors[0])).max() < 5e-3


def test_codes_are_not_converted_twice() -> None:
    codes = stored_form(unit("codes", 3, POOLED.dimension), POOLED)
    assert stored_form(codes, POOLED) is codes
    lengths = np.linalg.norm(unit_vectors(codes, POOLED), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)


def test_floats_of_another_storage_stay_as_they_are() -> None:
    vectors = unit("floats", 2, WHOLE.dimension)
    assert stored_form(vectors, WHOLE) is vectors


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.full((1, 8), np.nan, np.float32), "small/pool1/avg.*NaN"),
        (2 * unit("long", 1, 8), "length 2"),
        (unit("wide", 1, 9), r"\[1, 9\] is not float32 \[1, 8\]"),
    ],
)
def test_no_codes_are_made_of_broken_floats(vectors: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        stored_form(vectors, POOLED)


def test_the_clip_of_look_is_its_constants() -> None:
    assert np.float32(LOOK.clip) == read_constants(find("efficientnet-lite0"))["clip"]


@pytest.mark.parametrize(("storage", "clip"), [("int8", 0.0), ("int8", 1.5), ("float16", 0.2), ("int4", 0.2)])
def test_a_manifest_names_storage_and_clip_together(storage: str, clip: float) -> None:
    with pytest.raises(ValidationError):
        SpacePart.model_validate({"layer": "x", "dimension": 8, "storage": storage, "clip": clip})


def test_storage_and_clip_are_part_of_the_provenance() -> None:
    manifest = find("efficientnet-lite0")
    parts = [SpacePart(layer="x", dimension=8, storage=Storage.INT8, clip=clip) for clip in (0.2, 0.3)]
    parts.append(SpacePart(layer="x", dimension=8))
    assert len({manifest.provenance("int8", part) for part in parts}) == 3
    assert manifest.provenance("int8") == manifest.model_copy(update={"spaces": ()}).provenance("int8"), "not of the model file"
