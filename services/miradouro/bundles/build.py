"""Builds a model file from its source files. The build is deterministic: the same sources always give the same bytes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from miradouro.bundles import efficientnet_lite, onnx_graph, vgg16, vgg16_conv
from miradouro.bundles.constants import read_constants
from miradouro.bundles.filters import recipe as filters
from miradouro.bundles.ingredients import Built, Ingredients, Recipe
from miradouro.bundles.manifest import Manifest
from miradouro.core.error_text import shown
from miradouro.core.errors import BadBundle

# Every recipe, by the name that manifests call it.
RECIPES: Mapping[str, Recipe] = {
    "onnx": onnx_graph.build,
    "vgg16": vgg16.build,
    "vgg16-conv": vgg16_conv.build,
    "efficientnet-lite0": efficientnet_lite.build,
    "filters": filters.build,
}


def build(manifest: Manifest, precision: str, sources: Sequence[Path]) -> Built:
    """The model, and the tensors that calibration measures, by activation name. `sources` are those of the manifest, in order.

    Raises BadBundle when the manifest names no known recipe or does not fit its sources or constants, InvalidArgument for another
    precision.
    """
    manifest.check_precision(precision)
    try:
        recipe = RECIPES[manifest.recipe]
    except KeyError:
        raise BadBundle(f"{manifest.name}: {shown(manifest.recipe)} is not a recipe; known are {', '.join(RECIPES)}") from None
    try:
        return recipe(Ingredients(manifest, tuple(sources), manifest.ranges(precision), read_constants(manifest)))
    except (DecodeError, ValueError) as exc:
        weights = ", ".join(map(str, sources)) or manifest.recipe
        raise BadBundle(f"{weights}: no {manifest.name} can be built from it: {exc}") from exc


def serialized(model: onnx.ModelProto) -> bytes:
    """The bytes of a model file, the same for the same model."""
    return model.SerializeToString(deterministic=True)
