import numpy as np
import pytest
from miradouro.bundles.catalogue import find, manifests
from miradouro.bundles.constants import read_constants
from miradouro.bundles.labels import load_labels
from miradouro.bundles.manifest import ConstantsFile
from miradouro.core.errors import BadBundle


def test_constants_are_finite_and_of_their_shapes() -> None:
    with_constants = [manifest for manifest in manifests() if manifest.constants]
    shapes = {
        manifest.name: {name: array.shape for name, array in read_constants(manifest).items()} for manifest in with_constants
    }
    pairs = sum(len(row.parents) for row in load_labels().rows)
    assert {name: found for name, found in shapes.items() if found} == {
        "efficientnet-lite0": {"mean": (3026,), "axes": (3026, 512), "clip": (), "parents": (pairs, 2)},
        "vgg16-conv": {"mean": (512,), "axes": (512, 256)},
    }
    assert all(np.isfinite(array).all() for manifest in manifests() for array in read_constants(manifest).values())


def test_the_tree_of_look_is_the_label_tables() -> None:
    rows = load_labels().rows
    names = sorted({parent for row in rows for parent in row.parents})
    expected = {(number, names.index(parent)) for number, row in enumerate(rows) for parent in row.parents}
    assert {tuple(pair) for pair in read_constants(find("efficientnet-lite0"))["parents"].tolist()} == expected


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        (ConstantsFile(file="missing.npz", sha256="0" * 64), "missing.npz can't be read"),
        (ConstantsFile(file="vgg16-conv-regions.npz", sha256="0" * 64), "the manifest names 0000"),
    ],
)
def test_missing_or_altered_constants_are_refused(constants: ConstantsFile, message: str) -> None:
    with pytest.raises(BadBundle, match=message):
        read_constants(find("vgg16-conv").model_copy(update={"constants": constants}))


def test_other_constants_are_another_provenance() -> None:
    manifest = find("vgg16-conv")
    other = manifest.model_copy(update={"constants": ConstantsFile(file="x", sha256="0" * 64)})
    assert manifest.provenance("int8", manifest.spaces[0]) != other.provenance("int8", manifest.spaces[0])
