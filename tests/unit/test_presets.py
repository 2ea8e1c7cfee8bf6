import pytest
from miradouro.bundles.catalogue import find, manifest_files, preset_of
from miradouro.core.errors import InvalidArgument
from miradouro.core.spaces import Preset, choose_spaces
from miradouro.embedding.settings import EmbeddingSettings
from miradouro.standalone.needed_bundles import needed_bundles

BUNDLES = list(EmbeddingSettings().bundles)
OFFERED = [space for name in BUNDLES for space in find(name).described_spaces("int8")]


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
    assert sorted(names("standard", "efficientnet-lite0/look")) == sorted(names("standard"))
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


def test_a_tagger_is_needed_where_it_tags() -> None:
    vgg16 = [space.name for space in find("vgg16").described_spaces("fp32")]
    assert {"vgg16/fc6", "vgg16/fc7", "vgg16/softmax"} <= set(vgg16)
    assert needed_bundles(BUNDLES, collections=[], spaces=["lean", "vgg16/softmax"]) == ["efficientnet-lite0", "vgg16"]
    assert needed_bundles(BUNDLES, collections=[], spaces=["vgg16-conv/pool5", "vgg16/softmax"]) == ["vgg16-conv", "vgg16"]


def test_an_unused_bundle_is_not_needed() -> None:
    assert "vgg16" in manifest_files()
    assert "vgg16" not in needed_bundles(BUNDLES, collections=[], spaces=["laboratory"])
