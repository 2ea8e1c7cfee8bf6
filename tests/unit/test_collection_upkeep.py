import pytest
from miradouro.adapters.sqlite_index import SqliteIndex
from miradouro.bundles.catalogue import find
from miradouro.core.errors import FailedPrecondition, InvalidArgument
from miradouro.core.spaces import BundleDescription
from miradouro.ingest.collection_upkeep import CollectionUpkeep

LITE0 = find("efficientnet-lite0")
GEOMETRIES = tuple(LITE0.described_geometries().values())
LOADED = [BundleDescription(LITE0.name, "int8", GEOMETRIES, LITE0.described_spaces("int8"), True, "", "", "")]


@pytest.fixture
def index(tmp_path):
    with SqliteIndex.open(tmp_path, writer=True) as index:
        yield index


@pytest.fixture
def upkeep(index):
    """Collections where EfficientNet-Lite0 is loaded and VGG16 is not."""
    return CollectionUpkeep(index, describe=lambda: LOADED, unloaded=lambda: ["vgg16-conv"])


def test_a_preset_needs_its_bundles_loaded(upkeep):
    assert [space.layer for space in upkeep.ensure("lean", root="", preset="lean")] == ["look"]
    with pytest.raises(FailedPrecondition, match=r"a collection of standard needs vgg16-conv, .* with MIRADOURO_SPACES=standard"):
        upkeep.ensure("more", root="", preset="standard")
    assert upkeep.known("more") is None


def test_an_unknown_preset_is_refused(upkeep):
    with pytest.raises(
        InvalidArgument, match=r"preset: 'huge' is not a known space; .* and lean, standard, laboratory as the first"
    ):
        upkeep.ensure("huge", root="", preset="huge")


def test_a_collection_keeps_its_spaces(upkeep, index):
    upkeep.ensure("photos", root="", preset="lean")
    assert [space.layer for space in upkeep.ensure("photos", root="")] == ["look"]
    everything = CollectionUpkeep(index, describe=lambda: LOADED)
    with pytest.raises(FailedPrecondition, match="collection 'photos' holds other spaces than 'standard'"):
        everything.ensure("photos", root="", preset="standard")


def test_without_a_preset_nothing_is_left_out(upkeep):
    with pytest.raises(FailedPrecondition, match="a collection of standard needs vgg16-conv"):
        upkeep.ensure("photos", root="")
