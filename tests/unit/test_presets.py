import pytest
from miradouro.bundles.catalogue import manifests, preset_of
from miradouro.core.errors import InvalidArgument
from miradouro.core.spaces import Preset, choose_spaces
from miradouro.standalone.needed_bundles import needed_bundles

OFFERED = [space for manifest in manifests() for space in manifest.described_spaces(manifest.precisions[0])]
BUNDLES = [manifest.name for manifest in manifests()]


def names(*chosen: str) -> list[str]:
    return [space.name for space in choose_spaces(chosen, OFFERED, field="spaces")]


def test_each_preset_holds_the_one_before() -> None:
    lean, standard, laboratory = (names(preset) for preset in Preset)
    assert lean == ["efficientnet-lite0/look"]
    assert set(lean) < set(standard) < set(laboratory) == {space.name for space in OFFERED}
    assert names() == standard


def test_spaces_may_be_named_one_by_one() -> None:
    assert names("vgg16-conv/pool5", "efficientnet-lite0/look") == ["vgg16-conv/pool5/rmac", "efficientnet-lite0/look"]


def test_spaces_may_be_added_to_a_preset() -> None:
    assert names("lean", "vgg16-conv/pool5") == ["efficientnet-lite0/look", "vgg16-conv/pool5/rmac"]
    assert names("standard", "efficientnet-lite0/look") == names("standard")
    with pytest.raises(InvalidArgument, match=r"'lean' is not a known space; .*; and lean, standard, laboratory as the first"):
        names("vgg16-conv/pool5", "lean")


def test_a_space_has_its_smallest_preset() -> None:
    presets = {"efficientnet-lite0/look": "lean", "vgg16-conv/pool5": "standard", "vgg16-conv/pool5/max": "laboratory"}
    assert {name: preset_of(name) for name in presets} == presets
    assert preset_of("vgg16-conv/nothing") is None


def test_only_bundles_in_use_are_needed() -> None:
    assert needed_bundles(BUNDLES, collections=[], spaces=["lean"]) == ["efficientnet-lite0"]
    assert needed_bundles(BUNDLES, collections=[], spaces=[]) == BUNDLES
    assert needed_bundles(BUNDLES, collections=[], spaces=None) == ["efficientnet-lite0"]
    assert needed_bundles(BUNDLES, collections=[], spaces=["vgg16-conv/pool5"]) == BUNDLES, "efficientnet-lite0 tags"
