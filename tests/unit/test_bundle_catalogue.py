from pathlib import Path

import numpy as np
import pytest
from miradouro.adapters.onnx_embedder import OnnxEmbedder
from miradouro.bundles.adding import add
from miradouro.bundles.catalogue import find, is_known, manifests, origin
from miradouro.bundles.progress import LogProgress
from miradouro.bundles.registry import open_bundle
from miradouro.bundles.settings import BundleSettings
from miradouro.core.errors import BadBundle, InvalidArgument

from tests.foreign_networks import LABELS, bundle_folder


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BundleSettings:
    """Folders with one added bundle, `small`."""
    monkeypatch.setenv("MIRADOURO_BUNDLES_DIR", str(tmp_path / "bundles"))
    monkeypatch.setenv("MIRADOURO_MODELS_DIR", str(tmp_path / "models"))
    settings = BundleSettings()
    add(bundle_folder(tmp_path / "mine"), settings, progress=LogProgress())
    return settings


@pytest.mark.usefixtures("settings")
def test_added_bundles_stand_beside_the_shipped() -> None:
    assert {"small", "vgg16-conv"} <= {manifest.name for manifest in manifests()}
    assert (origin("small"), origin("vgg16-conv"), is_known("none")) == ("added", "shipped", False)


@pytest.mark.usefixtures("settings")
def test_a_bundle_takes_its_own_precision() -> None:
    assert find("small").precision_for("int8") == "fp32"
    assert find("vgg16-conv").precision_for("fp32") == "fp32"
    with pytest.raises(InvalidArgument, match="'fp16': small is offered in fp32"):
        find("small").precision_for("fp16")


def test_labels_name_the_table_that_they_come_from(settings: BundleSettings) -> None:
    bundle = open_bundle("small", precision="fp32", folder=settings.folder)
    assert (bundle.labels, bundle.description.label_table) == (LABELS, "small")
    probabilities = OnnxEmbedder([bundle], threads=1).labels("small", np.array([0.1, 0.2, 0, 0.7, 0], "float32"))
    assert [(row.label, row.index, row.table) for row in probabilities] == [
        ("teapot", 3, "small"),
        ("dog", 1, "small"),
        ("cat", 0, "small"),
    ]


def test_a_manifest_under_another_name_is_refused(settings: BundleSettings) -> None:
    (settings.bundles_folder / "small").rename(settings.bundles_folder / "other")
    with pytest.raises(BadBundle, match="the manifest is called small, and its place other; give both the same name"):
        find("other")
