"""The bundle that tags a collection: the one whose label distribution the collection holds, else EfficientNet-Lite0."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.core.errors import FailedPrecondition, InvalidArgument
from miradouro.core.spaces import (
    BundleDescription,
    Fit,
    Geometry,
    Preset,
    Resample,
    Space,
    needed_geometries,
    tagger_of,
    with_tagger,
)
from miradouro.embedding.request import resolve
from miradouro.ingest.collection_upkeep import CollectionUpkeep


def space(bundle: str, layer: str, preset: Preset = Preset.STANDARD) -> Space:
    return Space(bundle, layer, "", 4, f"{bundle} {layer}".encode().hex().ljust(64, "0"), preset, False)


def bundle(name: str, side: int, *spaces: Space, can_tag: bool = True) -> BundleDescription:
    geometry = Geometry(Fit.SQUASH, side, side, 0, Resample.BILINEAR)
    return BundleDescription(name, "fp32", (geometry,), spaces, can_tag, "", "", "0" * 64)


LITE0 = bundle("efficientnet-lite0", 8, space("efficientnet-lite0", "look", Preset.LEAN))
VGG16 = bundle("vgg16", 16, space("vgg16", "fc7"), space("vgg16", "softmax", Preset.LEAN))
CONV = bundle("vgg16-conv", 32, space("vgg16-conv", "pool5"), can_tag=False)
LOADED = [LITE0, VGG16, CONV]
OFFERED = [one for each in LOADED for one in each.spaces]


@pytest.fixture
def upkeep(tmp_path: Path) -> Iterator[CollectionUpkeep]:
    with SqliteIndex.open(tmp_path, writer=True) as index:
        yield CollectionUpkeep(index, describe=lambda: LOADED)


@pytest.mark.parametrize(
    ("spaces", "tagger"),
    [
        ([], "efficientnet-lite0"),
        (["vgg16/fc7"], "efficientnet-lite0"),
        (["efficientnet-lite0/look", "vgg16/softmax"], "vgg16"),
        (["vgg16-conv/softmax"], "efficientnet-lite0"),
    ],
)
def test_the_tagger_follows_from_the_spaces(spaces: list[str], tagger: str) -> None:
    assert tagger_of(LOADED, spaces) == tagger


def test_any_tagger_serves_where_it_is_alone() -> None:
    assert tagger_of([CONV, VGG16], ["vgg16/fc7"]) == "vgg16"
    assert tagger_of([CONV], []) == ""


def test_a_request_runs_one_tagger() -> None:
    assert resolve(["vgg16/fc7"], tags=True, loaded=LOADED).tagger == "efficientnet-lite0"
    resolved = resolve(["vgg16/softmax"], tags=True, loaded=LOADED)
    assert (resolved.tagger, [each.name for each in resolved.bundles]) == ("vgg16", ["vgg16"])
    assert needed_geometries(LOADED, ["vgg16/softmax"], tags=True) == VGG16.geometries
    assert needed_geometries(LOADED, ["vgg16-conv/pool5"], tags=True) == LITE0.geometries + CONV.geometries


def test_no_preset_changes_the_tagger(upkeep: CollectionUpkeep) -> None:
    names = {one.name for one in upkeep.ensure("photos", root="", preset="laboratory")}
    assert names == {"efficientnet-lite0/look", "vgg16/fc7", "vgg16-conv/pool5"}


def test_a_collection_keeps_its_tagger(upkeep: CollectionUpkeep) -> None:
    spaces = upkeep.ensure("photos", root="", preset="lean", tagger="vgg16")
    assert [one.name for one in spaces] == ["efficientnet-lite0/look", "vgg16/softmax"]
    assert upkeep.ensure("photos", root="", preset="lean", tagger="vgg16") == spaces
    assert upkeep.ensure("photos", root="") == spaces
    known = upkeep.known("photos")
    assert known is not None
    assert known.preset is Preset.LEAN
    with pytest.raises(FailedPrecondition, match="'photos' is tagged by vgg16, not by efficientnet-lite0"):
        upkeep.ensure("photos", root="", tagger="efficientnet-lite0")
    with pytest.raises(FailedPrecondition, match="'photos' holds other spaces than 'standard'"):
        upkeep.ensure("photos", root="", preset="standard")


def test_a_bundle_without_labels_cannot_be_tagger(upkeep: CollectionUpkeep) -> None:
    with pytest.raises(InvalidArgument, match=r"tagger: 'vgg16-conv' has no space softmax, .* efficientnet-lite0, vgg16"):
        upkeep.ensure("photos", root="", tagger="vgg16-conv")
    assert upkeep.known("photos") is None


def test_a_tagger_is_added_to_the_chosen_spaces() -> None:
    assert with_tagger([], "vgg16") == ["standard", "vgg16/softmax"]
    assert with_tagger(["lean", "vgg16/softmax"], "efficientnet-lite0") == ["lean"]
